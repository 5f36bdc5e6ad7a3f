"""Which questions of QuALITY are worth a debate, as far as the annotators can tell.

A filter answers True (keep), False (drop) or None (the record lacks the annotations to tell, and is kept).
"""

from collections.abc import Callable, Iterable
from typing import NamedTuple

from rostrum.envs.questions.no_answers import is_no_answer
from rostrum.envs.questions.quality_files.records import Record


class Filter(NamedTuple):
    """A named reason to leave a question out. `keeps` is asked with a gold label only."""

    name: str
    keeps: Callable[[Record], bool | None]


def source_is(source: str) -> Callable[[Record], bool | None]:
    """Keep questions whose article comes from there, e.g. "Gutenberg"."""
    return lambda record: None if record.source is None else record.source.casefold() == source.casefold()


def is_hard(record: Record) -> bool | None:
    """Keep questions that the release marks as difficult: fewer than half of the timed annotators were right."""
    return record.difficult


def all_untimed_right(record: Record) -> bool | None:
    """Keep questions on which every annotator with time to read chose the gold option."""
    return _every(record, (annotator.answer for annotator in record.untimed), lambda answer: answer == record.gold)


def timed_right_below(share: float) -> Callable[[Record], bool | None]:
    """Keep questions on which fewer than this share of the annotators without time to read chose the gold option."""

    def keeps(record: Record) -> bool | None:
        right = sum(answer == record.gold for answer in record.timed)
        return right < share * len(record.timed) if record.timed else None

    return keeps


def all_answerable(record: Record) -> bool | None:
    """Keep questions of which every annotator with time to read found exactly one option the most correct."""
    return _every(record, (annotator.answerability for annotator in record.untimed), lambda rating: rating == 1)


def context_at_least(mean: float) -> Callable[[Record], bool | None]:
    """Keep questions whose answer needs so much of the article: the mean rating, 1 to 4, is this or more."""

    def keeps(record: Record) -> bool | None:
        ratings = [annotator.context for annotator in record.untimed if annotator.context is not None]
        return sum(ratings) >= mean * len(ratings) if ratings else None

    return keeps


def writer_agrees(record: Record) -> bool | None:
    """Keep questions whose writer meant the gold option to be right."""
    return None if record.writer is None else record.writer == record.gold


def no_option_about_options(record: Record) -> bool:
    """Keep questions of which no option speaks of the others ("all of the above") or stands for nothing ("N/A")."""
    return not any(is_no_answer(option) for option in record.options)


def _every(record: Record, given: Iterable[int | None], right: Callable[[int], bool]) -> bool | None:
    """Return False if any annotation is wrong, True if all are there and right, None if that hangs on a missing one."""
    values = list(given)
    if any(value is not None and not right(value) for value in values):
        return False
    return None if not values or None in values else True
