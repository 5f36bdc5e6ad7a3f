"""Grids of budgets and shares in which the truth is known: what a seed, a story, and chance add to a cell's values."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from rostrum.trainer.labels.regimes import Cell

SHARES = (0.0, 0.25, 0.5, 0.75, 1.0)
QUESTIONS = 2
"""Of one story, each right or wrong."""


@dataclass(frozen=True)
class Spread:
    """Standard deviations, in shares of one."""

    seed: float = 0.02
    """Of a seed in all cells."""
    cell: float = 0.02
    """Of a seed in one cell; at the last share it is `ratio` times that of the first."""
    story: float = 0.12
    story_share: float = 0.05
    story_seed: float = 0.08
    ratio: float = 1.0


def grid(
    rng: np.random.Generator,
    spread: Spread = Spread(),
    truth: NDArray[np.float64] | None = None,
    seeds: int = 3,
    stories: int = 400,
) -> list[list[Cell]]:
    """Return the cells of each budget. `truth` (budgets, shares) is each cell's true accuracy less 70 %."""
    truth = np.zeros((4, len(SHARES))) if truth is None else truth
    n_budgets, n_shares = truth.shape
    own = spread.cell * np.geomspace(1, spread.ratio, n_shares)[None, :, None, None]
    right = 0.7 + truth[:, :, None, None] + rng.normal(0, spread.seed, (1, 1, seeds, 1))
    right = right + own * rng.normal(size=(n_budgets, n_shares, seeds, 1))
    right = right + rng.normal(0, spread.story, (1, 1, 1, stories))
    right = right + rng.normal(0, spread.story_share, (n_budgets, n_shares, 1, stories))
    right = right + rng.normal(0, spread.story_seed, (1, 1, seeds, stories))
    values = rng.binomial(QUESTIONS, np.clip(right, 0, 1)).astype(np.float64)
    sizes = np.full((seeds, stories), float(QUESTIONS))
    return [[Cell(tuple(range(seeds)), cell, sizes) for cell in budget] for budget in values]
