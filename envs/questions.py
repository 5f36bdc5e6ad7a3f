"""Questions from a JSON Lines file, split by story."""

import json
from collections.abc import Iterator
from hashlib import sha256
from pathlib import Path
from typing import Any

from envs.types import AnswerKey, Question

SPLITS = ("train", "heldout")


class QuestionError(ValueError):
    """A question file or a request that cannot be used; the message is one sentence that says what to do."""


class JsonLinesQuestions:
    """A `QuestionSet` read from a file with one JSON object a line.

    Fields: `id`; `question`; `answers` (two); `passage` (optional); `correct` (0 or 1, the index of the right answer;
    optional, and needed by `answer_key` only); `story_id` (optional; by default a hash of the passage, or of the
    question where there is no passage). Other fields are ignored, and so are blank lines.

    A story is held out if a hash of `seed` and its id, read as a fraction of 1, lies below `heldout_fraction`. So a
    story stays in its split when others come or go, and the held-out share is `heldout_fraction` on average only.
    Raises `QuestionError`.
    """

    def __init__(self, path: Path | str, heldout_fraction: float = 0.5, seed: int = 0) -> None:
        if not 0 <= heldout_fraction <= 1:
            raise QuestionError(f"heldout_fraction is {heldout_fraction}; give a number from 0 to 1.")
        self._path = Path(path)
        self._questions: dict[str, tuple[Question, ...]] = {}
        self._correct: dict[str, int] = {}
        self._line_of: dict[str, int] = {}
        questions = self._load()
        heldout = {question.story_id: _fraction(question.story_id, seed) < heldout_fraction for question in questions}
        for split in SPLITS:
            self._questions[split] = tuple(q for q in questions if heldout[q.story_id] == (split == "heldout"))

    def questions(self, split: str) -> tuple[Question, ...]:
        """The questions of "train" or "heldout", in the order of the file."""
        if split not in SPLITS:
            raise QuestionError(f'{self._path} has no split {split!r}; ask for "train" or "heldout".')
        return self._questions[split]

    def answer_key(self, split: str) -> AnswerKey:
        """The right answers of a split. Raises `QuestionError` if a question has none."""
        questions = self.questions(split)
        for question in questions:
            if question.id not in self._correct:
                line = self._line_of[question.id]
                raise _error(self._path, line, f'question {question.id!r} has no "correct"; add 0 or 1 to evaluate it')
        return AnswerKey({question.id: self._correct[question.id] for question in questions})

    def _load(self) -> list[Question]:
        questions: list[Question] = []
        first_of_passage: dict[str, Question] = {}
        for number, record in _records(self._path):
            try:
                question = _question(record)
                self._check_against_earlier(question, first_of_passage)
                if "correct" in record:
                    self._correct[question.id] = _correct(record["correct"])
            except QuestionError as error:
                raise _error(self._path, number, str(error)) from None
            self._line_of[question.id] = number
            questions.append(question)
        if not questions:
            raise QuestionError(f"{self._path} holds no questions; give a file with one JSON object a line.")
        return questions

    def _check_against_earlier(self, question: Question, first_of_passage: dict[str, Question]) -> None:
        if question.id in self._line_of:
            raise QuestionError(f"id {question.id!r} is that of line {self._line_of[question.id]}; make ids unique")
        if not question.passage.strip():
            return
        first = first_of_passage.setdefault(_single_spaced(question.passage), question)
        if first.story_id != question.story_id:  # else one passage could be trained on and held out
            raise QuestionError(
                f"the passage is that of line {self._line_of[first.id]} but its story_id differs; "
                "give questions about one passage the same story_id"
            )


def _error(path: Path, line: int, problem: str) -> QuestionError:
    return QuestionError(f"{path}, line {line}: {problem}.")


def _records(path: Path) -> Iterator[tuple[int, dict[str, Any]]]:
    """Line number (from 1) and JSON object of each line that is not blank."""
    if not path.is_file():
        raise QuestionError(f"{path} is not a file; give the path of a JSON Lines file of questions.")
    for number, line in enumerate(path.read_bytes().split(b"\n"), start=1):
        if not line.strip():
            continue
        try:
            record = json.loads(line.decode("utf-8-sig"))
        except (ValueError, RecursionError):
            raise _error(path, number, "the line is not JSON in UTF-8; write one JSON object on each line") from None
        if not isinstance(record, dict):
            raise _error(path, number, "the line is not a JSON object; write one JSON object on each line")
        yield number, record


def _question(record: dict[str, Any]) -> Question:
    passage = record.get("passage", "")
    if not isinstance(passage, str):
        raise QuestionError('"passage" is not a string; give the text, or leave the field out')
    text = _text(record, "question")
    story = _text(record, "story_id") if "story_id" in record else _digest(_single_spaced(passage) or text)[:16]
    return Question(_text(record, "id"), story, text, _answers(record.get("answers")), passage)


def _text(record: dict[str, Any], field: str) -> str:
    value = record.get(field)
    if not isinstance(value, str) or not value.strip():
        raise QuestionError(f'"{field}" is missing, empty or not a string; give it as a string with text')
    return value


def _answers(value: object) -> tuple[str, str]:
    if not isinstance(value, list) or len(value) != 2:
        raise QuestionError('"answers" is not a list of two; give exactly two answers')
    first, second = value
    if not (isinstance(first, str) and isinstance(second, str) and first.strip() and second.strip()):
        raise QuestionError('"answers" holds something empty or not a string; give two strings with text')
    if _single_spaced(first).casefold() == _single_spaced(second).casefold():
        raise QuestionError("the two answers are equal; give two different answers")
    return first, second


def _correct(value: object) -> int:
    if type(value) is not int or value not in (0, 1):
        raise QuestionError(f'"correct" is {value!r}; give 0 or 1, the index of the right answer, or leave it out')
    return value


def _fraction(story_id: str, seed: int) -> float:
    """A number in [0, 1) that depends on nothing but its arguments."""
    return int(_digest(f"{seed}:{story_id}")[:13], 16) / 16**13


def _digest(text: str) -> str:
    return sha256(text.encode("utf-8", errors="surrogatepass")).hexdigest()


def _single_spaced(text: str) -> str:
    return " ".join(text.split())
