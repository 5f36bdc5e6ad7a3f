"""What the column of right answers of a multiple-choice table means, decided over all of its rows.

One column has one reading: the rows' own labels, letters from A, numbers from 0 or from 1, the answers' own words, or a
list of marks with a 1 for each right answer. A reading fits if it gives an answer in every row that has a gold label.
Where two fit and do not give the same answers, nothing is guessed: the error shows a row and the key that settles it.
"""

import json
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Literal, NamedTuple

from rostrum.envs.questions.base import Place, QuestionError
from rostrum.envs.questions.splits import single_spaced

Reading = Literal["labels", "letters", "numbers", "words", "marks"]

_WHOLE = re.compile(r"\+?([0-9]+)(?:\.0*)?")
_LETTER = re.compile(r"[(\[]?([A-Za-z])[)\].:]{0,2}")
_NOTHING = frozenset(("", "-1", "-1.0", "nan", "null", "none", "n/a", "na", "<na>"))
"""What tables write where there is no gold label, case aside, unless it is the text or the label of an option."""


class Row(NamedTuple):
    """A row's options as the table has them ("" where there is none), its own labels, and what its gold cell holds."""

    place: Place
    options: Sequence[str]
    said: Any
    labels: Sequence[str] | None = None


@dataclass(frozen=True, slots=True)
class _Way:
    """One way to read the column. `index` is None where the row cannot be read so."""

    reading: Reading
    name: str
    index: Callable[[Row], int | None]
    settled_by: str
    """The setting that makes it the column's reading."""


def right_options(
    column: str, rows: Sequence[Row], reading: Reading | None = None, first: int | None = None
) -> list[tuple[int, ...]]:
    """Return the indices of each row's right options: one, several in a list of marks, none without a gold label.

    `reading` and `first` (the number of the first option) are what the user says of the column; None leaves it to the
    rows. Labels that stand beside the options go before every other reading, if they fit all rows.

    Raises:
        QuestionError: no reading fits all rows, or two do and disagree.
    """
    labelled = {number: row for number, row in enumerate(rows) if not _is_absent(row)}
    right: dict[int, tuple[int, ...]] = {}
    if reading == "marks" or (reading is None and any(_as_list(row.said) is not None for row in labelled.values())):
        right = {number: _marked(column, row) for number, row in labelled.items()}
    elif labelled:
        way = _way(column, list(labelled.values()), reading, first)
        right = {number: (index,) for number, row in labelled.items() if (index := way.index(row)) is not None}
    return [right.get(number, ()) for number in range(len(rows))]


def _way(column: str, rows: Sequence[Row], reading: Reading | None, first: int | None) -> _Way:
    ways = [way for way in WAYS if reading is None or way.reading == reading]
    if first is not None:
        ways = [way for way in ways if way.name == f"a number from {first}"]
    fitting = [way for way in ways if all(_points_to_text(way, row) for row in rows)]
    fitting = fitting or [way for way in ways if all(way.index(row) is not None for row in rows)]
    if not fitting:
        raise _fits_nowhere(column, rows, ways)
    if fitting[0].reading != "labels":
        for other in fitting[1:]:
            _agree(column, rows, fitting[0], other)
    return fitting[0]


def _points_to_text(way: _Way, row: Row) -> bool:
    index = way.index(row)
    return index is not None and bool(row.options[index])


def _fits_nowhere(column: str, rows: Sequence[Row], ways: Sequence[_Way]) -> QuestionError:
    """Name the first row that the way which fits the most rows does not fit."""
    best = max(ways, key=lambda way: sum(way.index(row) is not None for row in rows))
    row = next(row for row in rows if best.index(row) is None)
    others = sum(best.index(other) is not None for other in rows)
    as_others = f" ({others} of {len(rows)} rows have {best.name})" if others else ""
    return row.place.error(
        f"the column {column!r} is {row.said!r}{as_others}; give the right choice's number from 0 to "
        f"{len(row.options) - 1} or from 1 to {len(row.options)}, its letter, its label (questions.columns.labels) or "
        "its own words, and the same in every row"
    )


def _agree(column: str, rows: Sequence[Row], one: _Way, other: _Way) -> None:
    for row in rows:
        first, second = one.index(row), other.index(row)
        assert first is not None and second is not None
        if row.options[first] != row.options[second]:
            raise row.place.error(
                f"the column {column!r} is {row.said!r}, which is {row.options[first]!r} as {one.name} and "
                f"{row.options[second]!r} as {other.name}, and every row can be read both ways; "
                f"set {one.settled_by} or {other.settled_by}"
            )


def _by_label(row: Row) -> int | None:
    if row.labels is None:
        return None
    said = _plain(row.said)
    exact = [i for i, label in enumerate(row.labels) if _plain(label) == said]
    folded = [i for i, label in enumerate(row.labels) if _plain(label).casefold() == said.casefold()]
    return _only(exact) if exact else _only(folded)


def _by_letter(row: Row) -> int | None:
    match = _LETTER.fullmatch(str(row.said).strip())
    return _within(ord(match[1].upper()) - ord("A"), row) if match else None


def _by_number(first: int) -> Callable[[Row], int | None]:
    def index(row: Row) -> int | None:
        match = None if isinstance(row.said, bool) else _WHOLE.fullmatch(str(row.said).strip())
        return _within(int(match[1]) - first, row) if match else None

    return index


def _by_words(row: Row) -> int | None:
    """Compare exact texts first, then whole numbers however they are written, then texts without their case."""
    forms: tuple[Callable[[Any], str], ...] = (_words, _plain, lambda text: _words(text).casefold())
    for form in forms:
        said = form(row.said)
        alike = [i for i, option in enumerate(row.options) if option and form(option) == said]
        if alike:
            return alike[0] if len({_words(row.options[i]) for i in alike}) == 1 else None
    return None


WAYS = (
    _Way("labels", "a label", _by_label, "questions.columns.reading=labels"),
    _Way("words", "the answer's own words", _by_words, "questions.columns.reading=words"),
    _Way("letters", "a letter", _by_letter, "questions.columns.reading=letters"),
    _Way("numbers", "a number from 0", _by_number(0), "questions.columns.first=0"),
    _Way("numbers", "a number from 1", _by_number(1), "questions.columns.first=1"),
)


def _marked(column: str, row: Row) -> tuple[int, ...]:
    """Return where a list of marks has a 1, e.g. (0,) for [1, 0, 0]."""
    marks = [_plain(mark).casefold() for mark in _as_list(row.said) or ()]
    values = [{"1": True, "true": True, "0": False, "false": False}.get(mark) for mark in marks]
    if len(values) != len(row.options) or None in values:
        raise row.place.error(
            f"the column {column!r} is {row.said!r} and there are {len(row.options)} choices; give a list with 1 for "
            "each right choice and 0 for each wrong one, or name the right choice"
        )
    return tuple(i for i, value in enumerate(values) if value)


def _is_absent(row: Row) -> bool:
    if row.said is None or row.said != row.said:
        return True
    if isinstance(row.said, list):
        return not row.said
    said = str(row.said).strip()
    return said.casefold() in _NOTHING and said not in {*row.options, *(row.labels or ())} - {""}


def _as_list(value: Any) -> list[Any] | None:
    """Return a list of marks, also as a CSV file writes it ("[1, 0, 0]")."""
    if isinstance(value, str) and value.strip()[:1] == "[":
        try:
            value = json.loads(value.strip().replace("True", "1").replace("False", "0"))
        except ValueError:
            return None
    return value if isinstance(value, list) else None


def _plain(value: Any) -> str:
    """Return the text of a value; a whole number is written without a point, as "1" for 1, 1.0 and "1.0"."""
    text = _words(value)
    match = None if isinstance(value, bool) else _WHOLE.fullmatch(text)
    return str(int(match[1])) if match else text


def _words(value: Any) -> str:
    return single_spaced(str(value))


def _within(index: int, row: Row) -> int | None:
    return index if 0 <= index < len(row.options) else None


def _only(found: Sequence[int]) -> int | None:
    return found[0] if len(found) == 1 else None
