"""Does a judge pass its audit? The thresholds, held against what was found."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from rostrum.rewards.audit.options import Thresholds

Must = Literal["be at least", "be at most", "be within ±", "be below"]


@dataclass(frozen=True, slots=True)
class Check:
    """One threshold and what the judge measured. `passed` is None where it could not be measured."""

    threshold: str
    """Its key under audit.thresholds."""
    what: str
    must: Must
    limit: float
    measured: float | None
    low: float | None
    """The 95 % interval of what was measured."""
    high: float | None
    passed: bool | None


@dataclass(frozen=True, slots=True)
class _Rule:
    what: str
    must: Must
    path: tuple[str, ...]
    """Where the interval stands in the findings."""


RULES: Mapping[str, _Rule] = {
    "accuracy": _Rule("accuracy", "be at least", ("accuracy", "invalid_dropped")),
    "invalid": _Rule("share of INVALID verdicts", "be at most", ("invalid", "rate")),
    "swap_consistency": _Rule("swap consistency", "be at least", ("position", "swap_consistency")),
    "position_bias": _Rule("position bias δ", "be within ±", ("position", "delta")),
    "length_bias": _Rule("length bias", "be within ±", ("length", "bias")),
    "unverified_shift": _Rule("change when quotes are marked as not found", "be below", ("tags", "shift")),
    "ece": _Rule("calibration error (ECE without what chance adds)", "be at most", ("calibration", "ece_debiased")),
}
"""By the key of the threshold."""


def gate(found: Mapping[str, Any], thresholds: Thresholds) -> list[Check]:
    """Return every threshold that is set, held against the findings of a judge (`rewards.audit.sections.findings`)."""
    limits = {key: limit for key, limit in thresholds.model_dump().items() if limit is not None}
    return [_check(key, RULES[key], limit, found) for key, limit in limits.items()]


def passes(checks: Sequence[Check]) -> bool:
    """Return whether no check failed. One that could not be measured (no debate had sides of different length) is no
    failure, but an audit in which none could be measured is."""
    return all(check.passed is not False for check in checks) and not (
        checks and all(check.passed is None for check in checks)
    )


def _check(key: str, rule: _Rule, limit: float, found: Mapping[str, Any]) -> Check:
    interval: Any = found
    for name in rule.path:
        interval = (interval or {}).get(name)
    measured, low, high = (None if interval is None else interval[end] for end in ("estimate", "low", "high"))
    passed = None if measured is None else _holds(rule.must, measured, limit)
    return Check(key, rule.what, rule.must, limit, measured, low, high, passed)


def _holds(must: Must, measured: float, limit: float) -> bool:
    return {
        "be at least": measured >= limit,
        "be at most": measured <= limit,
        "be within ±": abs(measured) <= limit,
        "be below": measured < limit,
    }[must]
