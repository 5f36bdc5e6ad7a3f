"""Questions on the guidelines that a judge answers before the first debate, with two attempts.

They are kept in the study's database with the right answers, which no page has: a form says which of the answers on it
was chosen, and these stand in another order for every judge and attempt.
"""

import json
import random
import sqlite3
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import yaml
from pydantic import TypeAdapter, ValidationError, model_validator

from rostrum.launch.people.wording import WORDS
from rostrum.rewards.people import database, quality
from rostrum.rewards.people.database import StudyError, transaction
from rostrum.trainer.section import Section

SHIPPED = Path(__file__).with_name("comprehension.yaml")
KEY = "comprehension"
"""Of the table of settings."""
ATTEMPTS = 2


class Question(Section):
    """A question with its answers, one of which is right."""

    question: str
    answers: tuple[str, ...]
    right: str

    @model_validator(mode="after")
    def _can_be_answered(self) -> "Question":
        if self.right not in self.answers or len(set(self.answers)) != len(self.answers) or len(self.answers) < 2:
            raise ValueError(f"{self.question!r} needs two different answers or more, and one of them as right")
        return self


@dataclass(frozen=True, slots=True)
class Asked:
    """The questions of an attempt, with the answers in the order in which they are shown."""

    attempt: int
    questions: Sequence[tuple[str, Sequence[str]]]


def questions_of(source: bool | Path) -> str | None:
    """Return what `keep` is to keep of a setting `people.comprehension`; None where nothing is asked.

    Raises:
        StudyError: the file is missing, or holds no such questions.
    """
    if source is False:
        return None
    path = SHIPPED if source is True else source
    try:
        found = TypeAdapter(tuple[Question, ...]).validate_python(yaml.safe_load(path.read_text("utf-8")))
    except (OSError, UnicodeDecodeError, yaml.YAMLError, ValidationError) as error:
        said = " ".join(str(error.errors()[0]["msg"] if isinstance(error, ValidationError) else error).split())
        raise StudyError(f"{path} holds no questions on the guidelines ({said}): see docs/people.md.") from None
    if not found:
        raise StudyError(f"{path} holds no questions on the guidelines (the list is empty): see docs/people.md.")
    return json.dumps([each.model_dump() for each in found])


def keep(folder: Path, questions: str | None) -> None:
    """Put the questions into a new study."""
    if questions is not None:
        db = database.connect(folder)
        with transaction(db):
            db.execute("INSERT INTO setting VALUES (?, ?)", (KEY, questions))
        db.close()


def asked(db: sqlite3.Connection, judge: str) -> Asked | None:
    """Return the questions that a judge is to answer now; None once they were, or where there are none."""
    n, passed = quality.counts(db, judge, "comprehension")
    questions = () if passed else kept(db)
    if not questions:
        return None
    return Asked(n, [(each.question, _shuffled(each, judge, n)) for each in questions])


def answer(db: sqlite3.Connection, judge: str, form: Mapping[str, str], now: float) -> None:
    """Take the answers of an attempt; sent again, they count once. The judge who fails the last one is stopped."""
    questions = kept(db)
    with transaction(db):
        n, passed = quality.counts(db, judge, "comprehension")
        if passed or not questions or form.get("attempt") != str(n):
            return
        given = [form.get(f"answer-{number}", "") for number in range(len(questions))]
        right = [
            chosen == str(_shuffled(each, judge, n).index(each.right))
            for chosen, each in zip(given, questions, strict=True)
        ]
        quality.note(db, judge, "comprehension", all(right), now)
        if not all(right) and n + 1 >= ATTEMPTS:
            quality.stop(db, judge, WORDS["stopped_comprehension"])


def kept(db: sqlite3.Connection) -> Sequence[Question]:
    """Return the questions of a study, with their right answers."""
    found = db.execute("SELECT value FROM setting WHERE key = ?", (KEY,)).fetchone()
    return TypeAdapter(tuple[Question, ...]).validate_json(found["value"]) if found else ()


def _shuffled(question: Question, judge: str, attempt: int) -> list[str]:
    answers = list(question.answers)
    random.Random(f"comprehension:{judge}:{attempt}:{question.question}").shuffle(answers)
    return answers
