"""A sweep over labels whose truth is planted: the tables of outcomes and cells as `rostrum labels` makes them."""

from collections.abc import Sequence

import numpy as np
import pandas as pd
from scipy.stats import norm

from rostrum.trainer.labels.labels_summary import About, Source

ABOUT = About(
    title="<b>Planted</b>",
    cheap=Source(name="weak", kind="judge", price=0.1),
    dear=Source(name="gold", kind="gold", price=1.0),
    pool=4096,
    judge="small",
)
SHARES = (0.0, 0.2, 0.5, 0.8, 1.0)
BUDGETS = (16.0, 64.0, 256.0, 1024.0)
STORIES = 150


def learned(cheap: float, dear: float, worth: float, arm: str) -> float:
    """The true accuracy of a judge: it rises with labels, of which a cheaper one is worth a part of a dearer one, and
    no further than the cheaper ones' errors allow. With few dollars many cheap labels are best, then both kinds, with
    many dollars few dear ones."""
    most = 0.72 + 0.25 * dear / (dear + 0.1 * cheap + 1e-9)
    gain = min(0.06 * np.log2(1 + (dear + worth * cheap) / 8), most - 0.6) if arm not in ("none", "shots") else 0.0
    return float(0.6 + gain + (0.02 if arm == "shots+finetune" else 0.0))


def sweep(
    prices: Sequence[float] = (0.1,),
    budgets: Sequence[float] = BUDGETS,
    arms: Sequence[str] = ("finetune",),
    worth: float = 0.3,
    seeds: int = 3,
    pool: int = 4096,
    stories: int = STORIES,
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Return outcomes and cells."""
    rng = np.random.default_rng(0)
    cells = [
        _cell(price, budget, share, arm, seed, pool)
        for price in prices
        for budget in budgets
        for arm in arms
        for share in (SHARES if arm != "shots" else SHARES[:1])
        for seed in range(seeds)
    ]
    trials = sorted({("none", 0, 0, 0), *((c["arm"], c["cheap"], c["dear"], c["seed"]) for c in cells)})
    ease = rng.normal(0, 0.5, stories)
    parts = [_outcomes(rng, trial, ease, worth) for trial in trials]
    return pd.concat(parts, ignore_index=True), pd.DataFrame(cells)


def _cell(price: float, budget: float, share: float, arm: str, seed: int, pool: int) -> dict[str, object]:
    dear = int(share * budget + 1e-9)
    asked = int((1 - share) * budget / price + 1e-9) if arm != "shots" else 5
    cheap = min(asked, pool - dear)
    spent = cheap * price + dear
    found = {"price": price, "budget": budget, "share": share, "arm": arm, "seed": seed, "cheap": cheap, "dear": dear}
    return found | {"spent": spent, "exhausted": cheap < asked}


def _outcomes(
    rng: np.random.Generator, trial: tuple[str, int, int, int], ease: np.ndarray, worth: float
) -> pd.DataFrame:
    arm, cheap, dear, seed = trial
    tables = []
    for debaters, harder in (("base", 0.0), ("trained", 0.1)):
        right = min(learned(cheap, dear, worth, arm) - harder + rng.normal(0, 0.01), 0.99)
        logit = 0.88 * norm.ppf(right) + ease[:, None] + rng.normal(0, 0.72, (len(ease), 2))
        p = 1 / (1 + np.exp(-logit))
        story, swapped = (index.ravel() for index in np.indices(logit.shape))
        table = pd.DataFrame({"question": [f"q{s}" for s in story], "story": [f"s{s}" for s in story]})
        table["swapped"], table["p"], table["debaters"] = swapped.astype(bool), p.ravel(), debaters
        table.loc[rng.random(len(table)) < 0.01, "p"] = np.nan
        tables.append(table)
    return pd.concat(tables).assign(arm=arm, cheap=cheap, dear=dear, seed=seed)
