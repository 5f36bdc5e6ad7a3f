"""QuALITY in its released format: reading comprehension of long stories, made into questions with two answers."""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Literal, NamedTuple

from pydantic import Field

from rostrum.envs.questions.base import Entry, QuestionError, StoredQuestions, StoredSettings
from rostrum.envs.questions.quality_files import filters
from rostrum.envs.questions.quality_files.filters import Filter
from rostrum.envs.questions.quality_files.records import Record, read
from rostrum.envs.questions.splits import answer_pair, drawn, same_words, turns
from rostrum.envs.types import Account, Question

WAYS = ("best_distractor", "timed_annotators", "hash")
"""How the wrong answer of a pair was chosen, from the best way to the last resort."""


class Settings(StoredSettings):
    """A file or folder of QuALITY and which of its questions to take. The filters are applied in the order given here,
    each to what the ones before it left."""

    kind: Literal["quality"]
    path: Path
    """A file, or a folder: see `envs.questions.quality_files.records.read`."""
    source: str | None = None
    """Only articles from there, e.g. Gutenberg."""
    hard_only: bool = False
    untimed_all_right: bool = False
    timed_right_below: float | None = Field(None, gt=0, le=1)
    all_answerable: bool = False
    min_context: float | None = Field(None, ge=1, le=4)
    writer_agrees: bool = False
    no_option_about_options: bool = True
    max_per_story: int | None = Field(None, ge=1)
    """Questions per article, drawn by hash; the last filter."""

    def load(self) -> StoredQuestions:
        records = list(read(self.path))
        left, dropped, could_not_tell = self._filtered(records)
        wrong = {record.id: choice for record in left if (choice := _wrong_answer(record))}
        entries = [_entry(record, wrong[record.id].text) for record in left if record.id in wrong]
        dropped["no_two_different_answers"] = len(left) - len(entries)
        if self.max_per_story is not None:
            turn = turns([entry.question for entry in entries], self.seed)
            dropped["max_per_story"] = sum(turn[entry.question.id] >= self.max_per_story for entry in entries)
            entries = [entry for entry in entries if turn[entry.question.id] < self.max_per_story]
        if not entries:
            raise QuestionError(_nothing_left(self.path, len(records), dropped))
        ways = Counter(wrong[entry.question.id].way for entry in entries)
        account = Account(len(records), dropped, could_not_tell, {way: ways[way] for way in WAYS})
        return StoredQuestions(str(self.path), entries, self.rule, account)

    def _filtered(self, records: Sequence[Record]) -> tuple[list[Record], dict[str, int], dict[str, int]]:
        """Return the labelled records that no filter drops, how many each dropped, and how many each could not tell
        about."""
        left = [record for record in records if record.gold is not None]
        dropped, could_not_tell = {"no_gold_label": len(records) - len(left)}, {}
        for name, keeps in self._filters():
            answers = [(record, keeps(record)) for record in left]
            left = [record for record, answer in answers if answer is not False]
            dropped[name] = len(answers) - len(left)
            could_not_tell[name] = sum(answer is None for _, answer in answers)
        return left, dropped, could_not_tell

    def _filters(self) -> Iterator[Filter]:
        if self.source is not None:
            yield Filter("source", filters.source_is(self.source))
        if self.hard_only:
            yield Filter("hard_only", filters.is_hard)
        if self.untimed_all_right:
            yield Filter("untimed_all_right", filters.all_untimed_right)
        if self.timed_right_below is not None:
            yield Filter("timed_right_below", filters.timed_right_below(self.timed_right_below))
        if self.all_answerable:
            yield Filter("all_answerable", filters.all_answerable)
        if self.min_context is not None:
            yield Filter("min_context", filters.context_at_least(self.min_context))
        if self.writer_agrees:
            yield Filter("writer_agrees", filters.writer_agrees)
        if self.no_option_about_options:
            yield Filter("no_option_about_options", filters.no_option_about_options)


class _Wrong(NamedTuple):
    """A wrong answer and how it was chosen (one of `WAYS`)."""

    text: str
    way: str


def _wrong_answer(record: Record) -> _Wrong | None:
    """Return the best distractor: what most annotators with time called so; else the wrong option that most of those
    without time fell for; else one drawn by hash. Ties go to the next of the three. None if no option differs from the
    gold one."""
    assert record.gold is not None
    right = record.options[record.gold]
    wrong = [i for i, text in enumerate(record.options) if text and not same_words(text, right)]
    if not right or not wrong:
        return None
    named, fallen_for = Counter(annotator.distractor for annotator in record.untimed), Counter(record.timed)
    most = max((named[i], fallen_for[i]) for i in wrong)
    best = [record.options[i] for i in wrong if (named[i], fallen_for[i]) == most]
    way = WAYS[0] if most[0] else WAYS[1] if most[1] else WAYS[2]
    return _Wrong(drawn(record.id, best), way)


def _entry(record: Record, wrong: str) -> Entry:
    assert record.gold is not None
    answers, correct = answer_pair(record.id, record.options[record.gold], wrong)
    question = Question(record.id, record.article_id, record.text, answers, record.passage)
    return Entry(question, correct, record.place, record.split)


def _nothing_left(path: Path, read: int, dropped: Mapping[str, int]) -> str:
    if not read:
        return f"{path} holds no questions; give a file or folder of QuALITY."
    reasons = ", ".join(f"{name} {count}" for name, count in dropped.items() if count)
    return f"No question of {read} in {path} is left ({reasons}); turn filters off, or give questions with gold labels."
