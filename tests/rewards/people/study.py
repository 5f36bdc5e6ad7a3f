"""A small study's database: questions under conditions, guidelines, and judges who have joined."""

import json
import sqlite3
from collections.abc import Sequence
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


def empty(folder: Path, run: str, checkpoints: Sequence[str], protocol: str, guidelines: str) -> sqlite3.Connection:
    """Make a study without debates, with a condition for each checkpoint."""
    db = database.create(folder)
    with database.transaction(db):
        db.execute("INSERT INTO guidelines VALUES (1, ?, 0)", (guidelines,))
        for number, name in enumerate(checkpoints):
            db.execute("INSERT INTO condition VALUES (?, ?, ?, 'self', ?)", (number, run, name, protocol))
    return db


def add(db: sqlite3.Connection, number: int, phase: str, condition: int, debate: Transcript, wanted: int) -> None:
    """Put a debate into a study, as people are shown it."""
    shown, asked = bare(debate), debate.question
    row = (number, id_of(shown), phase, condition, asked.id, asked.story_id, json.dumps(to_json(shown)), wanted)
    db.execute("INSERT INTO debate VALUES (?, ?, ?, ?, ?, ?, ?, ?)", row)


def make(folder: Path, questions: int, conditions: int, wanted: int, judges: int) -> sqlite3.Connection:
    """Make a study of each question under each condition."""
    db = empty(folder, "run", [f"it{n}" for n in range(conditions)], "debate", "Read both sides.")
    with database.transaction(db):
        for place in range(questions * conditions):
            question, condition = divmod(place, conditions)
            add(db, place, "main", condition, transcript(question, condition), wanted)
        for number in range(judges):
            db.execute("INSERT INTO judge (id, number, state) VALUES (?, ?, 'main')", (f"j{number}", number))
    return db
