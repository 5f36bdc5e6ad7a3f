"""Example speeches that a speaker has before it, as earlier turns of its own: about other passages and its own."""

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

from pydantic import Field

from rostrum.envs.debate import Debate, Utterance
from rostrum.envs.prompts.prompt_sets import Prompts
from rostrum.envs.text.evidence import QuoteRule
from rostrum.envs.text.quotable import sentence_for
from rostrum.envs.text.quotes import count_words
from rostrum.envs.types import Protocol, Question, Side
from rostrum.trainer.engines.formats import Format
from rostrum.trainer.reading import Open, read_yaml

REMEDY = "give a YAML list of examples, each with passage, question, two answers and two speeches"

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
        return _utterance(self.speeches[side is Side.B], told, fmt)


@dataclass(frozen=True, slots=True)
class OwnExample:
    """An example that is made for each speaker: a sentence of its passage that speaks for its answer, as a quote."""

    speech: str
    """What is said, with {quote} and {answer} in it."""
    rule: QuoteRule

    def said(self, debate: Debate, speaker: str, told: str, fmt: Format) -> Utterance | None:
        """Return such a speech; None where the passage has no sentence that fits and was not quoted before."""
        side = debate.protocol.speakers[speaker].side
        answer = debate.answers[side is Side.B]
        around = count_words(self.speech.format(quote="", answer=answer))
        share = self.rule.most_share
        most = round(around * share / (1 - share)) if share < 1 else MOST
        lengths = range(self.rule.min_words, min(most, debate.protocol.max_words - around, MOST) + 1)
        before = [" ".join(speech.text.split()) for speech in debate.speeches]
        sentence = sentence_for(answer, debate.shown, lengths, before)
        if sentence is None:
            return None
        return _utterance(self.speech.format(quote=sentence, answer=answer), told, fmt)


MOST = 25
"""Words that a sentence has at most if it is to be an example of a quote."""


def _utterance(text: str, told: str, fmt: Format) -> Utterance:
    """Return a text as it would have been sampled after what was told."""
    tokens = tuple(fmt.choice(text, told))
    return Utterance(text, tokens, (0.0,) * len(tokens), "length")  # the format closes the turn


def load_examples(path: Path | None, protocol: Protocol, prompts: Prompts, rule: QuoteRule) -> tuple[Example, ...]:
    """Return the examples of a file; nothing where there is no file.

    Raises:
        DamagedError: the file holds none.
        ExampleError: one does not do itself what is to be shown: keep the limits, and quote.
    """
    read = [] if path is None else read_yaml(path, REMEDY, list[ExampleEntry])
    found = tuple(_example(number, entry) for number, entry in enumerate(read, 1))
    for number, example in enumerate(found, 1):
        for side in protocol.sides:
            _check(example, side, protocol, prompts, rule, f"Example {number} of {path}")
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
