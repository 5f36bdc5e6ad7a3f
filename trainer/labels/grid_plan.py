"""Which judges are taught: the cells of the grid, and the trials that serve them.

A trial is one teaching: an arm, a seed, so many cheaper labels, so many dearer ones. Prices have no part in it: cells
of several prices that come to the same numbers of labels share it.
"""

from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass

import pandas as pd

from rostrum.trainer.config.labels import PLAIN, Labels

UNTAUGHT = "none"
"""The arm of the judge as it was."""
_ROUNDING = 1e-9


@dataclass(frozen=True, slots=True, order=True)
class Trial:
    """One teaching."""

    arm: str
    seed: int
    cheap: int
    """Labels bought of the cheaper source."""
    dear: int

    @property
    def name(self) -> str:
        """Return what its files are called."""
        return f"{self.arm}-seed{self.seed}-cheap{self.cheap}-dear{self.dear}"


@dataclass(frozen=True, slots=True)
class Offer:
    """How many labels can be bought at all."""

    cheap: int
    dear: int
    debates: int
    """No debate is labelled by both sources."""


@dataclass(frozen=True, slots=True)
class Cell:
    """What a budget buys at a price, if a share of it is spent on the dearer labels."""

    price: float
    """Of a cheaper label."""
    budget: float
    share: float
    arm: str
    seed: int
    cheap: int
    dear: int
    spent: float
    exhausted: bool
    """Whether there were fewer debates than the money would have bought labels of."""

    @property
    def trial(self) -> Trial:
        return Trial(self.arm, self.seed, self.cheap, self.dear)


def cells(labels: Labels, price: float, dear_price: float, offer: Offer) -> list[Cell]:
    """Return all cells; `price` is what the cheaper source asks for a label itself."""
    found, prices = list[Cell](), labels.prices or [price]
    of_arms = price if price in prices else prices[0]
    for seed in range(labels.seeds):
        for of_cheap in prices:
            for budget in labels.budgets:
                for arm in _arms(labels, budget, of_cheap == of_arms):
                    for share in _shares(labels, arm):
                        found.append(_cell(labels, of_cheap, dear_price, offer, budget, share, arm, seed))
    return found


def _arms(labels: Labels, budget: float, all_arms: bool) -> Sequence[str]:
    """Return the arms that are tried at a budget."""
    others = all_arms and (not labels.arm_budgets or budget in labels.arm_budgets)
    return [arm for arm in labels.arms if others or arm == PLAIN]


def _shares(labels: Labels, arm: str) -> Sequence[float]:
    """Return the shares at which an arm is tried. Shots alone buy a few cheaper labels whatever the budget."""
    if arm == "shots":
        return [0.0]
    return labels.shares if arm == PLAIN else labels.arm_shares or labels.shares


def _cell(
    labels: Labels, price: float, dear_price: float, offer: Offer, budget: float, share: float, arm: str, seed: int
) -> Cell:
    """Return what is bought: whole labels, the dearer ones first. Shots alone need one label more than are shown, as no
    debate is judged with an example about its own story."""
    asked_dear = _whole(share * budget / dear_price)
    dear = min(asked_dear, offer.dear)
    asked_cheap = _whole((1 - share) * budget / price)
    if arm == "shots":
        asked_cheap = min(asked_cheap, labels.shots + 1)
    cheap = min(asked_cheap, offer.cheap, offer.debates - dear)
    if arm == "repeated":
        most = min(offer.cheap, offer.debates - dear) * labels.repeats
        cheap = min(asked_cheap, most) // labels.repeats * labels.repeats
    spent = cheap * price + dear * dear_price
    short = dear < asked_dear or (cheap < asked_cheap and asked_cheap - cheap >= labels.repeats)
    exhausted = short if arm == "repeated" else dear < asked_dear or cheap < asked_cheap
    return Cell(price, budget, share, arm, seed, cheap, dear, spent, exhausted)


def _whole(number: float) -> int:
    """Return the whole labels that so much money buys."""
    return int(number + _ROUNDING)


def trials(found: Sequence[Cell]) -> list[Trial]:
    """Return every trial once, and the judge as it was."""
    return sorted({Trial(UNTAUGHT, 0, 0, 0), *(cell.trial for cell in found)})


def chains(found: Sequence[Trial]) -> Iterator[list[Trial]]:
    """Yield trials that begin with the same cheaper labels, in the order of the dearer ones: they share that stage. The
    most work comes first."""
    together: dict[tuple[str, int, int], list[Trial]] = {}
    for trial in sorted(found):
        together.setdefault((trial.arm, trial.seed, trial.cheap), []).append(trial)
    yield from sorted(together.values(), key=_work, reverse=True)


def _work(chain: Sequence[Trial]) -> int:
    return chain[0].cheap + sum(trial.dear for trial in chain)


def table(found: Sequence[Cell]) -> pd.DataFrame:
    """Return one row per cell."""
    return pd.DataFrame([asdict(cell) for cell in found])
