"""What a study declared, and what is named when it is otherwise."""

import json
import sqlite3
from pathlib import Path

import pytest

from rostrum.trainer.config.people import People
from rostrum.trainer.evaluation.people import study_lock
from rostrum.trainer.evaluation.people.study_file import NAME, StudyFile
from tests.rewards.people import study


@pytest.fixture
def declared(tmp_path: Path) -> sqlite3.Connection:
    db = study.make(tmp_path, questions=4, conditions=2, wanted=2, judges=2)
    made = StudyFile(runs=("runs/one",), seed=0, people=People(words=8))
    made.write(tmp_path)
    study_lock.declare(tmp_path, db, made, {"smallest_change": 0.3})
    return db


def test_nothing_is_said_of_a_study_that_is_as_declared(declared: sqlite3.Connection, tmp_path: Path) -> None:
    assert study_lock.check(tmp_path, declared) == []


def test_a_study_without_a_lock_declared_nothing(tmp_path: Path) -> None:
    assert study_lock.check(tmp_path, study.make(tmp_path, 2, 2, 2, 2)) == []


def test_changed_settings_are_named(declared: sqlite3.Connection, tmp_path: Path) -> None:
    StudyFile(runs=("runs/one",), seed=0, people=People(words=3, qualify_accuracy=0)).write(tmp_path)
    assert study_lock.check(tmp_path, declared) == [
        "people.words was declared as 8 and is 3.",
        "people.qualify_accuracy was declared as 0.6 and is 0.0.",
    ]


def test_other_answers_debates_and_guidelines_are_told(declared: sqlite3.Connection, tmp_path: Path) -> None:
    declared.execute("INSERT INTO answer VALUES (0, 'A')")
    declared.execute("INSERT INTO guidelines VALUES (2, 'New.', 9)")
    assert study_lock.check(tmp_path, declared) == [
        "The debates or right answers are not those that were declared.",
        "The guidelines were changed after they were declared: there are 2 versions.",
    ]


def test_a_lock_that_was_edited_is_told(declared: sqlite3.Connection, tmp_path: Path) -> None:
    path = tmp_path / "protocol.lock"
    stored = json.loads(path.read_text("utf-8"))
    stored["entries"][0]["declared"]["people"]["words"] = 1
    path.write_text(json.dumps(stored), "utf-8")
    (told,) = study_lock.check(tmp_path, declared)
    assert "was changed by hand" in told
    (tmp_path / NAME).unlink()
    path.write_text("{}", "utf-8")
    (told,) = study_lock.check(tmp_path, declared)
    assert "cannot be read" in told
