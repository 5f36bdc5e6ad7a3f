"""Questions from a JSON Lines file, one object a line."""

from pathlib import Path
from typing import Any, Literal

from rostrum.envs.questions.base import Entry, QuestionError, SplitRule, StoredQuestions, StoredSettings
from rostrum.envs.questions.json_lines import records
from rostrum.envs.questions.splits import digest, same_words, single_spaced
from rostrum.envs.types import Question


class JsonLinesQuestions(StoredQuestions):
    """A `QuestionSet` read from a file with one JSON object a line.

    Fields: `id`; `question`; `answers` (two); `passage` (optional); `correct` (0 or 1, the index of the right answer;
    optional, and needed by `answer_key` only); `story_id` (optional; by default a hash of the passage, or of the
    question where there is no passage). Other fields are ignored, and so are blank lines.

    Stories are ranked by a hash of `seed` and their ids, and `heldout_fraction` of them, the first ones, are held out
    (at least one, and never all, unless 0 or 1 is asked for).
    `train` and `heldout` are the most questions that a split may have. Raises `QuestionError`.
    """

    unlabelled = 'has no "correct"; add 0 or 1 to evaluate it'

    def __init__(
        self,
        path: Path | str,
        heldout_fraction: float = 0.5,
        seed: int = 0,
        train: int | None = None,
        heldout: int | None = None,
    ) -> None:
        rule = SplitRule(heldout_fraction, seed, train, heldout)
        entries = []
        for place, record in records(Path(path)):
            try:
                entries.append(Entry(_question(record), _correct(record), place))
            except QuestionError as error:
                raise place.error(str(error)) from None
        if not entries:
            raise QuestionError(f"{path} holds no questions; give a file with one JSON object a line.")
        super().__init__(str(path), entries, rule)


class Settings(StoredSettings):
    """A JSON Lines file in the project's own format."""

    kind: Literal["jsonl"]
    path: Path

    def load(self) -> JsonLinesQuestions:
        return JsonLinesQuestions(self.path, self.heldout_fraction, self.seed, self.train, self.heldout)


def _question(record: dict[str, Any]) -> Question:
    passage = record.get("passage", "")
    if not isinstance(passage, str):
        raise QuestionError('"passage" is not a string; give the text, or leave the field out')
    text = _text(record, "question")
    story = _text(record, "story_id") if "story_id" in record else digest(single_spaced(passage) or text)[:16]
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
    if same_words(first, second):
        raise QuestionError("the two answers are equal; give two different answers")
    return first, second


def _correct(record: dict[str, Any]) -> int | None:
    if "correct" not in record:
        return None
    value = record["correct"]
    if type(value) is not int or value not in (0, 1):
        raise QuestionError(f'"correct" is {value!r}; give 0 or 1, the index of the right answer, or leave it out')
    return value
