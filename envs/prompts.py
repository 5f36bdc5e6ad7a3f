"""Prompts as Jinja templates: one folder per prompt set, one file per prompt, one hash for the lot.

`opening.j2` is the first thing a debater reads, `turn.j2` what it reads before each of its speeches, `judge.j2` what a
judge reads. Both sides share them, and no variable they are given depends on which answer is right.
"""

import hashlib
from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path

from jinja2 import Environment, FileSystemLoader, StrictUndefined, TemplateNotFound

from envs.escaping import escape_speech
from envs.types import Protocol, Question, Seat, Speech, Transcript

BUILTIN = Path(__file__).parent / "templates"
NAMES = ("opening", "turn", "judge")


class PromptError(ValueError):
    """A prompt set that cannot be used; the message says what to do."""


class Prompts:
    """The three prompts of a set. `hash` changes whenever any of their texts does."""

    def __init__(self, folder: Path) -> None:
        environment = Environment(
            loader=FileSystemLoader(folder), undefined=StrictUndefined, autoescape=False, keep_trailing_newline=False
        )
        try:
            self._opening, self._turn, self._judge = (environment.get_template(f"{name}.j2") for name in NAMES)
        except TemplateNotFound as missing:
            raise PromptError(f"The prompt set {folder} has no {missing.name}: add that template.") from None
        texts = "\0".join((folder / f"{name}.j2").read_text("utf-8") for name in NAMES)
        self.hash = hashlib.sha256(texts.encode()).hexdigest()[:12]

    def opening(self, question: Question, answers: tuple[str, str], seat: Seat, passage: str) -> str:
        """What a debater reads first. `answers` are those of seat A and seat B."""
        return self._opening.render(
            passage=passage, question=question.text, answer_a=answers[0], answer_b=answers[1], seat=seat.value,
            own=answers[seat is Seat.B], other=answers[seat is Seat.A],
        )  # fmt: skip

    def turn(self, seat: Seat, heard: Sequence[Speech], protocol: Protocol) -> str:
        """What a debater reads before a speech: what was said since its last one, and how it may speak."""
        return self._turn.render(
            seat=seat.value, heard=_escaped(heard), max_words=protocol.max_words, scratchpad=protocol.scratchpad
        )

    def judge(self, transcript: Transcript) -> str:
        """What a judge reads: the question, the speeches in the order they were made, the passage if it may see it."""
        passage = transcript.question.passage if transcript.protocol.judge_sees_passage else ""
        return self._judge.render(
            passage=passage, question=transcript.question.text, answer_a=transcript.answers[0],
            answer_b=transcript.answers[1], speeches=_escaped(transcript.speeches),
            debaters=len(transcript.protocol.seats),
        )  # fmt: skip


def _escaped(speeches: Sequence[Speech]) -> list[dict[str, str]]:
    return [{"seat": speech.seat.value, "text": escape_speech(speech.text)} for speech in speeches]


@lru_cache(maxsize=None)
def load_prompts(name: str) -> Prompts:
    """A built-in set by name ("testimony", "prose"), or the folder of one's own.

    Raises:
        PromptError: no such set.
    """
    for folder in (BUILTIN / name, Path(name)):
        if folder.is_dir():
            return Prompts(folder)
    known = ", ".join(sorted(path.name for path in BUILTIN.iterdir()))
    raise PromptError(
        f"There is no prompt set {name!r}: use one of {known}, or a folder with opening.j2, turn.j2, judge.j2."
    )
