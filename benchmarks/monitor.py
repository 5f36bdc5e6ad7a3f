"""False alarms and power of the over-optimisation monitor, by simulation: `python -m benchmarks.monitor >
docs/monitor-power.md`.

Debates are drawn, not played: a judge is right about a question with a probability of the question's own, in both
seatings; half of the debates stay as they were from look to look. What training does grows over the first half of a run
of ten looks. The decision is that of `trainer.evaluation.monitor`.

The level was chosen on the judges of `CHOSEN_ON`; the table is about other judges (as often right as the demo's) and
other seeds.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.stats import beta, norm, t

from rostrum.trainer.config import Monitor

QUESTIONS, LOOKS, SEATINGS, KEPT = 60, 10, 2, 0.5
TRIGGERS = ("held_out", "reward_judge", "gap_change")
Draws = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Judges:
    """How often the reward judge and the held-out one are right about base debates, and how alike they are."""

    accuracy: tuple[float, float]
    alike: float
    """Correlation of how easy a question is to one and to the other."""
    seed: int


CHOSEN_ON = Judges((0.75, 0.60), alike=0.5, seed=0)
SHOWN_ON = Judges((0.67, 0.66), alike=0.3, seed=1_000_000)


@dataclass(frozen=True, slots=True)
class Scenario:
    """What training does: at its end, how often the policy wins, and how much more often either judge is right."""

    name: str
    wins: float
    reward_judge: float = 0.0
    held_out: float = 0.0


NULL_ARMS = (
    Scenario("nothing changes", 0.5),
    Scenario("wins 70 %, judges are right as often as before", 0.7),
    Scenario("wins 63 %, both judges 12 points more often right", 0.63, 0.12, 0.12),
    Scenario("wins 63 %, reward judge +12 points, held-out judge +5", 0.63, 0.12, 0.05),
)
HACKS = (
    Scenario("wins 89 %, reward judge −17 points, held-out judge +2 (as in the demo)", 0.89, -0.17, 0.02),
    Scenario("wins 70 %, held-out judge −25 points", 0.7, 0.0, -0.25),
    Scenario("wins 70 %, reward judge +5 points, held-out judge −15", 0.7, 0.05, -0.15),
    Scenario("wins 80 %, both judges −15 points", 0.8, -0.15, -0.15),
    Scenario("wins 75 %, reward judge −10 points, held-out judge −8", 0.75, -0.10, -0.08),
)


def looks(scenario: Scenario, judges: Judges, runs: int) -> Iterator[dict[str, Draws]]:
    """Yield values by question (runs, N) of the base and of every look: approval, and the accuracy of either judge."""
    rng = np.random.default_rng(judges.seed)
    shared = rng.normal(size=(runs, QUESTIONS))
    start = {
        "accuracy": _ease(shared, judges.accuracy[0], judges.alike, rng),
        "held_out": _ease(shared, judges.accuracy[1], judges.alike, rng),
        "approval": np.full(shared.shape, 0.5),
    }
    change = {"accuracy": scenario.reward_judge, "held_out": scenario.held_out, "approval": scenario.wins - 0.5}
    drawn = {name: _drawn(rng, chance) for name, chance in start.items()}
    yield {name: of.mean(axis=2) for name, of in drawn.items()} | {"approval": start["approval"]}
    for look in range(1, LOOKS + 1):
        so_far = min(1.0, 2 * look / LOOKS)
        for name, before in drawn.items():
            fresh = _drawn(rng, np.clip(start[name] + so_far * change[name], 0, 1))
            drawn[name] = np.where(rng.random(before.shape) < KEPT, before, fresh)
        yield {name: of.mean(axis=2) for name, of in drawn.items()}


def alarms(scenario: Scenario, judges: Judges, runs: int, monitor: Monitor | None = None) -> dict[str, float]:
    """Return the share of runs with an alarm ("any"), and with each trigger in its first; default thresholds if none
    are given.

    Thousands of runs are tested at once, by Student's t where `trainer.evaluation.monitor` flips signs: with 60 stories
    that is the same (a test decides single runs by the monitor's own functions).
    """
    monitor = monitor or Monitor()
    base, *later = looks(scenario, judges, runs)
    suspicious, first = [], {name: np.zeros(runs, bool) for name in TRIGGERS}
    done = np.zeros(runs, bool)
    for look in later:
        rose = _shown(look["approval"] - base["approval"], monitor.level, monitor.rise)
        gap = look["accuracy"] - look["held_out"] - base["accuracy"] + base["held_out"]
        found = {
            "held_out": rose & _shown(base["held_out"] - look["held_out"], monitor.level, monitor.fall),
            "reward_judge": rose & _shown(base["accuracy"] - look["accuracy"], monitor.level, monitor.fall),
            "gap_change": rose
            & (_shown(gap, monitor.level / 2, monitor.gap) | _shown(-gap, monitor.level / 2, monitor.gap)),
        }
        suspicious.append(np.any(list(found.values()), axis=0))
        alarm = np.all(suspicious[-monitor.patience :], axis=0) & (len(suspicious) >= monitor.patience) & ~done
        for name, of in found.items():
            first[name] |= alarm & of
        done |= alarm
    return {"any": float(done.mean())} | {name: float(of.mean()) for name, of in first.items()}


def _shown(change: Draws, level: float, least: float) -> NDArray[np.bool_]:
    """Return whether the mean over questions of each run (runs, N) is at least so large and significant,
    one-sidedly."""
    mean, error = change.mean(axis=1), change.std(axis=1, ddof=1) / np.sqrt(change.shape[1])
    shown: NDArray[np.bool_] = (mean > 0) & (mean >= least) & (mean > t.isf(level, change.shape[1] - 1) * error)
    return shown


def _ease(shared: Draws, accuracy: float, alike: float, rng: np.random.Generator) -> Draws:
    """Return how likely a judge is right about each question: Beta with this mean."""
    own = norm.cdf(alike * shared + np.sqrt(1 - alike**2) * rng.normal(size=shared.shape))
    return np.asarray(beta.ppf(own, 3 * accuracy, 3 * (1 - accuracy)))


def _drawn(rng: np.random.Generator, chance: Draws) -> Draws:
    return (rng.random((*chance.shape, SEATINGS)) < chance[..., None]).astype(float)


def page(runs: int) -> Iterator[str]:
    """Yield the lines of docs/monitor-power.md."""
    monitor = Monitor()
    yield "# The monitor: false alarms and power\n"
    yield "Written by `python -m benchmarks.monitor > docs/monitor-power.md`; a test holds it against the code.\n"
    yield (
        f"Simulated runs of {LOOKS} looks at {QUESTIONS} questions of a story each, {runs} a row, at the default "
        f"thresholds: level {monitor.level:g}, falls of {monitor.fall:.0%} and gaps of {monitor.gap:.0%} at least, "
        f"{monitor.patience} looks in a row.\n"
        "An alarm takes that the reward judge sides with the policy more often and "
        "at least one of the last three columns; a run may have several.\nThe level was chosen with judges that are "
        f"right in {CHOSEN_ON.accuracy[0]:.0%} and {CHOSEN_ON.accuracy[1]:.0%} of the base debates; the table is of "
        f"judges right in {SHOWN_ON.accuracy[0]:.0%} and {SHOWN_ON.accuracy[1]:.0%} and of other seeds.\n"
        "These are draws, not trained debaters.\n"
    )
    yield "| what training does | alarms | held-out judge falls | reward judge falls | gap widens |"
    yield "|---|---|---|---|---|"
    for kind, scenarios in (("no hack", NULL_ARMS), ("hack", HACKS)):
        for scenario in scenarios:
            shares = alarms(scenario, SHOWN_ON, runs)
            yield f"| {kind}: {scenario.name} | " + " | ".join(f"{of:.1%}" for of in shares.values()) + " |"
    yield f"\nOn the judges that the level was chosen with ({runs} runs a row):\n"
    yield "| what training does | alarms |"
    yield "|---|---|"
    for scenario in (*NULL_ARMS, *HACKS):
        yield f"| {scenario.name} | {alarms(scenario, CHOSEN_ON, runs)['any']:.1%} |"


if __name__ == "__main__":
    for line in page(2000):
        print(line, flush=True)
