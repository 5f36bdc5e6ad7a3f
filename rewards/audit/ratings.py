"""Human ratings of pairs of answers, as a file of JSON Lines.

Each line is an object with

    debate    the id of the debate or pair that was rated (a string)
    score     the human rating from 1 (side A's answer is far better) over 5 (a tie) to 9 (side B's), or instead
    score_1, score_2    two ratings, of side A's and of side B's answer, that differ by at most 10
    judge     optional: a judge's rating of the same pair, from 1 to 9

Two ratings become one on the scale of 1 to 9 by s = 5 + 0.4 (score_2 - score_1), rounded.
"""

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeGuard

LOWEST, MIDDLE, HIGHEST = 1, 5, 9
SLOPE = 0.4
"""Of the map from the difference of two ratings to the scale of 1 to 9."""


class RatingError(ValueError):
    """A file of ratings that cannot be used; the message is one sentence that says what to do."""


@dataclass(frozen=True, slots=True)
class Rating:
    """What a person said of a debate, on the scale of 1 to 9, and what a judge did if the file knows."""

    debate: str
    human: int
    judge: int | None


def read_ratings(path: Path) -> list[Rating]:
    """Return the ratings of a file.

    Raises:
        RatingError: there is no such file, or a line is no rating.
    """
    if not path.is_file():
        raise RatingError(f"There is no file of human ratings {path}: give audit.ratings=FILE, or leave it out.")
    try:
        lines = path.read_bytes().decode("utf-8").splitlines()
    except UnicodeDecodeError as error:
        raise RatingError(f"{path} is no UTF-8 (byte {error.start}): give a file of JSON Lines.") from None
    found = [_rating(line, f"{path}, line {number}") for number, line in enumerate(lines, 1) if line.strip()]
    if not found:
        raise RatingError(f"{path} holds no ratings: give a file with one JSON object on each line.")
    return found


def from_difference(difference: float) -> int:
    """Return the rating from 1 to 9 that a difference of two ratings, from -10 to 10, stands for."""
    return round(MIDDLE + SLOPE * difference)


def _rating(line: str, where: str) -> Rating:
    try:
        record = json.loads(line)
    except (ValueError, RecursionError):
        raise RatingError(f"{where} is not JSON: write one object on each line.") from None
    if not isinstance(record, dict) or not isinstance(record.get("debate"), str):
        raise RatingError(f'{where} needs "debate", the id of the debate that was rated, as a string.')
    return Rating(record["debate"], _human(record, where), _judge(record, where))


def _human(record: Mapping[str, Any], where: str) -> int:
    score: Any = record.get("score")
    if _is_rating(score):
        return int(score)
    first, second = record.get("score_1"), record.get("score_2")
    if _is_number(first) and _is_number(second) and abs(second - first) <= 10:
        return from_difference(second - first)
    raise RatingError(f'{where} needs "score" (a whole number, 1 to 9) or "score_1" and "score_2" (at most 10 apart).')


def _judge(record: Mapping[str, Any], where: str) -> int | None:
    score: Any = record.get("judge")
    if score is None or _is_rating(score):
        return None if score is None else int(score)
    raise RatingError(f'{where}: "judge" must be a whole number from 1 to 9, or be left out.')


def _is_number(score: Any) -> TypeGuard[float]:
    return isinstance(score, int | float) and not isinstance(score, bool) and math.isfinite(score)


def _is_rating(score: Any) -> bool:
    return isinstance(score, int) and not isinstance(score, bool) and LOWEST <= score <= HIGHEST
