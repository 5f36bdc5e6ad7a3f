"""Questions from any table, by a map of its columns: a data set on the Hugging Face Hub, or a local file."""

import ast
import json
import re
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, Literal, NamedTuple

from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator

from rostrum.envs.questions import gold_column
from rostrum.envs.questions.base import Entry, Place, QuestionError, StoredQuestions, StoredSettings
from rostrum.envs.questions.gold_column import Reading
from rostrum.envs.questions.no_answers import is_no_answer
from rostrum.envs.questions.splits import answer_pair, digest, drawn, single_spaced
from rostrum.envs.questions.table_rows import Row, file_rows, hub_rows
from rostrum.envs.types import Account, Question

YES_NO = ("yes", "no")
NO_LABEL, NO_ANSWER, NOT_TWO = "no_gold_label", "no_option_about_options", "no_two_different_answers"
"""Why a row is left out: nobody can say which two of its answers to debate, the right one is no answer of its own, or
it has no two."""
_BRACKETED = re.compile(r"\[.*\]|\{.*\}", re.DOTALL)


class Columns(BaseModel):
    """Which column holds what; "a.b" is the field b of the column a, or of every object in the list a.

    Of an object that gives each answer a 1 or a 0, "choices" are the answers and "labels" the marks. A column that is
    not there is the one whose name differs in case, blanks and underscores alone.

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
    """The right answer, or a list of right answers."""
    wrong: list[str] = []
    """Wrong answers, or lists of them; rows use one of those that they have, drawn by hash."""
    divider: str | None = Field(None, min_length=1)
    """What stands between the answers where a text in `right` or `wrong` holds several, e.g. "; "."""
    choices: str | list[str] | None = None
    """A column that holds a list of answers, or one column per answer."""
    correct: str | None = None
    """Which of the choices is right; `envs.questions.gold_column` says how it is read."""
    labels: str | None = None
    """A column with the choices' own labels, which `correct` names; None looks for "label" beside the choices."""
    first: int | None = Field(None, ge=0, le=1)
    """The number that `correct` gives to the first choice."""
    reading: Reading | None = None
    """What `correct` holds; None finds it out from all rows."""
    yes_no: str | None = None
    """True or false: whether "yes" is the right answer."""

    @field_validator("wrong", mode="before")
    @classmethod
    def _one_column(cls, value: Any) -> Any:
        return [value] if isinstance(value, str) else value

    @model_validator(mode="after")
    def _one_shape(self) -> "Columns":
        shapes = [bool(self.right and self.wrong), bool(self.choices and self.correct), bool(self.yes_no)]
        begun = [bool(self.right or self.wrong), bool(self.choices or self.correct), bool(self.yes_no)]
        if shapes.count(True) != 1 or begun != shapes:
            raise ValueError("name the columns of right and wrong, or of choices and correct, or of yes_no")
        if (self.labels or self.reading or self.first is not None) and not self.choices:
            raise ValueError("labels, first and reading say how correct is read: leave them out, or name choices")
        if (self.labels and self.reading not in (None, "labels")) or (
            self.first is not None and (self.labels or self.reading not in (None, "numbers"))
        ):
            raise ValueError("labels, first and reading contradict each other: give one of them")
        return self


class Found(NamedTuple):
    """What a row holds: its question (without answers), its options as the table has them, which of them are right."""

    place: Place
    split: str | None
    question: Question
    options: Sequence[str]
    right: Sequence[int]


class Settings(StoredSettings):
    """A table and its columns. With `heldout_split` the table's own splits are used, else a hash of the story decides.

    A story that is in both of the table's splits stays in the held-out one. Rows without two different answers, and
    rows of three or more that do not say which is right, are left out and counted.
    """

    kind: Literal["table"]
    path: Path | None = None
    """A .parquet, .json, .jsonl or .csv file, or a folder of .txt or .json files, each with an object."""
    encoding: str | None = None
    """The encoding of a text file, e.g. cp1252; None: UTF-8, or what its first bytes mark it as."""
    dataset: str | None = None
    """Or an id on the Hub, e.g. "google/boolq"."""
    name: str | None = None
    """The data set's configuration, where it has several."""
    train_split: str = "train"
    heldout_split: str | None = None
    columns: Columns
    no_option_about_options: bool = True
    """Leave out options that are no answers of their own ("All of the above", "N/A"), and questions whose right answer
    is one."""

    @model_validator(mode="after")
    def _one_source(self) -> "Settings":
        if (self.path is None) == (self.dataset is None):
            raise ValueError("give questions.path=FILE or questions.dataset=ID, and not both")
        return self

    def load(self) -> StoredQuestions:
        source = str(self.path or self.dataset)
        rows = _found(list(self._rows()), self.columns)
        left_out = [[self.no_option_about_options and is_no_answer(option) for option in row.options] for row in rows]
        found = [_entry(row, out) for row, out in zip(rows, left_out, strict=True)]
        entries = [entry for entry in found if isinstance(entry, Entry)]
        dropped = {reason: found.count(reason) for reason in (NO_LABEL, NO_ANSWER, NOT_TWO)}
        if not entries:
            why = ", ".join(f"{reason} {count}" for reason, count in dropped.items() if count)
            raise QuestionError(
                f"{source} has no question with two answers{f' ({why})' if why else ''}; check questions.columns."
            )
        account = Account(len(found), dropped, options_left_out=sum(map(sum, left_out)))
        return StoredQuestions(source, entries, self.rule, account)

    def _rows(self) -> Iterator[tuple[str | None, Row]]:
        """Yield rows with the split that they come from, None where it is for the hash to decide."""
        if self.path is not None:
            rows = file_rows(self.path, self.encoding)
            yield from ((None, row) for whole in rows for row in _apart(whole, self.columns))
        elif self.heldout_split is None:
            rows = hub_rows(str(self.dataset), self.name, self.train_split)
            yield from ((None, row) for whole in rows for row in _apart(whole, self.columns))
        else:
            for split, name in (("train", self.train_split), ("heldout", self.heldout_split)):
                rows = hub_rows(str(self.dataset), self.name, name)
                yield from ((split, row) for whole in rows for row in _apart(whole, self.columns))


def _apart(row: Row, columns: Columns) -> Iterator[Row]:
    """Yield the questions of a row in the two shapes that hold them otherwise than in columns: a passage with lists of
    its questions, options and answers (RACE as released), and a question with its choices inside (ARC as released)."""
    place, cells = row
    asked = [cells.get(name) for name in ("questions", "options", "answers")]
    if "question" not in cells and all(isinstance(held, list) for held in asked):
        if len({len(held) for held in asked if isinstance(held, list)}) > 1:
            raise place.error("there are not as many questions as lists of options and answers; give one of each")
        rest = {name: held for name, held in cells.items() if name not in ("questions", "options", "answers")}
        for number, (text, options, answer) in enumerate(zip(*(held or [] for held in asked), strict=True), start=1):
            at = Place(place.source, f"{place.at} question {number}")
            yield at, {**rest, "question": text, "options": options, "answer": answer}
    elif columns.question == "question" and isinstance(inner := cells.get("question"), dict) and "stem" in inner:
        yield place, {**inner, **cells, "question": inner["stem"]}
    else:
        yield row


def _found(rows: Sequence[tuple[str | None, Row]], columns: Columns) -> list[Found]:
    """Read every row by the map of columns; which options are right is decided over all rows together."""
    found, gold = [], []
    for split, (place, cells) in rows:
        try:
            question = _bare(cells, columns)
            name = _words(cells, columns.id) if columns.id else ""
            options, right = _options(cells, columns)
            if columns.correct:
                said = _held(_cell(cells, columns.correct))
                said = list(said.values()) if isinstance(said, dict) and _is_marked(said) else said
                gold.append(gold_column.Row(place, options, said, _labels(cells, columns, len(options))))
        except QuestionError as error:
            raise place.error(str(error)) from None
        name = name or "-".join(filter(None, (split, *place.at.split())))
        found.append(Found(place, split, replace(question, id=name), options, right))
    if columns.correct:
        reading = "labels" if columns.labels else columns.reading
        right_of = gold_column.right_options(columns.correct, gold, reading, columns.first)
        found = [row._replace(right=right) for row, right in zip(found, right_of, strict=True)]
    return found


def _entry(row: Found, left_out: Sequence[bool]) -> Entry | str:
    """Return the question in a row, or the reason to leave it out."""
    kept = [i for i, option in enumerate(row.options) if option and not left_out[i]]
    right = [row.options[i] for i in row.right if i in kept]
    if row.right and not right:
        return NO_ANSWER if any(left_out[i] for i in row.right) else NO_LABEL
    different = list({single_spaced(row.options[i]): row.options[i] for i in reversed(kept)}.values())[::-1]
    if not right and len(different) > 2:
        return NO_LABEL
    if not different:
        return NOT_TWO
    first = right[0] if right else different[0]
    besides = {single_spaced(text) for text in (right or [first])}
    others = [option for option in different if single_spaced(option) not in besides]
    if not others:
        return NOT_TWO
    name = row.question.id
    answers, correct = answer_pair(name, first, drawn(name, others))
    return Entry(replace(row.question, answers=answers), correct if right else None, row.place, row.split)


def _bare(cells: dict[str, Any], columns: Columns) -> Question:
    """Return the row's question without its id and answers."""
    text = _words(cells, columns.question)
    if not text:
        raise QuestionError(f"the column {columns.question!r} is empty; give every question its text")
    passage = _words(cells, columns.passage) if columns.passage else ""
    story = _words(cells, columns.story_id) if columns.story_id else ""
    return Question("", story or digest(single_spaced(passage) or text)[:16], text, ("", ""), passage)


def _options(cells: dict[str, Any], columns: Columns) -> tuple[list[str], tuple[int, ...]]:
    """Return the row's options ("" where it has none), and which are right, as far as the row alone can tell."""
    if columns.yes_no:
        return list(YES_NO), _yes_or_no(columns.yes_no, _cell(cells, columns.yes_no))
    if columns.right:
        right = _texts(cells, columns.right, columns.divider)
        wrong = [text for column in columns.wrong for text in _texts(cells, column, columns.divider)]
        return right + wrong, tuple(i for i, text in enumerate(right) if text)
    if isinstance(columns.choices, list):
        return [_words(cells, column) for column in columns.choices], ()
    return _list(str(columns.choices), _cell(cells, str(columns.choices))), ()


def _labels(cells: dict[str, Any], columns: Columns, options: int) -> list[str] | None:
    """Return the choices' own labels, one each: those of the named column, or of "label" beside the choices."""
    if columns.labels is not None:
        labels = _list(columns.labels, _cell(cells, columns.labels))
        if len(labels) != options:
            raise QuestionError(
                f"the column {columns.labels!r} has {len(labels)} labels and there are {options} choices; name the "
                "column with one label for each"
            )
        return labels
    outer, dot, _ = str(columns.choices).rpartition(".")
    if isinstance(columns.choices, list) or not dot or f"{outer}.label" == columns.correct:
        return None
    try:
        beside = _cell(cells, f"{outer}.label")
        return labels if isinstance(beside, list) and len(labels := _list("label", beside)) == options else None
    except QuestionError:  # there is none, or it holds something else
        return None


def _yes_or_no(column: str, value: object) -> tuple[int, ...]:
    if _absent(value):
        return ()
    said = str(value).strip().casefold().removesuffix(".0")
    if said in ("true", "yes", "1", "t", "y"):
        return (YES_NO.index("yes"),)
    if said in ("false", "no", "0", "f", "n"):
        return (YES_NO.index("no"),)
    raise QuestionError(f"the column {column!r} is {value!r}; give true or false")


def _absent(value: object) -> bool:
    """Return whether this is nothing, or what tables write for it: an empty text, -1 as a class, not-a-number."""
    return value is None or value in (-1, "-1") or value != value or str(value).strip().casefold() in ("", "nan")


def _texts(cells: dict[str, Any], column: str, divider: str | None) -> list[str]:
    """Return the texts of a column that holds one, or a list of them."""
    value = _cell(cells, column)
    held = _held(value)
    if isinstance(value, list) or (isinstance(held, list) and all(isinstance(item, str) for item in held)):
        return _list(column, held)  # but "[0, 1]" is an answer
    text = _text(column, value)
    return [part for each in text.split(divider) if (part := each.strip())] or [""] if divider else [text]


def _list(column: str, value: object) -> list[str]:
    value = _held(value)
    if isinstance(value, dict) and _is_marked(value):
        value = list(value)
    if not isinstance(value, list):
        raise QuestionError(f"the column {column!r} is not a list; name a column with a list, or one column per answer")
    return [_text(column, item) for item in value]


def _held(value: Any) -> Any:
    """Return the list or object that a text cell holds, as JSON or as Python writes it, for tables that have texts
    alone."""
    if not isinstance(value, str) or not _BRACKETED.fullmatch(value.strip()):
        return value
    for read in (json.loads, ast.literal_eval):  # a literal is data, and nothing of it is carried out
        try:
            found = read(value.strip())
        except (ValueError, SyntaxError, RecursionError, MemoryError):
            continue
        if isinstance(found, list | dict):
            return found
    return value


def _is_marked(value: dict[str, Any]) -> bool:
    """Return whether an object gives each answer a 1 or a 0, as TruthfulQA's release does."""
    return bool(value) and all(mark in (0, 1) for mark in value.values())


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
    held = _held(cells.get(outer)) if inner else None
    if isinstance(held, dict) and inner in ("choices", "labels") and inner not in held and _is_marked(held):
        return list(held if inner == "choices" else held.values())
    if isinstance(held, dict):
        return _cell(held, inner)
    if isinstance(held, list) and held and all(isinstance(item, dict) for item in held):
        return [_cell(item, inner) for item in held]
    alike = [name for name in cells if _plain_name(name) == _plain_name(column)]
    if len(alike) == 1:
        return cells[alike[0]]
    raise QuestionError(f"there is no column {column!r}; choose among {', '.join(map(repr, cells)) or 'none'}")


def _plain_name(column: object) -> str:
    return re.sub(r"[\s_]+", "", str(column)).casefold()
