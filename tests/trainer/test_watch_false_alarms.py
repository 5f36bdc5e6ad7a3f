"""How often the watch cries wolf over a whole run: simulated debates by policies that nothing is wrong with."""

import numpy as np
from numpy.typing import NDArray

from trainer.config import Watch
from trainer.statistics.paired import paired_change
from trainer.watch import is_suspicious, raises_alarm

QUESTIONS, LOOKS = 60, 10


def outcomes(
    rng: np.random.Generator, p: NDArray[np.float64], before: NDArray[np.float64] | None, kept: float
) -> NDArray[np.float64]:
    """1 or 0 for both seatings of every question (N, 2); a share `kept` is as it was at the look before."""
    fresh = (rng.random((len(p), 2)) < p[:, None]).astype(float)
    return fresh if before is None else np.where(rng.random(fresh.shape) < kept, before, fresh)


def alarmed(seed: int, watch: Watch, wins: float, kept: float, falls: float = 0.0) -> bool:
    """Whether a run raises the alarm whose policies win `wins` of their debates with base debaters.

    Held-out judges are right as often as ever (or less often by `falls` on every question)."""
    rng, stories = np.random.default_rng(seed), np.arange(QUESTIONS)
    right, even = rng.beta(2, 1, QUESTIONS), np.full(QUESTIONS, 0.5)
    accurate = outcomes(rng, right, None, kept)
    base, won, suspicious = accurate.mean(1), None, [False]
    for _ in range(LOOKS):
        won = outcomes(rng, np.full(QUESTIONS, wins), won, kept)
        accurate = outcomes(rng, np.maximum(right - falls, 0), accurate, kept)
        reward = paired_change(even, won.mean(1), stories, resamples=200)
        held_out = paired_change(base, accurate.mean(1), stories, resamples=200)
        suspicious.append(is_suspicious(reward, held_out, watch))
        if raises_alarm(suspicious, watch):
            return True
    return False


def rate(runs: int, wins: float, falls: float = 0.0) -> float:
    """Share of runs with an alarm at the default level and patience; half of the debates stay from look to look."""
    watch = Watch(questions=QUESTIONS)
    return sum(alarmed(seed, watch, wins, 0.5, falls) for seed in range(runs)) / runs


def test_a_run_in_which_nothing_changes_raises_no_alarm() -> None:
    """None of 1,500 longer simulations did (with 0, 50 and 90 % of the debates kept from look to look)."""
    assert rate(60, wins=0.5) == 0


def test_policies_that_win_and_mislead_nobody_seldom_do() -> None:
    """23 of 500 did, 4.6 %: more than nine of 60 would be one chance in a thousand."""
    assert rate(60, wins=0.7) <= 9 / 60


def test_policies_that_win_and_mislead_do() -> None:
    assert rate(20, wins=0.7, falls=0.25) >= 0.9
