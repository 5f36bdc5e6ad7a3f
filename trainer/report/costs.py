"""What each arm's training cost, from the figures of the machine that its metrics hold."""

from collections.abc import Sequence
from dataclasses import dataclass

from rostrum.trainer.report.inputs import Metrics, Run

PARTS = ("playing", "judging", "learning", "publishing")
"""Parts of an iteration whose shares of the time are shown; the rest is saving, checking and waiting. Playing overlaps
with judging where one of the two is in other processes, and with learning with `algorithm.staleness=1`: the shares may
be more than the whole."""


@dataclass(frozen=True, slots=True)
class ArmCost:
    """One arm's training. None stands for what was not recorded."""

    arm: str
    debates: int
    hours: float
    gpu_hours: float | None
    shares: tuple[float | None, ...]
    """Of the time, by `PARTS`."""
    sampled: float | None
    """Tokens of speeches per second of playing."""
    judged: float | None
    learned: float | None
    mfu: float | None
    memory: float | None
    """The largest peak of the main process, GB."""
    per_point: float | None
    """GPU-hours, or hours where there was no GPU, per percentage point by which the reward judge's accuracy rose; None
    where it did not."""


def costs(run: Run) -> list[ArmCost]:
    """Return the cost of each arm whose metrics have the time of its iterations."""
    rose = {arm.name: row.change for arm in run.summary.arms for row in arm.accuracy[:1] if row.headline == "raised"}
    found = []
    for name, rows in run.metrics.items():
        timed = [row for row in rows if row.number("iteration_seconds")]
        if timed:
            found.append(_cost(name, timed, rose.get(name)))
    return found


def _cost(arm: str, rows: Sequence[Metrics], change: float | None) -> ArmCost:
    seconds = _total(rows, "iteration_seconds") or 0.0
    hours, gpu_hours = seconds / 3600, _total(rows, "gpu_hours")
    parts = [_total(rows, f"{part}_seconds") for part in PARTS]
    spent = hours if gpu_hours is None else gpu_hours
    memory = [peak for row in rows if (peak := row.number("peak_memory_gb")) is not None]
    return ArmCost(
        arm,
        round(_total(rows, "debates") or 0),
        hours,
        gpu_hours,
        tuple(None if part is None else part / seconds for part in parts),
        _rate(rows, "sampled_tokens_per_second", "playing_seconds"),
        _rate(rows, "judged_tokens_per_second", "judging_seconds"),
        _rate(rows, "learned_tokens_per_second", "learning_seconds"),
        _rate(rows, "mfu", "learning_seconds"),
        max(memory, default=None),
        spent / (100 * change) if change else None,
    )


def _total(rows: Sequence[Metrics], name: str) -> float | None:
    values = [value for row in rows if (value := row.number(name)) is not None]
    return sum(values) if values else None


def _rate(rows: Sequence[Metrics], name: str, seconds: str) -> float | None:
    """Return the mean of a rate over the seconds that it is of."""
    pairs = [(rate, row.number(seconds) or 0.0) for row in rows if (rate := row.number(name)) is not None]
    time = sum(of for _, of in pairs)
    return sum(rate * of for rate, of in pairs) / time if time else None
