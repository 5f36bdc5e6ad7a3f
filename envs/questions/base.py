"""What the kinds of question sets share: their settings, and a set that is held in memory and split by story."""

import weakref
from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from math import floor
from typing import NamedTuple

from pydantic import BaseModel, ConfigDict, Field

from rostrum.envs.questions.splits import SPLITS, fraction, single_spaced, spread
from rostrum.envs.types import Account, AnswerKey, Question, QuestionSet


class QuestionError(ValueError):
    """A question file or a request that cannot be used; the message is one sentence that says what to do."""


class QuestionSettings(BaseModel, ABC):
    """The settings of a question set; a kind adds its own (`envs/questions/`) and `kind: Literal["its name"]`."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    kind: str
    train: int | None = Field(None, ge=1)
    """At most this many training questions, spread over the stories; null takes all."""
    heldout: int | None = Field(None, ge=2)
    """At most this many held-out questions, spread over the stories; null takes all."""
    seed: int = 0

    @abstractmethod
    def load(self) -> QuestionSet:
        """Read or make the questions. Raises `QuestionError`."""


class StoredSettings(QuestionSettings):
    """The settings of a set that is read from somewhere and split by story."""

    heldout_fraction: float = Field(0.5, ge=0, le=1)
    """Share of the stories that are held out: those of the lowest rank by a hash of `seed` and the story id."""

    @property
    def rule(self) -> "SplitRule":
        return SplitRule(self.heldout_fraction, self.seed, self.train, self.heldout)


@dataclass(frozen=True, slots=True)
class SplitRule:
    """How stored questions are divided: share of stories held out, seed of the hash, most questions per split."""

    heldout_fraction: float = 0.5
    seed: int = 0
    train: int | None = None
    heldout: int | None = None

    def __post_init__(self) -> None:
        if not 0 <= self.heldout_fraction <= 1:
            raise QuestionError(f"heldout_fraction is {self.heldout_fraction}; give a number from 0 to 1.")

    def heldout_stories(self, stories: Iterable[str]) -> frozenset[str]:
        """Return the stories that are held out: the share of them that comes first in an order drawn by hash.

        At least one story is on each side, unless the share is 0 or 1 or there is but one.
        """
        ranked = sorted(set(stories), key=lambda story: (fraction(f"{self.seed}:{story}"), story))
        number = floor(self.heldout_fraction * len(ranked) + 0.5)
        if 0 < self.heldout_fraction < 1:
            number = min(max(number, 1), max(len(ranked) - 1, 0))
        return frozenset(ranked[:number])


class Place(NamedTuple):
    """Where in a source a question stands, for error messages, e.g. ("stories.jsonl", "line 3")."""

    source: str
    at: str

    def error(self, problem: str) -> QuestionError:
        return QuestionError(f"{self.source}, {self.at}: {problem}.")

    def seen_from(self, other: "Place") -> str:
        return self.at if self.source == other.source else f"{self.source}, {self.at}"


@dataclass(frozen=True, slots=True)
class Entry:
    """A question as it was read, with its gold label, if it has one, kept beside it."""

    question: Question
    correct: int | None
    place: Place
    split: str | None = None
    """"train" or "heldout" where the source itself says so; None leaves it to the `SplitRule`."""


class StoredQuestions:
    """A `QuestionSet` held in memory. No story is in both splits.

    Where the source has splits of its own and a story is in both, it stays held out and leaves the training questions.

    Raises:
        QuestionError: an id occurs twice, or one passage is given to two stories.
    """

    unlabelled = "has no right answer; give it one to evaluate it"
    """What `answer_key` says of a question without a gold label."""

    def __init__(self, source: str, entries: Sequence[Entry], rule: SplitRule, account: Account | None = None) -> None:
        _check(entries)
        self._source = source
        self._entries = {entry.question.id: entry for entry in entries}
        drawn = rule.heldout_stories(entry.question.story_id for entry in entries if entry.split is None)
        split_of = {e.question.id: e.split or SPLITS[e.question.story_id in drawn] for e in entries}
        heldout = {entry.question.story_id for entry in entries if split_of[entry.question.id] == "heldout"}
        both = {e.question.id for e in entries if e.question.story_id in heldout and split_of[e.question.id] == "train"}
        self._rule, self._stories = rule, len({entry.question.story_id for entry in entries})
        self._questions: dict[str, tuple[Question, ...]] = {}
        dropped = {"story_also_held_out": len(both)} if any(entry.split for entry in entries) else {}
        for split, limit in zip(SPLITS, (rule.train, rule.heldout), strict=True):
            every = [e.question for e in entries if split_of[e.question.id] == split and e.question.id not in both]
            self._questions[split] = spread(every, limit, rule.seed)
            if limit is not None:
                dropped[f"over_the_limit_of_{split}"] = len(every) - len(self._questions[split])
        account = account or Account(len(entries))
        self._account = replace(account, dropped={**account.dropped, **dropped})

    def questions(self, split: str) -> tuple[Question, ...]:
        """Return the questions of "train" or "heldout", in the order of the source."""
        if split not in SPLITS:
            raise QuestionError(f'{self._source} has no split {split!r}; ask for "train" or "heldout".')
        return self._questions[split]

    def used(self) -> Iterator[tuple[Question, int | None]]:
        """Yield every question of the two splits with its right answer, in the order of the source."""
        used = {question.id for questions in self._questions.values() for question in questions}
        return ((entry.question, entry.correct) for name, entry in self._entries.items() if name in used)

    def why_empty(self, split: str) -> str | None:
        """Return one sentence on why a split has no question and what to do; None if it has some."""
        if self.questions(split):
            return None
        name = {"train": "training", "heldout": "held-out"}[split]
        if any(entry.split for entry in self._entries.values()):
            own = f"its own {name} split has none"
            why = f"{own}, or all of its stories are held out too" if split == "train" else own
            return f"{self._source} has no {name} questions: {why}; give it other splits, or one file to be divided."
        if self._stories > 1 or self._rule.heldout_fraction == (split == "train"):
            share = f"heldout_fraction={self._rule.heldout_fraction:g}"
            return f"{self._source} has no {name} questions, as {share} asks for; choose a share between 0 and 1."
        return (
            f"{self._source} has no {name} questions: its questions are about one story, which is not divided; give "
            "questions about two stories or more."
        )

    def answer_key(self, split: str) -> AnswerKey:
        """Return the right answers of a split. Raises `QuestionError` if a question has none."""
        correct: dict[str, int] = {}
        for question in self.questions(split):
            entry = self._entries[question.id]
            if entry.correct is None:
                raise entry.place.error(f"question {question.id!r} {self.unlabelled}")
            correct[question.id] = entry.correct
        return AnswerKey(correct)

    def account(self) -> Account:
        """Return what was left out of the source and why."""
        return self._account


_READ: dict[int, QuestionSet] = {}
"""Question sets that were read, by the id of their settings, for as long as the settings live."""


def load_questions(settings: QuestionSettings, *needed: str) -> QuestionSet:
    """Return the question set that the configuration names, read once for a configuration.

    Raises:
        QuestionError: it cannot be used, or one of the splits that are `needed` is empty.
    """
    key = id(settings)
    if key not in _READ:
        _READ[key] = settings.load()
        weakref.finalize(settings, _READ.pop, key)
    questions = _READ[key]
    for split in needed:
        if (why := why_empty(questions, split)) is not None:
            raise QuestionError(why)
    return questions


def why_empty(questions: QuestionSet, split: str) -> str | None:
    """Return one sentence on why a split of any question set has no questions; None if it has some."""
    if isinstance(questions, StoredQuestions):
        return questions.why_empty(split)
    return None if questions.questions(split) else f"The question set has no {split} questions: add some."


def _check(entries: Sequence[Entry]) -> None:
    """Refuse ids that are not unique, and a passage that belongs to two stories: it could be trained on and held
    out."""
    first_with_id: dict[str, Entry] = {}
    first_with_passage: dict[str, Entry] = {}
    for entry in entries:
        question = entry.question
        if (first := first_with_id.setdefault(question.id, entry)) is not entry:
            where = first.place.seen_from(entry.place)
            raise entry.place.error(f"id {question.id!r} is that of {where}; make ids unique")
        if not question.passage.strip():
            continue
        first = first_with_passage.setdefault(single_spaced(question.passage), entry)
        if first.question.story_id != question.story_id:
            raise entry.place.error(
                f"the passage is that of {first.place.seen_from(entry.place)} but its story_id differs; "
                "give questions about one passage the same story_id, or none, and the passage decides"
            )
