"""A small study's database: questions under conditions, guidelines, and judges who have joined."""

import json
import sqlite3
from pathlib import Path

from rostrum.envs.transcripts import key_of, to_json
from rostrum.envs.types import Protocol, Question, Transcript
from rostrum.rewards.people import database


def transcript(question: int, condition: int) -> Transcript:
    asked = Question(f"q{question}", f"story{question // 2}", "Who?", ("Ann", "Ben"), "Ann or Ben.")
    return Transcript(asked, Protocol("debate"), (), {"seed": condition})


def make(folder: Path, questions: int, conditions: int, wanted: int, judges: int) -> sqlite3.Connection:
    """Make a study of each question under each condition."""
    db = database.create(folder)
    with database.transaction(db):
        db.execute("INSERT INTO guidelines VALUES (1, 'Read both sides.', 0)")
        for condition in range(conditions):
            db.execute("INSERT INTO condition VALUES (?, 'run', ?, 'self', 'debate')", (condition, f"it{condition}"))
        for place in range(questions * conditions):
            question, condition = divmod(place, conditions)
            debate = transcript(question, condition)
            db.execute(
                "INSERT INTO debate VALUES (?, 'main', ?, ?, ?, ?, ?, ?)",
                (
                    key_of(debate),
                    condition,
                    debate.question.id,
                    debate.question.story_id,
                    json.dumps(to_json(debate)),
                    wanted,
                    place,
                ),
            )
        for number in range(judges):
            db.execute("INSERT INTO judge (id, number, state) VALUES (?, ?, 'main')", (f"j{number}", number))
    return db
