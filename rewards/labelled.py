"""Debates of which it is known who was right: what judges are audited, calibrated and trained on. Never a reward's.

Stored as transcripts (`envs.transcripts`) whose `extra` holds either `correct_seat` ("A" or "B", a gold label) or
`target` (P(answer of side A), for example a human verdict with its confidence).
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rostrum.envs import transcripts
from rostrum.envs.types import AnswerKey, Side, Transcript

Label = Callable[[Transcript], float | None]
"""P(answer of side A is right), None where it is not known."""


class LabelledError(ValueError):
    """A file of labelled debates that cannot be used; the message is one sentence that says what to do."""


@dataclass(frozen=True, slots=True)
class Labelled:
    """A debate with its label."""

    transcript: Transcript
    target: float
    """P(answer of side A is right): 1 or 0 for a gold label, between them for a verdict with its confidence."""
    weight: float = 1.0
    """How much it counts when a judge learns from it, beside others; it is not stored."""

    @property
    def correct(self) -> Side:
        """The side that defends the likelier answer; A if both are equally likely."""
        return Side.A if self.target >= 0.5 else Side.B

    def swapped(self) -> "Labelled":
        """Return the same debate with the sides relabelled."""
        return Labelled(self.transcript.swapped(), 1 - self.target, self.weight)


def with_key(played: Iterable[Transcript], key: AnswerKey) -> list[Labelled]:
    """Return debates labelled with the gold answers."""
    return [Labelled(t, float(t.answer_index(Side.A) == key[t.question.id])) for t in played]


def write(path: Path, debates: Sequence[Labelled]) -> None:
    """Store the debates so that `read` gives them back."""
    transcripts.write(path, [debate.transcript for debate in debates], extra=[_extra(debate) for debate in debates])


def read(path: Path, label: Label | None = None) -> list[Labelled]:
    """Return every transcript of the file, failures left out. `label` tells the target of debates that have none.

    Raises:
        LabelledError: there is no such file, or one of its debates has no label.
        TranscriptError: a line is no transcript.
    """
    if not path.is_file():
        raise LabelledError(f"There is no file of labelled debates {path}: give one that an audit wrote.")
    found = []
    for number, (record, extra) in enumerate(transcripts.read_with_extra(path), 1):
        if isinstance(record, Transcript):
            known = None if label is None or {"correct_seat", "target"} & set(extra) else label(record)
            found.append(Labelled(record, _target(extra, f"{path}, record {number}") if known is None else known))
    if not found:
        raise LabelledError(f"{path} holds no debates: give a file that an audit wrote.")
    return found


def _extra(debate: Labelled) -> dict[str, Any]:
    if debate.target in (0.0, 1.0):
        return {"correct_seat": debate.correct.value}
    return {"target": debate.target}


def _target(extra: dict[str, Any], where: str) -> float:
    if extra.get("correct_seat") in ("A", "B"):
        return float(extra["correct_seat"] == "A")
    target = extra.get("target")
    if isinstance(target, int | float) and 0 <= target <= 1:
        return float(target)
    raise LabelledError(f'{where}: a labelled debate needs "correct_seat" ("A" or "B") or "target" (0 to 1) in extra.')
