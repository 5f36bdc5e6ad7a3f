"""Example speeches that a speaker has before it: earlier turns of its own in debates about other passages."""

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

from pydantic import Field

from rostrum.envs.debate import Debate, Utterance
from rostrum.envs.prompts.prompt_sets import Prompts
from rostrum.envs.text.evidence import QuoteRule
from rostrum.envs.types import Protocol, Question, Side
from rostrum.trainer.engines.formats import Format
from rostrum.trainer.reading import Open, read_yaml

BUILTIN = Path(__file__).parents[2] / "envs" / "prompts" / "examples.yaml"
REMEDY = "give a YAML list of examples, as envs/prompts/examples.yaml is one"

Pair = Annotated[list[str], Field(min_length=2, max_length=2)]


class ExampleEntry(Open):
    """An example in a file."""

    passage: str
    question: str
    answers: Pair
    speeches: Pair


class ExampleError(ValueError):
    """Example speeches that cannot be used; the message says what to do."""


@dataclass(frozen=True, slots=True)
class Example:
    """A passage of its own, a question about it, and a speech for each of its answers. Nothing says which is right."""

    question: Question
    speeches: tuple[str, str]

    def told(self, speaker: str, protocol: Protocol, prompts: Prompts) -> str:
        """Return what a speaker would be told before its first speech if it spoke first in a debate about it."""
        debate = Debate(self.question, protocol, False, prompts)
        debate.turn = next(turn for turn, speaking in enumerate(protocol.order()) if speaker in speaking)
        return debate.told(speaker)

    def said(self, side: Side, told: str, fmt: Format) -> Utterance:
        """Return the speech for the answer of a side as it would have been sampled after what was told."""
        text = self.speeches[side is Side.B]
        tokens = tuple(fmt.choice(text, told))
        return Utterance(text, tokens, (0.0,) * len(tokens), "length")  # the format closes the turn


def load_examples(path: Path | None, protocol: Protocol, prompts: Prompts, rule: QuoteRule) -> tuple[Example, ...]:
    """Return the examples of a file, or ours (None).

    Raises:
        DamagedError: the file holds none.
        ExampleError: one does not do itself what is to be shown: keep the limits, and quote.
    """
    read = read_yaml(path or BUILTIN, REMEDY, list[ExampleEntry])
    found = tuple(_example(number, entry) for number, entry in enumerate(read, 1))
    for number, example in enumerate(found, 1):
        for side in protocol.sides:
            _check(example, side, protocol, prompts, rule, f"Example {number} of {path or BUILTIN}")
    return found


def _example(number: int, entry: ExampleEntry) -> Example:
    first, second = entry["answers"]
    one, other = entry["speeches"]
    name = f"example-{number}"
    return Example(Question(name, name, entry["question"], (first, second), entry["passage"]), (one, other))


def _check(example: Example, side: Side, protocol: Protocol, prompts: Prompts, rule: QuoteRule, where: str) -> None:
    debate = Debate(example.question, protocol, False, prompts)
    speaker = next(name for name in protocol.on(side))
    debate.turn = next(turn for turn, speaking in enumerate(protocol.order()) if speaker in speaking)
    speech = debate.speech(speaker, Utterance(example.speeches[side is Side.B]))
    if not rule.counting(speech, (), protocol.max_words):
        raise ExampleError(
            f"{where} has a speech for {example.question.answers[side is Side.B]!r} without one quote that counts: "
            f"it needs one of {rule.min_words} words from its passage, in at most protocol.max_words="
            f"{protocol.max_words} words of which at most {rule.most_share:.0%} are quotes; change the speech, or the "
            "limit."
        )
