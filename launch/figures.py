"""What a command found, for programs: `--json` prints it as one JSON object instead of the tables and sentences."""

import json
import sys
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stdout
from contextvars import ContextVar
from typing import Any

COMMANDS = (
    "evaluate",
    "report",
    "audit",
    "demo",
    "study",
    "tournament",
    "compare",
    "ablate",
    "verify",
    "judge",
    "labels",
    "warmstart",
    "runs",
)
"""The commands that print figures."""
_kept: ContextVar[dict[str, Any] | None] = ContextVar("figures", default=None)


@contextmanager
def collected() -> Iterator[dict[str, Any]]:
    """Collect the figures of a command by name; what it says to people goes to standard error meanwhile."""
    found: dict[str, Any] = {}
    token = _kept.set(found)
    try:
        with redirect_stdout(sys.stderr):
            yield found
    finally:
        _kept.reset(token)


def keep(name: str, figures: Any) -> None:
    """Note what a command has found, if somebody collects it."""
    if (found := _kept.get()) is not None:
        found[name] = figures


def printed(found: dict[str, Any]) -> str:
    """Return figures as JSON in ASCII, so that no terminal obeys a name in it; a number that is not known is null."""
    from rostrum.trainer.records import jsonable

    return json.dumps(jsonable(found), indent=1)
