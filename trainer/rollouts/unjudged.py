"""Stops what goes on without a single verdict: nothing could be learned from it, and nothing measured."""

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

from rostrum.envs.types import Failure
from rostrum.rewards.trial import shown
from rostrum.rewards.types import Verdict
from rostrum.trainer.rollouts.arena import NOT_PLAYED


class NothingJudgedError(RuntimeError):
    """No debate was finished, or no verdict on one is valid; the message gives the commonest reason."""


def check_judged(what: str, verdicts: Sequence[Verdict], failures: Sequence[Failure] = ()) -> None:
    """Ask for one valid verdict among those on finished debates.

    Raises:
        NothingJudgedError: there is none, though there are debates.
    """
    reasons = [verdict.reason for verdict in verdicts if not verdict.valid]
    if len(reasons) < len(verdicts) or not (verdicts or failures):
        return
    unreadable = next((verdict.unreadable for verdict in verdicts if verdict.unreadable), "")
    raise NothingJudgedError(_sentence(what, [failure.reason for failure in failures], reasons, unreadable))


def check_rows(what: str, rows: Sequence[Mapping[str, Any]], unreadable: str = "") -> None:
    """Ask for one valid verdict among rows of a verdict table, in which a debate that failed is INVALID.

    Raises:
        NothingJudgedError: there is none, though there are rows.
    """
    if not rows or any(row["valid"] for row in rows):
        return
    judges = len({row.get("judge") for row in rows})
    reasons = [str(row["reason"]) for row in rows]
    failed = sorted(reason.removeprefix(NOT_PLAYED) for reason in reasons if reason.startswith(NOT_PLAYED))
    judged = [reason for reason in reasons if not reason.startswith(NOT_PLAYED)]
    failed = failed[::judges]  # each judge has a row of it
    raise NothingJudgedError(_sentence(what, failed, judged, unreadable))


def _sentence(what: str, failed: Sequence[str], judged: Sequence[str], unreadable: str) -> str:
    ((reason, times),) = Counter([*failed, *judged]).most_common(1)
    parts = ([f"{len(failed)} debates failed"] if failed else []) + (
        [f"{len(judged)} verdicts are INVALID"] if judged else []
    )
    text = f"; one text of the judge's reads {shown(unreadable)!r}" if unreadable else ""
    return (
        f"There is not one valid verdict in {what}: {' and '.join(parts)}, {times} of them because {reason}{text}. "
        "Look at one with `rostrum debate`, then change the judge (judge.model, judge.format, judge.prompts), the "
        "protocol or debater.max_tokens."
    )
