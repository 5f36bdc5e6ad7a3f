"""Prompts that tell a debate before its answers have letters, so that both presentation orders begin alike.

Debaters are called X and Y in them, whichever answer they defend. The letters A and B come behind the last speech, each
with the debater that defends the answer. So the second reading differs from the first in these last lines alone, and an
engine that keeps what it has read finds the transcript there.

The templates lie in the folder `transcript_first` of a prompt set, by the names of the set's own. They are given what
those are given, but for `speeches`, whose `seat` is X or Y, and besides `defenders_a` and `defenders_b`: the labels of
who defends each answer.
"""

import hashlib
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any, get_args

from jinja2 import Environment, Template

from rostrum.envs.prompts.judge_prompts import Instructions, JudgeTemplates, Layout, PromptError, Task
from rostrum.envs.prompts.own_lines import LETTERS, OwnLines
from rostrum.envs.types import Side, Transcript

LAYOUT: Layout = "transcript_first"
"""The folder of a set's templates for it, too."""
NAMES = ("X", "Y")


class TranscriptFirst(JudgeTemplates):
    """A prompt set's templates for judges that read the transcript first. Instructions are the set's own."""

    def __init__(self, folder: Path, environment: Environment) -> None:
        self._folder, self._environment = folder, environment
        self.paths = sorted((folder / LAYOUT).glob("*.j2"))
        for path in self.paths:
            self.read(f"{LAYOUT}/{path.stem}")
        self.own = OwnLines(folder, environment, [LAYOUT], (*LETTERS, *NAMES))

    def require(self, task: Task, instructions: Instructions = "plain", examples: bool = False) -> None:
        """Ask whether the set has what such a prompt is made of.

        Raises:
            PromptError: it has no prompts of this layout, or lacks a template.
        """
        if not self.paths:
            raise PromptError(
                f"The prompt set {self._folder} has no prompts for judge.layout={LAYOUT}: add {LAYOUT}/{task}.j2, "
                "choose judge.prompts=chat or prose, or leave judge.layout out."
            )
        super().require(task, instructions, examples)

    def template(self, name: str) -> Template:
        """Return a template of the layout by its name.

        Raises:
            PromptError: the set has none of this name.
        """
        return self.read(name if name in get_args(Instructions) else f"{LAYOUT}/{name}")

    def debate(self, transcript: Transcript) -> dict[str, Any]:
        """Return the variables that tell a debate, escaped. All but those of the answers are the same when its sides
        are relabelled."""
        names, protocol = names_of(transcript), transcript.protocol
        defenders = {
            side: [_renamed(protocol.label(speaker, side), names) for speaker in protocol.on(side)] for side in Side
        }
        asked = tuple(inquiry.renamed(names) for inquiry in transcript.inquiries)
        told = super().debate(replace(transcript, inquiries=asked))
        speeches = [
            said if said["seat"] == "judge" else {**said, "seat": _renamed(said["seat"], names)}
            for said in told["speeches"]
        ]
        return {**told, "speeches": speeches, "defenders_a": defenders[Side.A], "defenders_b": defenders[Side.B]}


def names_of(transcript: Transcript) -> Mapping[Side, str]:
    """Return what each side is called, which stays with its speakers when the sides are relabelled.

    The question's hash decides whether X or Y is who speaks first. So the name says nothing of the letter, and nothing
    of the answer: of the two seatings of a question, each answer is defended by X in one.
    """
    first = next((speaker.side for speaker in transcript.protocol.speakers.values()), Side.A)
    drawn = hashlib.sha256(f"name:{transcript.question.id}".encode()).digest()[0] % 2
    return {first: NAMES[drawn], first.other: NAMES[1 - drawn]}


def _renamed(label: str, names: Mapping[Side, str]) -> str:
    """Return a label with the side's name in the place of its letter."""
    return names[Side(label[0])] + label[1:]
