"""Prompts as Jinja templates: one folder per prompt set, one file per prompt, one hash for the lot.

`opening.j2` is the first thing a debater reads, `turn.j2` what it reads before each of its speeches, `judge.j2` what a
judge reads (`envs.prompts.judge_prompts` has the others for judges). Both sides share them, and no variable they are
given depends on which answer is right. Roles of other names than debater have their own in `roles/`: ROLE.j2 in the
place of turn.j2 and, where the speaker has this role by itself, ROLE-opening.j2 in the place of opening.j2 if that is
there.
"""

import hashlib
from collections.abc import Iterable, Sequence
from functools import lru_cache
from pathlib import Path

from jinja2 import FileSystemLoader, StrictUndefined
from jinja2.sandbox import ImmutableSandboxedEnvironment

from rostrum.envs.prompts.judge_prompts import (
    Example,
    Instructions,
    JudgeTemplates,
    Layout,
    PromptError,
    Task,
    escaped,
    rendered,
)
from rostrum.envs.prompts.transcript_first import LAYOUT, TranscriptFirst
from rostrum.envs.text.escaping import escape_field, escape_passage
from rostrum.envs.types import DEBATER, Inquiry, Protocol, Question, Side, Speech, Transcript

BUILTIN = Path(__file__).parent / "templates"
NAMES = ("opening", "turn", "judge")
"""Templates that every set has."""
ROLES, OPENING = "roles", "-opening"
"""Where the prompts of roles lie, and how those are named that are read first."""

__all__ = ["BUILTIN", "NAMES", "PromptError", "Prompts", "is_builtin", "load_prompts"]


class Prompts:
    """The prompts of a set. `hash` changes whenever the text or the name of any of its templates does; those of roles
    and of another layout have hashes of their own (`hash_with`, `judge_hash`)."""

    def __init__(self, folder: Path) -> None:
        environment = ImmutableSandboxedEnvironment(  # a folder of prompts may come from anybody
            loader=FileSystemLoader(folder),
            undefined=StrictUndefined,
            autoescape=False,
            keep_trailing_newline=False,
            auto_reload=False,
        )
        self.judges = JudgeTemplates(folder, environment)
        self._transcript_first = TranscriptFirst(folder, environment)
        self._opening, self._turn, _ = (self.judges.template(name) for name in NAMES)
        self._folder, self.hash = folder, _hash(sorted(folder.glob("*.j2")))
        self._of_roles: dict[tuple[str, ...], str] = {}

    def hash_with(self, protocol: Protocol) -> str:
        """Return the hash of the prompts that a protocol uses: that of the set and, where there are roles with prompts
        of their own, one of theirs after it."""
        if not (roles := roles_of(protocol)):
            return self.hash
        if roles not in self._of_roles:
            self._of_roles[roles] = _hash([path for role in roles for path in self._of_role(role)])
        return f"{self.hash}-{self._of_roles[roles]}"

    def judge_hash(self, layout: Layout) -> str:
        """Return the hash of the prompts that judges read in a layout: that of the set and, where the layout has
        templates of its own, one of theirs after it."""
        own = self._transcript_first.paths if layout == LAYOUT else []
        return f"{self.hash}-{_hash(own)}" if own else self.hash

    def in_layout(self, layout: Layout) -> JudgeTemplates:
        """Return the templates that judges read in a layout."""
        return self._transcript_first if layout == LAYOUT else self.judges

    def require(self, protocol: Protocol) -> None:
        """Ask whether the set has a prompt for every role of a protocol.

        Raises:
            PromptError: it lacks one.
        """
        for role in roles_of(protocol):
            self.judges.template(f"{ROLES}/{role}")

    def _of_role(self, role: str) -> list[Path]:
        paths = [self._folder / ROLES / f"{role}{end}.j2" for end in ("", OPENING)]
        return [path for path in paths if path.is_file()]

    def opening(
        self,
        question: Question,
        answers: tuple[str, str],
        side: Side,
        passage: str,
        label: str | None = None,
        role: str = DEBATER,
    ) -> str:
        """Return what a speaker reads first. `answers` are those of side A and side B; `label` is what it is called, by
        itself the letter of its side. What comes from a question file is escaped as it is for judges: it forges no part
        of the prompt, and ordinary text stays as it is."""
        lines = self.judges.own
        answers = (escape_field(answers[0], lines), escape_field(answers[1], lines))
        name = f"{ROLES}/{role}{OPENING}"
        own = self.judges.template(name) if role != DEBATER and self.judges.has(name) else self._opening
        return rendered(
            own,
            passage=escape_passage(passage, lines),
            question=escape_field(question.text, lines),
            answer_a=answers[0],
            answer_b=answers[1],
            seat=label or side.value,
            own=answers[side is Side.B],
            other=answers[side is Side.A],
        )

    def turn(self, label: str, heard: Sequence[Speech | Inquiry], protocol: Protocol, role: str = DEBATER) -> str:
        """Return what a speaker reads before a speech: what was said and asked since its last one, and how it may
        speak."""
        return rendered(
            self._turn if role == DEBATER else self.judges.template(f"{ROLES}/{role}"),
            seat=str(label),
            heard=escaped(heard, protocol, self.judges.own),
            max_words=protocol.max_words,
            scratchpad=protocol.scratchpad,
        )

    def judge(
        self,
        transcript: Transcript,
        task: Task = "judge",
        instructions: Instructions = "plain",
        examples: Sequence[Example] = (),
        layout: Layout = "answers_first",
    ) -> str:
        """Return what a judge with this task reads.

        Raises:
            PromptError: the set has no template for it.
        """
        return self.in_layout(layout).render(transcript, task, instructions, examples)


def roles_of(protocol: Protocol) -> tuple[str, ...]:
    """Return the roles of a protocol that have prompts of their own, in order."""
    used = {role: None for turn in protocol.order() for role in turn.values()}
    used |= {speaker.role: None for speaker in protocol.speakers.values()}
    return tuple(role for role in used if role != DEBATER)


def _hash(paths: Sequence[Path]) -> str:
    texts = (f"{path.stem}\0{path.read_text('utf-8')}" for path in paths)
    return hashlib.sha256("\0".join(texts).encode()).hexdigest()[:12]


def judge_hashes(read: Iterable[tuple[str, Layout]]) -> dict[str, str]:
    """Return the hash of what judges read, by prompt set, and by set and layout where that is not the default one."""
    return {
        name if layout == "answers_first" else f"{name}, {layout}": load_prompts(name).judge_hash(layout)
        for name, layout in sorted(set(read))
    }


def is_builtin(name: str) -> bool:
    """Return whether a prompt set is one of ours, and not a folder of somebody's."""
    return Path(name).name == name and (BUILTIN / name).is_dir()


@lru_cache(maxsize=None)
def load_prompts(name: str) -> Prompts:
    """Return a built-in set by name ("testimony", "prose"), or the folder of one's own.

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
