"""Reading QuALITY's files: one JSON object a line, an article with the questions that one writer asked about it."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rostrum.envs.questions.base import Place, QuestionError
from rostrum.envs.questions.json_lines import records
from rostrum.envs.questions.quality_files.markup import plain_text

_RELEASED = re.compile(r"QuALITY\..*?(?P<stripped>htmlstripped\.)?(?P<part>train|dev|test)(\.jsonl)?")
_SPLIT_OF_PART = {"train": "train", "dev": "heldout"}
_DISTRACTOR_FIELDS = ("untimed_best_distractor", "untimed_eval3_distractor")
"""The name in the released files, and the name in the release's documentation."""


@dataclass(frozen=True, slots=True)
class Untimed:
    """What one annotator with time to read said; None where the file does not tell. Options count from 0."""

    answer: int | None
    answerability: int | None
    """1: one option is the most correct; 2: several are equally correct; 3: unclear or unrelated to the article."""
    context: int | None
    """How much of the article is needed: 1 a sentence or two, 2 a long paragraph or two, 3 a third, 4 most of it."""
    distractor: int | None
    """The best of the options that this annotator did not choose."""


@dataclass(frozen=True, slots=True)
class Record:
    """A question with its options and everything that is known about it. Options count from 0."""

    id: str
    article_id: str
    source: str | None
    text: str
    options: tuple[str, ...]
    passage: str
    gold: int | None
    writer: int | None
    difficult: bool | None
    untimed: tuple[Untimed, ...]
    timed: tuple[int, ...]
    """The answers of annotators who had 45 seconds with the article."""
    place: Place
    split: str | None


def read(path: Path) -> Iterator[Record]:
    """Yield the questions of a file, or of the files of a folder.

    A folder that holds the released train and dev parts is read as those two: train is "train", dev is "heldout", and
    nothing else in it is looked at (the test part has no gold labels). Of any other folder every `*.jsonl` and every
    released part is read. A part without HTML is preferred to the same part with it.

    Raises:
        QuestionError: there is no such file, or something in it is not as released; says in which line.
    """
    for file, split in _files(path):
        for place, article in records(file):
            try:
                yield from _questions(article, place, split)
            except QuestionError as error:
                raise place.error(str(error)) from None


def _files(path: Path) -> list[tuple[Path, str | None]]:
    if not path.is_dir():
        return [(path, None)]
    parts: dict[str, Path] = {}
    others = []
    for file in sorted(path.iterdir()):
        if not (match := _RELEASED.fullmatch(file.name)):
            others += [file] if file.suffix == ".jsonl" else []
        elif match["stripped"] or match["part"] not in parts:
            parts[match["part"]] = file
    if _SPLIT_OF_PART.keys() <= parts.keys():
        return [(parts[part], split) for part, split in _SPLIT_OF_PART.items()]
    if not parts and not others:
        raise QuestionError(f"{path} holds no *.jsonl and no QuALITY.*.train or .dev; give the folder of QuALITY.")
    return [(file, None) for file in sorted([*parts.values(), *others])]


def _questions(article: dict[str, Any], place: Place, split: str | None) -> Iterator[Record]:
    passage = plain_text(_text(article, "article"))
    if not passage.strip():
        raise QuestionError('"article" has no text but markup; give the story')
    questions = article.get("questions")
    if not isinstance(questions, list) or not all(isinstance(question, dict) for question in questions):
        raise QuestionError('"questions" is missing or not a list of objects; give one object per question')
    for question in questions:
        name = _text(question, "question_unique_id")
        try:
            yield _question(name, question, article, passage, place, split)
        except QuestionError as error:
            raise QuestionError(f"question {name!r}: {error}") from None


def _question(
    name: str, question: dict[str, Any], article: dict[str, Any], passage: str, place: Place, split: str | None
) -> Record:
    options, source = _options(question), article.get("source")
    timed = (_label(annotator, "speed_answer", options) for annotator in _list(question, "speed_validation"))
    return Record(
        id=name,
        article_id=_text(article, "article_id"),
        source=source if isinstance(source, str) else None,
        text=_text(question, "question").strip(),
        options=options,
        passage=passage,
        gold=_label(question, "gold_label", options),
        writer=_label(question, "writer_label", options),
        difficult=None if (flag := _number(question, "difficult")) is None else bool(flag),
        untimed=tuple(_untimed(annotator, options) for annotator in _list(question, "validation")),
        timed=tuple(answer for answer in timed if answer is not None),
        place=place,
        split=split,
    )


def _untimed(annotator: dict[str, Any], options: tuple[str, ...]) -> Untimed:
    distractors = (_label(annotator, field, options) for field in _DISTRACTOR_FIELDS)
    return Untimed(
        _label(annotator, "untimed_answer", options),
        _number(annotator, "untimed_eval1_answerability"),
        _number(annotator, "untimed_eval2_context"),
        next((distractor for distractor in distractors if distractor is not None), None),
    )


def _text(record: dict[str, Any], field: str) -> str:
    value = record.get(field)
    if isinstance(value, int) and field == "article_id":
        return str(value)
    if not isinstance(value, str) or not value.strip():
        raise QuestionError(f'"{field}" is missing, empty or not a string; give it as a string with text')
    return value


def _options(question: dict[str, Any]) -> tuple[str, ...]:
    options = question.get("options")
    if not isinstance(options, list) or len(options) < 2 or not all(isinstance(option, str) for option in options):
        raise QuestionError('"options" is not a list of two or more strings; give the options that readers chose from')
    return tuple(option.strip() for option in options)


def _list(question: dict[str, Any], field: str) -> list[dict[str, Any]]:
    value = question.get(field) or []
    if not isinstance(value, list) or not all(isinstance(item, dict) for item in value):
        raise QuestionError(f'"{field}" is not a list of objects; give one object per annotator, or leave it out')
    return value


def _label(record: dict[str, Any], field: str, options: tuple[str, ...]) -> int | None:
    """Return an option's index from 0; the files count from 1. None if the field is not there or is null."""
    number = _number(record, field)
    if number is not None and not 1 <= number <= len(options):
        raise QuestionError(f'"{field}" is {number} and there are {len(options)} options; give 1 to {len(options)}')
    return None if number is None else number - 1


def _number(record: dict[str, Any], field: str) -> int | None:
    value = record.get(field)
    if value is None:
        return None
    if isinstance(value, str) and value.isdecimal():
        return int(value)
    if isinstance(value, bool) or not isinstance(value, int):
        raise QuestionError(f'"{field}" is {value!r}; give a whole number, or leave it out')
    return value
