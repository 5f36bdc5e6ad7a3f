"""A person is removed: from the database, and from every byte of its files."""

import json
import sqlite3
from dataclasses import replace
from pathlib import Path

import pytest

from rostrum.envs.transcripts import to_json
from rostrum.envs.types import Inquiry
from rostrum.rewards.people import controls, database, mail, pay, places, removal, verdicts
from rostrum.rewards.people.database import StudyError
from rostrum.rewards.people.verdicts import Sent
from tests.rewards.people import study

SECRETS = ("PLANTED-NAME", "planted@example.org", "PLANTED-OUTSIDE", "PLANTED-WHY", "PLANTED-MESSAGE", "PLANTED-NOTE")
SECRETS += ("PLANTED-SURVEY", "PLANTED-DRAFT", "PLANTED-LINK", "PLANTED-SESSION", "PLANTED-WARNING", "PLANTED-ASKED")
SECRETS += ("PLANTED-TOKEN", "PLANTED-KEY", "planted-judge")


@pytest.fixture
def db(tmp_path: Path) -> sqlite3.Connection:
    """A study with a judge of whom all that can be known is planted, and another one."""
    db = study.make(tmp_path, questions=4, conditions=1, wanted=1, judges=1)
    who = "planted-judge"
    db.execute("INSERT INTO judge (id, number, state) VALUES (?, 7, 'main')", (who,))
    db.execute("INSERT INTO person (judge, name, contact, outside_id) VALUES (?, ?, ?, ?)", (who, *SECRETS[:3]))
    for judge in (who, "j0"):
        place = places.take(db, judge, "main", 1, 60)
        assert place is not None
        verdicts.step(db, judge, place.id, 0, 0.7, 5, 9)
        own = judge == who
        sent = Sent("PLANTED-KEY" if own else "k", 0.8, "PLANTED-WHY" if own else "Other words.", 10, 9)
        verdicts.submit(db, judge, place.id, sent, 10)
    place = places.take(db, who, "main", 11, 60)
    assert place is not None
    db.execute("UPDATE place SET token = 'PLANTED-TOKEN' WHERE id = ?", (place.id,))
    verdicts.save_draft(db, who, place.id, {"explanation": "PLANTED-DRAFT"}, 12)
    mail.send(db, who, "judge", "PLANTED-MESSAGE", 13, place.id)
    mail.send(db, "j0", "researcher", "planted-judge says otherwise.", 13)
    controls.add_note(db, "PLANTED-NOTE", 14, judge=who)
    controls.add_note(db, "See planted-judge.", 14, debate=0)
    db.execute("INSERT INTO survey VALUES (?, ?, 15)", (who, json.dumps({"text": "PLANTED-SURVEY"})))
    db.execute("INSERT INTO link (hash, judge, used) VALUES ('PLANTED-LINK', ?, 1)", (who,))
    db.execute("INSERT INTO session (hash, judge, expires) VALUES ('PLANTED-SESSION', ?, 1)", (who,))
    db.execute("INSERT INTO warning (judge, reason, at) VALUES (?, 'PLANTED-WARNING', 1)", (who,))
    db.execute(
        "INSERT INTO inquiry (place, round, text, at, state, since) VALUES (?, 0, 'PLANTED-ASKED', 1, 'done', 1)",
        (place.id,),
    )
    db.execute("INSERT INTO checked (judge, kind, place, passed, at) VALUES (?, 'attention', ?, 1, 1)", (who, place.id))
    return db


def planted(folder: Path) -> set[str]:
    """Return which secrets stand in any file of the study."""
    content = b"".join(path.read_bytes() for path in folder.iterdir() if path.is_file())
    return {secret for secret in SECRETS if secret.encode() in content}


def test_the_numbers_stay_under_a_new_pseudonym(db: sqlite3.Connection, tmp_path: Path) -> None:
    assert planted(tmp_path) == set(SECRETS), "the search finds what there is"
    new = removal.remove(db, "planted-judge", "verdicts")
    assert planted(tmp_path) == set()
    found = {opinion.judge: opinion for opinion in verdicts.opinions(db)}
    assert set(found) == {"j0", new} and new is not None
    assert (found[new].p, found[new].by_round, found[new].explanation) == (0.8, (0.7,), "")
    assert found["j0"].explanation == "Other words."
    assert tuple(db.execute("SELECT state, number, joined FROM judge WHERE id = ?", (new,)).fetchone()) == (
        "left",
        7,
        None,
    )
    states = db.execute("SELECT state FROM place WHERE judge = ? ORDER BY id", (new,)).fetchall()
    assert [state for (state,) in states] == ["done", "returned"]
    assert [thread.judge for thread in mail.threads(db)] == ["j0"]
    assert db.execute("SELECT text FROM note").fetchone()[0] == "See [removed]."
    assert not db.execute("PRAGMA foreign_key_check").fetchall()


def test_nothing_stays_and_others_judge_in_the_persons_place(db: sqlite3.Connection, tmp_path: Path) -> None:
    before = {row["debate"] for row in db.execute("SELECT debate FROM place WHERE judge = 'planted-judge'")}
    assert removal.remove(db, "planted-judge", "nothing") is None
    assert planted(tmp_path) == set()
    assert [opinion.judge for opinion in verdicts.opinions(db)] == ["j0"]
    assert not db.execute("SELECT 1 FROM checked").fetchall()
    again = set()
    while (place := places.take(db, "j0", "main", 20, 60)) is not None:
        again.add(place.debate)
        verdicts.submit(db, "j0", place.id, Sent(str(place.id), 0.6, "So.", 1), 21)
    assert before <= again


def test_what_was_asked_in_a_live_debate_is_removed(tmp_path: Path) -> None:
    db = study.make(tmp_path, questions=1, conditions=1, wanted=1, judges=1)
    place = places.take(db, "j0", "main", 1, 60)
    assert place is not None
    debate = study.transcript(0, 0)
    stored = json.dumps(to_json(replace(debate, inquiries=(Inquiry(2, "PLANTED-ASKED"),))))
    columns = [row["name"] for row in db.execute("PRAGMA table_info(live)")]
    row = {"place": place.id, "transcript": stored}
    db.execute(f"INSERT INTO live VALUES ({', '.join('?' * len(columns))})", [row.get(name, "") for name in columns])
    removal.remove(db, "j0", "verdicts")
    assert planted(tmp_path) == set()
    kept = json.loads(db.execute("SELECT transcript FROM live").fetchone()[0])["record"]
    assert kept["inquiries"][0]["text"] == "" and len(kept["speeches"]) == 4


def test_while_others_read_nobody_is_removed(db: sqlite3.Connection, tmp_path: Path) -> None:
    with pytest.raises(StudyError, match="There is no judge nobody"):
        removal.remove(db, "nobody", "nothing")
    db.execute("PRAGMA busy_timeout = 10")
    other = database.connect(tmp_path)
    other.execute("BEGIN")
    other.execute("SELECT * FROM judge").fetchone()
    with pytest.raises(StudyError, match="stop the server"):
        removal.remove(db, "planted-judge", "nothing")
    other.rollback()
    other.close()
    assert db.execute("SELECT 1 FROM judge WHERE id = 'planted-judge'").fetchone(), "and can be tried again"
    removal.remove(db, "planted-judge", "nothing")
    assert planted(tmp_path) == set()


def test_what_was_begun_stays_paid(db: sqlite3.Connection) -> None:
    (place,) = db.execute("SELECT id FROM place WHERE token = 'PLANTED-TOKEN'").fetchone()
    verdicts.save_draft(db, "planted-judge", place, {"explanation": "PLANTED-DRAFT"}, 13, 40)
    before = pay.worked(db)["planted-judge"]
    new = removal.remove(db, "planted-judge", "verdicts")
    assert new is not None and pay.worked(db)[new] == before and before.unfinished == 40
