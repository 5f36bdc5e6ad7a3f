"""A small study's database: questions under conditions, guidelines, and judges who have joined."""

import json
import sqlite3
from pathlib import Path

from rostrum.envs.transcripts import to_json
from rostrum.envs.types import Protocol, Question, Side, Speech, Transcript
from rostrum.rewards.people import database
from rostrum.rewards.people.debates import bare, id_of


def transcript(question: int, condition: int) -> Transcript:
    """Return the debate on a question under a condition, as it was played."""
    asked = Question(f"q{question}", f"story{question // 2}", "Who?", ("Ann", "Ben"), "Ann or Ben.")
    said = [
        Speech(
            side.value,
            side,
            turn,
            f"In {condition} it was {name}: <v_quote>Ann or Ben</v_quote>",
            "raw",
            6,
            token_ids=(1, 2),
            logprobs=(-0.5, -0.5),
            policy="current",
            policy_version=condition,
            private="I know better.",
        )
        for turn, (side, name) in enumerate(zip((*Side, *Side), (*asked.answers, *asked.answers), strict=True))
    ]
    return Transcript(asked, Protocol("debate"), asked.answers, False, tuple(said), {"seed": condition})


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
                "INSERT INTO debate VALUES (?, ?, 'main', ?, ?, ?, ?, ?)",
                (
                    place,
                    id_of(debate),
                    condition,
                    debate.question.id,
                    debate.question.story_id,
                    json.dumps(to_json(bare(debate))),
                    wanted,
                ),
            )
        for number in range(judges):
            db.execute("INSERT INTO judge (id, number, state) VALUES (?, ?, 'main')", (f"j{number}", number))
    return db
