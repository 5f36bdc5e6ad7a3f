"""What a study declares before anybody judges, in a protocol.lock like that of experiments, and what is other now."""

import hashlib
import sqlite3
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any

from pydantic import Field

from rostrum.envs.fingerprints import record_hash
from rostrum.rewards.people.database import StudyError
from rostrum.trainer.evaluation.people.study_file import StudyFile
from rostrum.trainer.evaluation.preregistration import lock
from rostrum.trainer.reading import Open

STATISTIC = (
    "people's accuracy under the last condition of each run less that under the first, over verdicts of the main "
    "phase; errors of stories and of judges added less that of their common cells, Student's t with the smaller count "
    "less one"
)

CHECKED = (
    "agreement of people's verdicts with the model's on the debates drawn at random; errors of stories and of judges "
    "added less that of their common cells, Student's t with the smaller count less one"
)
"""Of a study in which people check a model."""

QUEUED = "the mean of people's probabilities on each debate that a cascade puts to them; nothing is compared"
"""Of a study that a cascade fills."""


class _Study(Open):
    seed: int
    people: dict[str, Any]
    debates: str


class _Entry(lock.Chained):
    declared: _Study


class _Lock(Open):
    entries: Annotated[list[_Entry], Field(min_length=1)]


def declaration(connection: sqlite3.Connection, made: StudyFile) -> dict[str, Any]:
    """Return what a study declares, but for its power: settings, conditions, debates with their right answers, and the
    first guidelines."""
    conditions = connection.execute("SELECT run, checkpoint, protocol FROM condition ORDER BY id").fetchall()
    rows = connection.execute(
        "SELECT d.id, d.shown, d.phase, d.condition, d.wanted, a.correct FROM debate d "
        "LEFT JOIN answer a ON a.debate = d.id WHERE d.condition IS NOT NULL ORDER BY d.id"
    ).fetchall()
    (text,) = connection.execute("SELECT text FROM guidelines WHERE version = 1").fetchone()
    checked = connection.execute("SELECT debate, judge, p, part FROM model_verdict ORDER BY debate, judge").fetchall()
    return {
        "primary": CHECKED if made.people.check else STATISTIC if made.runs else QUEUED,
        "seed": made.seed,
        "people": made.people.model_dump(mode="json"),
        "conditions": [list(row) for row in conditions],
        "debates": record_hash([list(row) for row in rows]),
        "guidelines": hashlib.sha256(text.encode()).hexdigest(),
        **({"checked": record_hash([list(row) for row in checked])} if made.people.check else {}),
    }


def declare(folder: Path, connection: sqlite3.Connection, made: StudyFile, power: Mapping[str, Any]) -> None:
    """Write protocol.lock into the folder of a new study."""
    lock.append(folder, {**declaration(connection, made), "power": dict(power)})


def deviations(folder: Path, connection: sqlite3.Connection) -> list[str]:
    """Return what is not as it was declared, in sentences; a study without a lock has declared nothing.

    Raises:
        LockError: the lock was changed by hand.
    """
    entries = lock.read(folder, _Lock)
    if not entries:
        return []
    before, now = dict(entries[-1].declared), declaration(connection, StudyFile.read(folder))
    found = []
    for key, value in now.items():
        if key == "people":
            found += [
                f"people.{name} was declared as {before['people'].get(name)} and is {given}."
                for name, given in value.items()
                if before["people"].get(name) != given
            ]
        elif before.get(key) != value:
            found.append(f"The {NAMES[key]} are not those that were declared.")
    (versions,) = connection.execute("SELECT count(*) FROM guidelines").fetchone()
    if versions > 1:
        found.append(f"The guidelines were changed after they were declared: there are {versions} versions.")
    return found


NAMES = {
    "primary": "statistics",
    "seed": "seeds",
    "conditions": "conditions",
    "debates": "debates or right answers",
    "guidelines": "first guidelines",
    "checked": "model's verdicts",
}
"""What the parts of a declaration are called where they differ."""


def check(folder: Path, connection: sqlite3.Connection) -> list[str]:
    """Return `deviations`, for a study whose lock may itself be damaged: that is one of them."""
    try:
        return deviations(folder, connection)
    except (lock.LockError, StudyError) as error:
        return [str(error)]
