"""Whose debates people judged: a study's verdicts beside those of model judges, joined by what was read.

A debate is found again by its text (`rewards.people.debates.id_of`) among the stored debates of a run's evaluation, so
runs may have been renamed or moved since, and a study of other debates joins nothing.
"""

import json
import sqlite3
from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from rostrum.envs import transcripts
from rostrum.envs.types import Side, Transcript
from rostrum.rewards.people import verdicts
from rostrum.rewards.people.database import StudyError
from rostrum.rewards.people.debates import id_of
from rostrum.rewards.people.verdicts import Opinion
from rostrum.trainer.evaluation.browsed import TRANSCRIPTS
from rostrum.trainer.evaluation.verdict_table import SELF
from rostrum.trainer.reading import Open, valid

KEY = ["arm", "checkpoint", "question_id", "swapped_seats"]
"""What the table of verdicts knows a debate of a checkpoint with itself by."""


@dataclass(frozen=True, slots=True)
class Played:
    """A debate of a checkpoint with itself."""

    arm: str
    checkpoint: str
    iteration: int
    transcript: Transcript


class _About(Open):
    arm: str
    checkpoint: str
    iteration: int
    matchup: str


def played_in(runs: Iterable[Path], shown: Collection[str], questions: Collection[str]) -> dict[str, list[Played]]:
    """Return the debates of evaluated runs that were shown to people, by what they read. Two arms may have held one and
    the same debate."""
    found: dict[str, list[Played]] = {}
    for folder in runs:
        for path in sorted((folder / "evaluation").glob(f"*{TRANSCRIPTS}")):
            for transcript, about in _debates_about(path, questions):
                if (read := id_of(transcript)) in shown:
                    one = Played(about["arm"], about["checkpoint"], about["iteration"], transcript)
                    found.setdefault(read, []).append(one)
    return found


def _debates_about(path: Path, questions: Collection[str]) -> Iterator[tuple[Transcript, _About]]:
    """Yield the debates of checkpoints with themselves about some questions; others are not taken apart, for there are
    many."""
    with path.open("rb") as file:
        for number, line in enumerate(file, 1):
            data = valid(json.loads(line), Open, f"{path}, line {number},")
            about = valid(data.get("extra", {}), _About, f"{path}, line {number},")
            record = data.get("record")
            asked = record.get("question", {}).get("id") if isinstance(record, dict) else None
            if about["matchup"] == SELF and asked in questions:
                transcript = transcripts.from_json(data)
                if isinstance(transcript, Transcript):
                    yield transcript, about


def joined(connection: sqlite3.Connection, runs: Iterable[Path], table: pd.DataFrame) -> pd.DataFrame:
    """Return one row for each verdict of a person on a debate of these runs: `arm`, `checkpoint`, `iteration`,
    `protocol`, `question_id`, `story_id`, `swapped_seats`, `debate` (what was read), `judge` (a pseudonym), `p_right`,
    `first_is_right`, `seconds`, `explanation`, `question`, `right` and `wrong` (texts).

    `table` are the runs' verdicts, which know who was right.

    Raises:
        StudyError: people judged none of these debates.
    """
    opinions = list(verdicts.opinions(connection))
    known = {row["shown"]: row["question"] for row in connection.execute("SELECT shown, question FROM debate")}
    debates = played_in(runs, {opinion.debate for opinion in opinions}, set(known.values()))
    right = table[table["matchup"] == SELF].drop_duplicates(KEY).set_index(KEY)["correct_seat"].to_dict()
    rows = [
        _row(opinion, played, Side(right[key]))
        for opinion in opinions
        for played in debates.get(opinion.debate, ())
        if (key := (played.arm, played.checkpoint, played.transcript.question.id, played.transcript.swapped_seats))
        in right
    ]
    if not rows:
        raise StudyError(
            "Nobody has judged a debate of this run in that study: name a study that was made from its debates, and in "
            "which people have judged (or a rehearsal of it)."
        )
    return pd.DataFrame(rows)


def _row(opinion: Opinion, played: Played, correct: Side) -> dict[str, object]:
    transcript = played.transcript
    right, wrong = transcript.answers if correct is Side.A else transcript.answers[::-1]
    return {
        "arm": played.arm,
        "checkpoint": played.checkpoint,
        "iteration": played.iteration,
        "protocol": transcript.protocol.name,
        "question_id": transcript.question.id,
        "story_id": transcript.question.story_id,
        "swapped_seats": transcript.swapped_seats,
        "debate": opinion.debate,
        "judge": opinion.judge,
        "p_right": opinion.p if correct is Side.A else 1 - opinion.p,
        "first_is_right": opinion.first is correct,
        "seconds": opinion.seconds,
        "explanation": opinion.explanation,
        "question": transcript.question.text,
        "right": right,
        "wrong": wrong,
    }
