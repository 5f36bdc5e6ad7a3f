"""Prompts as Jinja templates: one folder per prompt set, one file per prompt, one hash for the lot.

`opening.j2` is the first thing a debater reads, `turn.j2` what it reads before each of its speeches, `judge.j2` what a
judge reads (`envs.judge_prompts` has the others for judges). Both sides share them, and no variable they are given
depends on which answer is right.
"""

import hashlib
from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path

from jinja2 import FileSystemLoader, StrictUndefined
from jinja2.sandbox import ImmutableSandboxedEnvironment

from envs.judge_prompts import Example, Instructions, JudgeTemplates, PromptError, Task, escaped, rendered
from envs.types import Inquiry, Protocol, Question, Side, Speech, Transcript

BUILTIN = Path(__file__).parent / "templates"
NAMES = ("opening", "turn", "judge")
"""Templates that every set has."""

__all__ = ["BUILTIN", "NAMES", "PromptError", "Prompts", "is_builtin", "load_prompts"]


class Prompts:
    """The prompts of a set. `hash` changes whenever the text or the name of any of its templates does."""

    def __init__(self, folder: Path) -> None:
        environment = ImmutableSandboxedEnvironment(  # a folder of prompts may come from anybody
            loader=FileSystemLoader(folder),
            undefined=StrictUndefined,
            autoescape=False,
            keep_trailing_newline=False,
            auto_reload=False,
        )
        self.judges = JudgeTemplates(folder, environment)
        self._opening, self._turn, _ = (self.judges.template(name) for name in NAMES)
        texts = (f"{path.stem}\0{path.read_text('utf-8')}" for path in sorted(folder.glob("*.j2")))
        self.hash = hashlib.sha256("\0".join(texts).encode()).hexdigest()[:12]

    def opening(self, question: Question, answers: tuple[str, str], seat: Side, passage: str) -> str:
        """What a debater reads first. `answers` are those of seat A and seat B."""
        return rendered(
            self._opening,
            passage=passage,
            question=question.text,
            answer_a=answers[0],
            answer_b=answers[1],
            seat=seat.value,
            own=answers[seat is Side.B],
            other=answers[seat is Side.A],
        )

    def turn(self, seat: Side, heard: Sequence[Speech | Inquiry], protocol: Protocol) -> str:
        """What a debater reads before a speech: what was said and asked since its last one, and how it may speak."""
        return rendered(
            self._turn,
            seat=seat.value,
            heard=escaped(heard, self.judges.own),
            max_words=protocol.max_words,
            scratchpad=protocol.scratchpad,
        )

    def judge(
        self,
        transcript: Transcript,
        task: Task = "judge",
        instructions: Instructions = "plain",
        examples: Sequence[Example] = (),
    ) -> str:
        """What a judge with this task reads.

        Raises:
            PromptError: the set has no template for it.
        """
        return self.judges.render(transcript, task, instructions, examples)


def is_builtin(name: str) -> bool:
    """Whether a prompt set is one of ours, and not a folder of somebody's."""
    return Path(name).name == name and (BUILTIN / name).is_dir()


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
