"""How an audit's numbers are put into words, on the page and in the terminal.

Everything here reads audit.json: an `Arm` is one judge's object in it, an `Estimate` an object with `estimate`, `low`,
`high` and `n`. A part that was skipped, or a number that could not be measured, is a dash.
"""

from collections import defaultdict
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

from rostrum.trainer.report.wording import MISSING, percent, percent_range, points, points_range

Arm = Mapping[str, Any]
Estimate = Mapping[str, Any] | None


class Unit(NamedTuple):
    """How a threshold's figure is written."""

    write: Callable[[float | None], str]
    ranged: Callable[[float | None, float | None], str]
    after: str
    """What stands after the limit."""


_SHARE = Unit(percent, percent_range, "\N{NO-BREAK SPACE}%")
_POINTS = Unit(lambda value: f"{points(value)} points", points_range, " points")
UNITS = defaultdict(lambda: _SHARE, position_bias=_POINTS, length_bias=_POINTS, unverified_shift=_POINTS)
"""By threshold."""


class Column(NamedTuple):
    """A column of the table of judges."""

    heading: str
    value: Callable[[Arm], str]
    small: Callable[[Arm], str] = lambda arm: ""

    def short(self, arm: Arm) -> str:
        """Return value and small print in one line, for a terminal."""
        small = self.small(arm)
        return f"{self.value(arm)} ({small})" if small else self.value(arm)


def found(arm: Arm, *path: str) -> Any:
    """Return what lies at a place in an arm's findings; None if it is not there."""
    value: Any = arm["found"]
    for name in path:
        value = None if value is None else value.get(name)
    return value


def share(estimate: Estimate) -> str:
    """Return an estimate as a percentage."""
    return MISSING if estimate is None else percent(estimate["estimate"])


def share_range(estimate: Estimate) -> str:
    """Return its interval."""
    return "" if estimate is None else percent_range(estimate["low"], estimate["high"])


def change(estimate: Estimate) -> str:
    """Return an estimate as signed percentage points."""
    return MISSING if estimate is None else points(estimate["estimate"])


def change_range(estimate: Estimate) -> str:
    """Return its interval."""
    return "" if estimate is None else points_range(estimate["low"], estimate["high"])


def number(value: float | None, decimals: int = 3) -> str:
    """Return a plain number."""
    return MISSING if value is None else f"{value:.{decimals}f}".replace("-", "\N{MINUS SIGN}")


def seconds(value: float | None) -> str:
    """Return a time per verdict, in a unit that suits it."""
    if value is None:
        return MISSING
    return f"{1000 * value:.1f} ms" if value < 1 else f"{value:.1f} s"


def dollars(value: float | None) -> str:
    """Return money for a thousand verdicts."""
    return MISSING if value is None else f"${value:,.2f}"


def outcome(passed: bool) -> str:
    """Return what an audit comes to."""
    return "PASS" if passed else "FAIL"


def result(check: Mapping[str, Any]) -> str:
    """Return what one threshold comes to."""
    return "not measured" if check["passed"] is None else outcome(check["passed"])


def asked(check: Mapping[str, Any]) -> str:
    """Return what a threshold asks for."""
    space = "" if check["must"].endswith("±") else " "
    return f"must {check['must']}{space}{100 * check['limit']:g}{UNITS[check['threshold']].after}"


def measured(check: Mapping[str, Any]) -> str:
    """Return what was measured for a threshold, with its interval."""
    unit = UNITS[check["threshold"]]
    if check["measured"] is None:
        return "these debates do not tell"
    return f"{unit.write(check['measured'])} ({unit.ranged(check['low'], check['high'])})"


def sentence(check: Mapping[str, Any]) -> str:
    """Return a threshold, what was measured and what was asked for."""
    return f"{check['what']}: {measured(check)}, {asked(check)}"


COLUMNS = (
    Column("judge", lambda arm: arm["name"], lambda arm: arm["role"]),
    Column("result", lambda arm: outcome(arm["passed"])),
    Column(
        "accuracy",
        lambda arm: share(found(arm, "accuracy", "invalid_dropped")),
        lambda arm: share_range(found(arm, "accuracy", "invalid_dropped")),
    ),
    Column(
        "position bias δ",
        lambda arm: change(found(arm, "position", "delta")),
        lambda arm: change_range(found(arm, "position", "delta")),
    ),
    Column(
        "swap consistency",
        lambda arm: share(found(arm, "position", "swap_consistency")),
        lambda arm: share_range(found(arm, "position", "swap_consistency")),
    ),
    Column("Brier", lambda arm: number(found(arm, "calibration", "brier", "score", "estimate"))),
    Column("log score", lambda arm: number(found(arm, "calibration", "log_loss", "estimate"))),
    Column(
        "ECE without chance",
        lambda arm: share(found(arm, "calibration", "ece_debiased")),
        lambda arm: share_range(found(arm, "calibration", "ece_debiased")),
    ),
    Column("INVALID", lambda arm: share(found(arm, "invalid", "rate"))),
    Column("time a verdict", lambda arm: seconds(found(arm, "cost", "seconds_per_verdict"))),
    Column("1,000 verdicts", lambda arm: dollars(found(arm, "cost", "dollars_per_1000"))),
)
"""Of the table of judges: one row each."""
