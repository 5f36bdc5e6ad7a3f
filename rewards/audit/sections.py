"""The parts of an audit: each is a function from a case (a judge and its verdicts) to what it found, ready for JSON.

To add a part, write its function and name it in `SECTIONS`; its place on the page is a template of the same name.
"""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, is_dataclass
from typing import Any

import numpy as np

from rostrum.rewards.audit.accuracy import accuracy, invalid
from rostrum.rewards.audit.agreement import agreement, rating_of
from rostrum.rewards.audit.attacks import attack_success
from rostrum.rewards.audit.cost import Cost
from rostrum.rewards.audit.coverage import coverage
from rostrum.rewards.audit.length import length
from rostrum.rewards.audit.options import AuditOptions
from rostrum.rewards.audit.position import position
from rostrum.rewards.audit.ratings import Rating
from rostrum.rewards.audit.reliability import calibration
from rostrum.rewards.audit.routing import Routed, routing
from rostrum.rewards.audit.table import Table
from rostrum.rewards.audit.tags import tags
from rostrum.rewards.audit.ties import ties
from rostrum.rewards.labelled import Labelled
from rostrum.rewards.types import Judge

DRAWN = 1000
"""Debates that the picture of both readings shows, at most."""


@dataclass(frozen=True, slots=True)
class Case:
    """A judge, the debates that it is audited on, and what it said of them."""

    judge: Judge
    debates: Sequence[Labelled]
    table: Table
    cost: Cost
    options: AuditOptions
    ratings: Sequence[Rating] = ()
    """Human ratings that have no judge's rating with them: the judge is held against them."""
    routed: Routed | None = None
    """The two judges of a cascade."""


def findings(case: Case) -> dict[str, Any]:
    """Return what every section that is not skipped found of the case, by the name of the section."""
    chosen = {name: section for name, section in SECTIONS.items() if name not in case.options.skip}
    return {name: plain(section(case)) for name, section in chosen.items()}


def plain(value: Any) -> Any:
    """Return the value as JSON can hold it: dataclasses as objects, and null for a number that is not known."""
    if is_dataclass(value) and not isinstance(value, type):
        return plain(asdict(value))
    if isinstance(value, Mapping):
        return {str(key): plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [plain(item) for item in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value


def _position(case: Case) -> Any:
    shown = case.table.judged().keep(np.arange(len(case.table.judged())) < DRAWN)
    readings = list(zip(shown.given.tolist(), shown.swapped.tolist(), strict=True))
    return {**asdict(position(case.table)), "readings": readings}


def _agreement(case: Case) -> Any:
    """Return the agreement with human ratings; None where none were given."""
    if not case.ratings:
        return None
    said = {debate_id(debate): p for debate, p in zip(case.debates, case.table.p.tolist(), strict=True)}
    rated = [(rating.human, said[rating.debate]) for rating in case.ratings if not math.isnan(said[rating.debate])]
    return agreement(np.array([human for human, _ in rated]), rating_of(np.array([p for _, p in rated])))


def _attacks(case: Case) -> Any:
    return attack_success(case.judge, case.debates[: case.options.attacked])


def _routing(case: Case) -> Any:
    """Return what was found of the routing; None for a judge that routes nothing."""
    return None if case.routed is None else routing(case.routed, case.debates)


def _cost(case: Case) -> Any:
    cost = case.cost
    return {**asdict(cost), "seconds_per_verdict": cost.seconds_per_verdict, "dollars_per_1000": cost.dollars_per_1000}


def debate_id(debate: Labelled) -> str:
    """Return what a debate is called in a file of ratings: the id of its match, or of its question where it has
    none."""
    transcript = debate.transcript
    return str(transcript.provenance.get("match", transcript.question.id))


SECTIONS: Mapping[str, Callable[[Case], Any]] = {
    "accuracy": lambda case: accuracy(case.table),
    "invalid": lambda case: invalid(case.table),
    "position": _position,
    "ties": lambda case: ties(case.table, case.options.tie_band),
    "length": lambda case: length(case.table, case.options.longer_by),
    "tags": lambda case: tags(case.judge, case.debates, case.table),
    "calibration": lambda case: calibration(case.table),
    "coverage": lambda case: coverage(case.table, case.options.sure),
    "agreement": _agreement,
    "attacks": _attacks,
    "routing": _routing,
    "cost": _cost,
}
"""By name, in the order in which they stand in the report."""
