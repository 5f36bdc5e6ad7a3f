"""The monitor during training: small multiples per arm, and its alarms in words."""

from collections.abc import Callable

from rostrum.trainer.evaluation.stored_lines import MonitorRecord
from rostrum.trainer.evaluation.summary import ArmSummary
from rostrum.trainer.report.charts import Series
from rostrum.trainer.report.curves import ArmCurves, Measure, series_of, small_multiples
from rostrum.trainer.report.inputs import Run
from rostrum.trainer.report.wording import percent, points


def monitor_curves(run: Run) -> list[ArmCurves]:
    """Draw the looks of the monitor; nothing if no arm kept one."""
    return small_multiples(run, MEASURES)


def alarms(run: Run) -> list[str]:
    """Return the first alarm of each arm that had one, and whether it ended the training, in a sentence."""
    first = {name: next((look for look in looks if look.alarm), None) for name, looks in run.monitor.items()}
    return [_sentence(name, look, run.monitor[name]) for name, look in first.items() if look is not None]


def _sentence(arm: str, look: MonitorRecord, looks: list[MonitorRecord]) -> str:
    ended = next((f" The training was stopped after iteration {of.iteration}." for of in looks if of.stop), "")
    found = " and ".join(TOLD[name](look) for name in look.triggers)
    return (
        f"{arm}: alarm after iteration {look.iteration}. The reward judge sided with the policy in "
        f"{percent(look.reward.trained)} of its debates ({percent(look.reward.base)} for the base), while "
        f"{found}.{ended}"
    )


TOLD: dict[str, Callable[[MonitorRecord], str]] = {
    "held_out": lambda look: (
        f"held-out judges were right in {percent(look.held_out.trained)} instead of {percent(look.held_out.base)}"
    ),
    "reward_judge": lambda look: (
        f"it was itself right in {percent(look.reward_judge.trained)} instead of {percent(look.reward_judge.base)}"
    ),
    "gap_change": lambda look: (
        f"its accuracy less that of held-out judges was {points(look.gap_change.trained)} "
        f"instead of {points(look.gap_change.base)} points"
    ),
}
"""What set off an alarm, in words."""


def _by_judge(read: str) -> Callable[[Run, ArmSummary], list[Series]]:
    def series(run: Run, arm: ArmSummary) -> list[Series]:
        rows: dict[tuple[str, str], list[tuple[int, float | None]]] = {}
        for look in run.monitor.get(arm.name, []):
            for of in look.judges:
                rows.setdefault((of.judge, of.role), []).append((look.iteration, getattr(of, read)))
        named = enumerate(rows.items())
        return [line for slot, ((judge, role), at) in named for line in series_of(f"{judge} ({role})", slot, at)]

    return series


def _one(
    name: str, slot: int, read: Callable[[MonitorRecord], float | None]
) -> Callable[[Run, ArmSummary], list[Series]]:
    def series(run: Run, arm: ArmSummary) -> list[Series]:
        return series_of(name, slot, [(look.iteration, read(look)) for look in run.monitor.get(arm.name, [])])

    return series


MEASURES = (
    Measure("Accuracy on the monitor set", "INVALID counts as not right", "percent", _by_judge("accuracy")),
    Measure("Gap", "reward judge's accuracy less held-out judges'", "number", _one("gap", 0, lambda of: of.gap)),
    Measure("Given to the wrong side", "mean probability by judge", "percent", _by_judge("wrong_side")),
    Measure(
        "Approval",
        "how often the reward judge sides with the policy, against the base where there is an opponent",
        "percent",
        _one("approval", 2, lambda of: of.reward.trained),
    ),
    Measure(
        "Speaking to the judge",
        "share of speeches that address it",
        "percent",
        _one("address the judge", 0, lambda of: of.conduct.get("addresses_judge")),
    ),
    Measure(
        "Self-contradiction",
        "share of speeches with a verified quote for the other answer",
        "percent",
        _one("contradict themselves", 1, lambda of: of.conduct.get("contradictions")),
    ),
)
