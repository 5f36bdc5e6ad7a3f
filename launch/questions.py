"""`rostrum questions ACTION`: what can be asked about a question set before anything is trained on it."""

import json
import sys
from collections.abc import Callable, Sequence

from launch import compose
from launch.errors import LaunchError


def questions(words: Sequence[str]) -> int:
    """Carries out the action that the first word names; the others are overrides of the configuration."""
    action, *overrides = words or [""]
    if action not in ACTIONS:
        known = " or ".join(ACTIONS)
        raise LaunchError(f"Write `rostrum questions {known} KEY=VALUE ...`: {action!r} is no action.")
    return ACTIONS[action](overrides)


def _audit(overrides: Sequence[str]) -> int:
    """One JSON object on standard output and nothing else there."""
    from trainer.audit import audit

    settings = compose.load(overrides).questions
    found = {"questions": settings.model_dump(mode="json"), **audit(settings.load())}
    json.dump(found, sys.stdout, indent=1, ensure_ascii=False)
    sys.stdout.write("\n")
    return 0


ACTIONS: dict[str, Callable[[Sequence[str]], int]] = {"audit": _audit}
