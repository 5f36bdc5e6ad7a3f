"""The nouns of the game, in the order in which they flow.

A question is argued under a protocol by debaters on two sides; their speeches make a transcript. Nothing here knows
which answer is right: the `AnswerKey` is a separate object, and only evaluation is given one.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from enum import StrEnum
from typing import Protocol as Interface

SCHEMA_VERSION = 1
"""Of stored transcripts. Raise it when a field changes meaning; `envs.transcripts` refuses other versions."""


class Side(StrEnum):
    """Which answer is defended: the first or the second of a transcript's. A consultancy has side A alone."""

    A = "A"
    B = "B"

    @property
    def other(self) -> "Side":
        return Side.B if self is Side.A else Side.A


@dataclass(frozen=True, slots=True)
class Question:
    """A question with two answers and the passage that decides between them. It does not say which is right."""

    id: str
    story_id: str
    text: str
    answers: tuple[str, str]
    passage: str


@dataclass(frozen=True, slots=True)
class AnswerKey:
    """Which answer is right (0 or 1), by question id. Given to evaluation only."""

    correct: Mapping[str, int]

    def __getitem__(self, question_id: str) -> int:
        return self.correct[question_id]


@dataclass(frozen=True, slots=True)
class Account:
    """What became of the questions of a source, in numbers."""

    read: int = 0
    dropped: Mapping[str, int] = field(default_factory=dict)
    """Questions left out, by reason, in the order in which the reasons were looked at."""
    could_not_tell: Mapping[str, int] = field(default_factory=dict)
    """Questions kept because they lack the annotations that a filter asks for, by filter."""
    wrong_answer_from: Mapping[str, int] = field(default_factory=dict)
    """How the wrong answer of each pair was chosen."""
    options_left_out: int | None = None
    """Options left out because they are no answers of their own ("All of the above", "N/A"); None: nobody looked."""


class QuestionSet(Interface):
    """Where questions come from. Splits ("train", "heldout") share no story."""

    def questions(self, split: str) -> Sequence[Question]:
        """The questions of a split, in a fixed order."""

    def answer_key(self, split: str) -> AnswerKey:
        """The gold answers of a split."""

    def account(self) -> Account:
        """What was left out of the source and why."""


@dataclass(frozen=True, slots=True)
class Protocol:
    """Who speaks when and who sees what, as data (configs/protocol/)."""

    name: str
    seats: tuple[Side, ...] = (Side.A, Side.B)
    """Occupied sides in speaking order; none at all for a judge who decides alone."""
    rounds: int = 2
    """Speeches per side."""
    simultaneous: bool = False
    """True: the speeches of one round are written without sight of each other."""
    max_words: int = 12
    """Words allowed in a speech, tags and private thoughts not counted. Longer ones are kept and can cost reward."""
    scratchpad: bool = False
    """True: a debater may think in private first, which nobody else ever sees (`envs.scratchpad`)."""
    debaters_see_passage: bool = True
    debaters_hear_each_other: bool = True
    """False: nobody is ever told what another side says, so that two sides are two consultants."""
    judge_sees_passage: bool = False
    judged_apart: bool = False
    """True: a judge reads the speeches of each side alone, and its verdicts on them are averaged (`rewards.apart`)."""
    judge_asks: bool = False
    """True: after each round but the last the judge asks one question of at most `max_words`, which all read."""
    quotes_across_paragraphs: bool = False
    """True: the parts of a quotation with an elision may stand in different paragraphs of the passage."""

    def plies(self) -> tuple[tuple[Side, ...], ...]:
        """The sides that speak at each ply; sides of one ply do not see each other's speech of that ply."""
        if self.simultaneous:
            return (self.seats,) * self.rounds
        return tuple((side,) for _ in range(self.rounds) for side in self.seats)

    def asks_before(self, ply: int) -> bool:
        """Whether the judge asks a question before the speeches of this ply."""
        plies = len(self.plies())
        return self.judge_asks and 0 < ply < plies and ply % (plies // self.rounds) == 0


class QuoteStatus(StrEnum):
    """What the environment found when it looked a quote up in the passage."""

    EXACT = "exact"
    """Every character stands in the passage (white space aside)."""
    NORMALISED = "normalised"
    """The words stand in the passage; case, punctuation, quotation marks or dashes differ."""
    UNVERIFIED = "unverified"
    """Not found, too short, or empty."""


@dataclass(frozen=True, slots=True)
class Quote:
    """One quotation inside a speech.

    `start`/`end` are character offsets of the quoted words in `Speech.text` (tags not included); `source` holds the
    (start, end) offsets of each matched part in the passage, one per part of an elision, none if unverified.
    """

    text: str
    start: int
    end: int
    status: QuoteStatus
    source: tuple[tuple[int, int], ...] = ()
    after_negation: bool = False
    """The passage has a negation just before the quoted words, so the quote may turn its meaning round."""

    @property
    def verified(self) -> bool:
        return self.status is not QuoteStatus.UNVERIFIED


@dataclass(frozen=True, slots=True)
class Speech:
    """What a debater said, as judged, and the tokens it was sampled as (never re-tokenised)."""

    seat: Side
    ply: int
    text: str
    """As judge and opponent read it: forged tags neutralised, quotes tagged by the environment."""
    raw: str
    """As sampled, decoded."""
    words: int
    quotes: tuple[Quote, ...] = ()
    token_ids: tuple[int, ...] = ()
    logprobs: tuple[float, ...] = ()
    """Log-probability of each token under the policy that sampled it, at the sampling temperature."""
    finish_reason: str = "stop"
    """"stop" (the policy ended its speech) or "length" (the engine cut it)."""
    policy: str = ""
    """Name of the policy that spoke, e.g. "current" or "base"."""
    policy_version: int = 0
    private: str = ""
    """What the debater thought in private: kept for the record, shown to neither opponent nor judge."""
    neutralised: Mapping[str, int] = field(default_factory=dict, hash=False)
    """What the environment took out of the speech or broke up, and how often, by kind (`envs.escaping.KINDS`)."""


_NAMED = re.compile(r"(\b(?i:debater|consultant|answer|side|seat)\s+|\b(?=[AB] sa(?:id|ys)\b))([AB])\b")


@dataclass(frozen=True, slots=True)
class Inquiry:
    """What the judge asked between two rounds."""

    ply: int
    """The speeches from this ply on were made with the question read."""
    text: str
    """As everybody reads it, escaped and tagged as speeches are; empty: the judge asked nothing that could be used."""
    problem: str = ""
    """Why there is no question."""

    def swapped(self) -> "Inquiry":
        """The same question with the sides relabelled where it names them ("debater A", "answer B", "A said")."""
        return replace(self, text=_NAMED.sub(lambda found: found[1] + Side(found[2]).other, self.text))


@dataclass(frozen=True, slots=True)
class Transcript:
    """A finished debate. `answers` holds what side A and side B defend, in this order."""

    question: Question
    protocol: Protocol
    answers: tuple[str, str]
    swapped_seats: bool
    """False: side A defends `question.answers[0]`; True: side A defends `question.answers[1]`."""
    speeches: tuple[Speech, ...] = ()
    provenance: Mapping[str, str | int | float] = field(default_factory=dict)
    """Prompt hash, seed, debate id, …: whatever is needed to play it again."""
    inquiries: tuple[Inquiry, ...] = ()
    """What the judge asked between the rounds, in order."""

    def answer_index(self, side: Side) -> int:
        """Which of `question.answers` the side defends."""
        return int((side is Side.B) != self.swapped_seats)

    def swapped(self) -> "Transcript":
        """The same debate with the sides relabelled: A's answer and speeches become B's and the reverse."""
        return replace(
            self,
            answers=(self.answers[1], self.answers[0]),
            swapped_seats=not self.swapped_seats,
            speeches=tuple(replace(speech, seat=speech.seat.other) for speech in self.speeches),
            inquiries=tuple(inquiry.swapped() for inquiry in self.inquiries),
        )


@dataclass(frozen=True, slots=True)
class Failure:
    """A debate that could not be finished: a record to be counted, never an exception that ends the run."""

    question_id: str
    swapped_seats: bool
    reason: str
    provenance: Mapping[str, str | int | float] = field(default_factory=dict)
