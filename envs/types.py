"""The nouns of the game, in the order in which they flow.

A question is argued under a protocol by speakers on two sides; their speeches make a transcript. Nothing here knows
which answer is right: the `AnswerKey` is a separate object, and only evaluation is given one.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from enum import StrEnum
from typing import Protocol as Interface

SCHEMA_VERSION = 2
"""Of stored transcripts. Raise it when a field changes meaning; `envs.transcripts` reads version 1 too."""


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
        """Return the questions of a split, in a fixed order."""

    def answer_key(self, split: str) -> AnswerKey:
        """Return the gold answers of a split."""

    def account(self) -> Account:
        """Return what was left out of the source and why."""


DEBATER = "debater"
"""The role of those who simply argue; every other role has prompts of its own (`envs.prompts.prompt_sets`)."""
TRAINED = "current"
"""The policy that is trained, where there is one."""


@dataclass(frozen=True, slots=True)
class Speaker:
    """Who speaks in a debate."""

    side: Side
    """Whose answer it defends: A or B."""
    role: str = DEBATER
    """What it does at its turns, where `turns` does not say otherwise: debater, or a role with prompts of its own."""
    policy: str = TRAINED
    """The name of the policy that speaks."""
    chooses_side: bool = False
    """True: it names the answer that it defends with the first word of its first speech, A or B, and the others are on
    the other side (or on its own, as they were before). What cannot be read leaves the sides as they are."""


def _two_debaters() -> Mapping[str, Speaker]:
    return {side.value: Speaker(side) for side in Side}


@dataclass(frozen=True, slots=True)
class Protocol:
    """Who speaks when and who sees what, as data (configs/protocol/)."""

    name: str
    speakers: Mapping[str, Speaker] = field(default_factory=_two_debaters, hash=False)
    """Who speaks, by name, in the order of speech; nobody at all for a judge who decides alone."""
    rounds: int = 2
    """Speeches of each speaker, where `turns` does not say who speaks when."""
    simultaneous: bool = False
    """True: the speeches of one round are written without sight of each other."""
    max_words: int = 12
    """Words allowed in a speech, tags and private thoughts not counted. Longer ones are kept and can cost reward."""
    scratchpad: bool = False
    """True: a debater may think in private first, which nobody else ever sees (`envs.text.scratchpad`)."""
    debaters_see_passage: bool = True
    debaters_hear_each_other: bool = True
    """False: nobody is ever told what another speaker says, so that two debaters are two consultants."""
    judge_sees_passage: bool = False
    judged_apart: bool = False
    """True: a judge reads the speeches of each side alone, and its verdicts on them are averaged
    (`rewards.judges.per_side`)."""
    judge_asks: bool = False
    """True: after each round but the last the judge asks one question of at most `max_words`, which all read."""
    quotes_across_paragraphs: bool = False
    """True: the parts of a quotation with an elision may stand in different paragraphs of the passage."""
    turns: tuple[Mapping[str, str], ...] = field(default=(), hash=False)
    """Who speaks at each turn, and in which role, in the place of `rounds`: [{A: debater}, {B: debater}, ...]."""

    def order(self) -> tuple[Mapping[str, str], ...]:
        """Return the speakers of each turn with their roles; those of one turn do not see each other's speech of it."""
        if self.turns:
            return self.turns
        roles = {name: speaker.role for name, speaker in self.speakers.items()}
        if self.simultaneous:
            return (roles,) * self.rounds
        return tuple({name: role} for _ in range(self.rounds) for name, role in roles.items())

    @property
    def speeches(self) -> int:
        """How many speeches a whole debate has."""
        return sum(map(len, self.order()))

    @property
    def sides(self) -> tuple[Side, ...]:
        """The sides that somebody speaks for, A before B."""
        return tuple(side for side in Side if self.on(side))

    def on(self, side: Side) -> tuple[str, ...]:
        """Return the names of the speakers on a side, in order."""
        return tuple(name for name, speaker in self.speakers.items() if speaker.side is side)

    def label(self, speaker: str, side: Side) -> str:
        """Return what everybody calls a speaker who speaks for this side: its letter, and a number where the side has
        several. Whoever is not on that side passes for the first there (`envs.recasting`)."""
        own = self.on(side)
        if len(own) < 2:
            return side.value
        return f"{side}{own.index(speaker) + 1 if speaker in own else 1}"

    def swapped(self) -> "Protocol":
        """Return the same protocol with every speaker on the other side."""
        moved = {name: replace(speaker, side=speaker.side.other) for name, speaker in self.speakers.items()}
        return replace(self, speakers=moved)

    def asks_before(self, turn: int) -> bool:
        """Return whether the judge asks a question before the speeches of this turn."""
        turns = len(self.order())
        return self.judge_asks and 0 < turn < turns and turn % (turns // self.rounds) == 0


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

    speaker: str
    """Its name in `Protocol.speakers`."""
    side: Side
    """Whose answer it defends."""
    turn: int
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
    """What the environment took out of the speech or broke up, and how often, by kind (`envs.text.escaping.KINDS`)."""
    role: str = DEBATER
    """What the speaker did at this turn, e.g. "examiner"."""


_NAMED = re.compile(r"(\b(?i:debater|consultant|answer|side|seat)\s+|\b(?=[AB]\d? sa(?:id|ys)\b))([AB])(?=\d?\b)")


@dataclass(frozen=True, slots=True)
class Inquiry:
    """What the judge asked between two rounds."""

    turn: int
    """The speeches from this turn on were made with the question read."""
    text: str
    """As everybody reads it, escaped and tagged as speeches are; empty: the judge asked nothing that could be used."""
    problem: str = ""
    """Why there is no question."""

    def swapped(self) -> "Inquiry":
        """Return the same question with the sides relabelled."""
        return self.renamed({side: side.other for side in Side})

    def renamed(self, names: Mapping[Side, str]) -> "Inquiry":
        """Return the same question with sides called by these names where it names them ("debater A", "answer B", "A
        said")."""
        return replace(self, text=_NAMED.sub(lambda found: found[1] + names[Side(found[2])], self.text))


@dataclass(frozen=True, slots=True)
class Transcript:
    """A finished debate. `answers` holds what side A and side B defend, in this order; `protocol` has every speaker on
    the side that it was on."""

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
        """Return which of `question.answers` the side defends."""
        return int((side is Side.B) != self.swapped_seats)

    def label(self, speech: Speech) -> str:
        """Return what everybody calls the speaker of a speech: A or B, A1, A2, …"""
        return self.protocol.label(speech.speaker, speech.side)

    def swapped(self) -> "Transcript":
        """Return the same debate with the sides relabelled: A's answer and speeches become B's and the reverse."""
        return replace(
            self,
            answers=(self.answers[1], self.answers[0]),
            swapped_seats=not self.swapped_seats,
            protocol=self.protocol.swapped(),
            speeches=tuple(replace(speech, side=speech.side.other) for speech in self.speeches),
            inquiries=tuple(inquiry.swapped() for inquiry in self.inquiries),
        )


def correct_side(transcript: Transcript, key: AnswerKey) -> Side:
    """Return the side that defends the right answer."""
    return Side.A if transcript.answer_index(Side.A) == key[transcript.question.id] else Side.B


@dataclass(frozen=True, slots=True)
class Failure:
    """A debate that could not be finished: a record to be counted, never an exception that ends the run."""

    question_id: str
    swapped_seats: bool
    reason: str
    provenance: Mapping[str, str | int | float] = field(default_factory=dict)
