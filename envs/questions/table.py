"""Questions from any table, by a map of its columns: a data set on the Hugging Face Hub, or a local file."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, model_validator

from envs.question_set import Entry, QuestionError, StoredQuestions, StoredSettings
from envs.splits import answer_pair, digest, drawn, same_words, single_spaced
from envs.tables import Row, file_rows, hub_rows
from envs.types import Account, Question

YES_NO = ("yes", "no")
NO_LABEL, NOT_TWO = "no_gold_label", "no_two_different_answers"
"""Why a row is left out: nobody can say which two of its answers to debate, or it has no two."""


class Columns(BaseModel):
    """Which column holds what; "a.b" is the field b of the column a.

    The answers are in one of three shapes: `right` and `wrong`, or `choices` and `correct`, or `yes_no`.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    question: str = "question"
    id: str | None = None
    """None numbers the rows."""
    passage: str | None = None
    """None: closed questions, without a passage."""
    story_id: str | None = None
    """What may not be divided between the splits; None takes the passage, or the question where there is none."""
    right: str | None = None
    """The right answer."""
    wrong: list[str] = []
    """Wrong answers, one column each; rows use one of those that they have, drawn by hash."""
    choices: str | list[str] | None = None
    """A column that holds a list of answers, or one column per answer."""
    correct: str | None = None
    """Which of the choices is right: its number from 0, its letter from A, or its own words."""
    yes_no: str | None = None
    """True or false: whether "yes" is the right answer."""

    @model_validator(mode="after")
    def _one_shape(self) -> "Columns":
        shapes = [bool(self.right and self.wrong), bool(self.choices and self.correct), bool(self.yes_no)]
        begun = [bool(self.right or self.wrong), bool(self.choices or self.correct), bool(self.yes_no)]
        if shapes.count(True) != 1 or begun != shapes:
            raise ValueError("name the columns of right and wrong, or of choices and correct, or of yes_no")
        return self


class Settings(StoredSettings):
    """A table and its columns. With `heldout_split` the table's own splits are used, else a hash of the story decides.

    A story that is in both of the table's splits stays in the held-out one. Rows without two different answers, and
    rows of three or more that do not say which is right, are left out and counted.
    """

    kind: Literal["table"]
    path: Path | None = None
    """A .parquet, .json, .jsonl or .csv file."""
    dataset: str | None = None
    """Or an id on the Hub, e.g. "google/boolq"."""
    name: str | None = None
    """The data set's configuration, where it has several."""
    train_split: str = "train"
    heldout_split: str | None = None
    columns: Columns

    @model_validator(mode="after")
    def _one_source(self) -> "Settings":
        if (self.path is None) == (self.dataset is None):
            raise ValueError("give questions.path=FILE or questions.dataset=ID, and not both")
        return self

    def load(self) -> StoredQuestions:
        source = str(self.path or self.dataset)
        found = [_entry(row, split, self.columns) for split, row in self._rows()]
        entries = [entry for entry in found if isinstance(entry, Entry)]
        if not entries:
            raise QuestionError(f"{source} has no question with two answers; check questions.columns.")
        account = Account(len(found), {reason: found.count(reason) for reason in (NO_LABEL, NOT_TWO)})
        return StoredQuestions(source, entries, self.rule, account)

    def _rows(self) -> Iterator[tuple[str | None, Row]]:
        """Rows with the split that they come from, None where it is for the hash to decide."""
        if self.path is not None:
            yield from ((None, row) for row in file_rows(self.path))
        elif self.heldout_split is None:
            yield from ((None, row) for row in hub_rows(str(self.dataset), self.name, self.train_split))
        else:
            for split, name in (("train", self.train_split), ("heldout", self.heldout_split)):
                yield from ((split, row) for row in hub_rows(str(self.dataset), self.name, name))


def _entry(row: Row, split: str | None, columns: Columns) -> Entry | str:
    """The question in a row, or the reason to leave it out."""
    place, cells = row
    try:
        question, (options, right) = _bare(cells, columns), _options(cells, columns)
        name = _words(cells, columns.id) if columns.id else ""
    except QuestionError as error:
        raise place.error(str(error)) from None
    name = name or "-".join(filter(None, (split, *place.at.split())))
    different = [option for i, option in enumerate(options) if not any(same_words(option, o) for o in options[:i])]
    if right is None and len(different) > 2:
        return NO_LABEL
    first = different[0] if right is None else options[right]
    others = [option for option in different if not same_words(option, first)]
    if not others or not first:
        return NOT_TWO
    answers, correct = answer_pair(name, first, drawn(name, others))
    question = replace(question, id=name, answers=answers)
    return Entry(question, None if right is None else correct, place, split)


def _bare(cells: dict[str, Any], columns: Columns) -> Question:
    """The row's question without its id and answers."""
    text = _words(cells, columns.question)
    if not text:
        raise QuestionError(f"the column {columns.question!r} is empty; give every question its text")
    passage = _words(cells, columns.passage) if columns.passage else ""
    story = _words(cells, columns.story_id) if columns.story_id else ""
    return Question("", story or digest(single_spaced(passage) or text)[:16], text, ("", ""), passage)


def _options(cells: dict[str, Any], columns: Columns) -> tuple[list[str], int | None]:
    """The answers that have text, and the index of the right one, None if the row does not tell."""
    if columns.yes_no:
        return list(YES_NO), _yes_or_no(columns.yes_no, _cell(cells, columns.yes_no))
    if columns.right:
        right, wrong = _words(cells, columns.right), [_words(cells, column) for column in columns.wrong]
        return [option for option in (right, *wrong) if option], 0 if right else None
    if isinstance(columns.choices, list):
        options = [_words(cells, column) for column in columns.choices]
    else:
        options = _list(str(columns.choices), _cell(cells, str(columns.choices)))
    number = _number(str(columns.correct), _cell(cells, str(columns.correct)), options)
    chosen = None if number is None else options[number]
    kept = [option for option in options if option]
    return kept, None if not chosen else kept.index(chosen)


def _yes_or_no(column: str, value: object) -> int | None:
    if _absent(value):
        return None
    said = str(value).strip().casefold()
    if said in ("true", "yes", "1"):
        return YES_NO.index("yes")
    if said in ("false", "no", "0"):
        return YES_NO.index("no")
    raise QuestionError(f"the column {column!r} is {value!r}; give true or false")


def _number(column: str, value: object, options: list[str]) -> int | None:
    """The index of the right one of the options, from its own words, its number or its letter."""
    if _absent(value):
        return None
    said = str(int(value)) if isinstance(value, float) and value.is_integer() else str(value).strip()
    words = [i for i, option in enumerate(options) if isinstance(value, str) and option and same_words(option, said)]
    number = int(said) if said.isdecimal() else ord(said.upper()) - ord("A") if len(said) == 1 else -1
    if words:
        return words[0]
    if isinstance(value, bool) or not 0 <= number < len(options):
        raise QuestionError(
            f"the column {column!r} is {value!r}; give the right choice's number from 0 to {len(options) - 1}, its "
            "letter or its own words"
        )
    return number


def _absent(value: object) -> bool:
    """Nothing, or what tables write for nothing: an empty text, -1 as a class, not-a-number."""
    return value is None or value == "" or value in (-1, "-1") or value != value


def _list(column: str, value: object) -> list[str]:
    if not isinstance(value, list):
        raise QuestionError(f"the column {column!r} is not a list; name a column with a list, or one column per answer")
    return [_text(column, item) for item in value]


def _words(cells: dict[str, Any], column: str) -> str:
    return _text(column, _cell(cells, column))


def _text(column: str, value: object) -> str:
    if value is None or value != value:
        return ""
    if isinstance(value, bool) or not isinstance(value, str | int | float):
        raise QuestionError(f"the column {column!r} holds {type(value).__name__}, not text; name a column with text")
    return str(value).strip()


def _cell(cells: dict[str, Any], column: str) -> Any:
    if column in cells:
        return cells[column]
    outer, _, inner = column.partition(".")
    if inner and isinstance(cells.get(outer), dict):
        return _cell(cells[outer], inner)
    raise QuestionError(f"there is no column {column!r}; choose among {', '.join(map(repr, cells)) or 'none'}")
