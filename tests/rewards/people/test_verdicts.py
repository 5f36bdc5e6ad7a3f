"""What people said is kept once, whole or not at all, and read as a judge's verdicts."""

import json
import os
import signal
import sqlite3
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from rostrum.envs.transcripts import to_json
from rostrum.envs.types import Inquiry, Side, Speech
from rostrum.rewards.judges import JudgeError, settings_by_kind
from rostrum.rewards.people import database, pay, places, verdicts
from rostrum.rewards.people.database import StudyError
from rostrum.rewards.people.debates import bare, id_of, rounds_of
from rostrum.rewards.people.verdicts import Sent
from tests.rewards.people import study


@pytest.fixture
def db(tmp_path: Path) -> sqlite3.Connection:
    return study.make(tmp_path, questions=1, conditions=1, wanted=3, judges=4)


def open_place(db: sqlite3.Connection, judge: str = "j0") -> places.Place:
    place = places.take(db, judge, "main", now=0, seconds=600)
    assert place is not None
    return place


def test_sending_twice_counts_once(db: sqlite3.Connection) -> None:
    place = open_place(db)
    for p, key in ((0.8, "one"), (0.8, "one"), (0.2, "from a second tab")):
        assert verdicts.submit(db, "j0", place.id, Sent(key, p, "why", 20.0, active=11.5), now=5) == "done"
    (opinion,) = verdicts.opinions(db)
    assert (opinion.p, opinion.seconds, opinion.at) == (0.8, 11.5, 5)


def test_another_judges_place_is_nobody_elses(db: sqlite3.Connection) -> None:
    place = open_place(db)
    with pytest.raises(StudyError, match="not given to you"):
        verdicts.submit(db, "j1", place.id, Sent("k", 0.5, "", 1.0), now=1)
    with pytest.raises(StudyError, match="not given to you"):
        verdicts.save_draft(db, "j1", place.id, {}, now=1)
    with pytest.raises(StudyError, match="not given to you"):
        verdicts.step(db, "j1", place.id, 0, 0.5, 1.0, now=1)
    assert not list(verdicts.opinions(db))


def test_rounds_come_in_turn_and_stay_as_they_were_judged(db: sqlite3.Connection) -> None:
    place = open_place(db)
    verdicts.step(db, "j0", place.id, 0, 0.6, on_page=9.0, now=1)
    with pytest.raises(StudyError, match="Round 3 cannot be judged before round 2"):
        verdicts.step(db, "j0", place.id, 2, 0.9, on_page=9.0, now=2)
    verdicts.step(db, "j0", place.id, 0, 0.1, on_page=1.0, now=2)
    verdicts.step(db, "j0", place.id, 1, 0.7, on_page=9.0, now=3)
    verdicts.submit(db, "j0", place.id, Sent("k", 0.9, "why", 30.0), now=4)
    assert next(verdicts.opinions(db)).by_round == (0.6, 0.7)


def test_drafts_are_kept_until_there_is_a_verdict(db: sqlite3.Connection) -> None:
    place = open_place(db)
    for text in ("The first", "The first side quotes"):
        verdicts.save_draft(db, "j0", place.id, {"explanation": text}, now=1)
    assert verdicts.draft(db, place.id).fields == {"explanation": "The first side quotes"}
    verdicts.submit(db, "j0", place.id, Sent("k", 0.9, "why", 30.0), now=4)
    verdicts.save_draft(db, "j0", place.id, {"explanation": "an autosave that was late"}, now=5)
    assert verdicts.draft(db, place.id) == verdicts.Draft()


def test_a_judge_of_people_gives_their_mean_and_how_many_they_were(db: sqlite3.Connection, tmp_path: Path) -> None:
    settings = settings_by_kind()["people"](kind="people", name="people", study=tmp_path)
    asked = [study.transcript(0, 0), study.transcript(1, 0)]
    before = settings.make(None).judge(asked)
    assert not any(verdict.valid for verdict in before) and "no person has judged" in before[0].reason
    for number, p in enumerate((0.9, 0.6, 0.3)):
        place = open_place(db, f"j{number}")
        verdicts.submit(db, f"j{number}", place.id, Sent(f"k{number}", p, "why", 30.0), now=number)
    judged, unknown = settings.make(None).judge(asked)
    (turned,) = settings.make(None).judge([asked[0].swapped()])
    assert turned.mean == pytest.approx(0.4), "the same debate with its sides relabelled"
    assert judged.valid and judged.mean == pytest.approx(0.6) and judged.readings == 3 and judged.swapped is None
    assert not unknown.valid
    assert settings.needs() == () and not settings.probe
    with pytest.raises(JudgeError, match="holds no study"):
        settings_by_kind()["people"](kind="people", name="people", study=tmp_path / "none").make(None)


def test_who_was_shown_which_answer_first_is_known(db: sqlite3.Connection) -> None:
    for number in range(2):
        place = open_place(db, f"j{number}")
        verdicts.submit(db, f"j{number}", place.id, Sent(f"k{number}", 0.7, "why", 30.0), now=number)
    assert {opinion.first for opinion in verdicts.opinions(db)} == {Side.A, Side.B}


def test_who_played_does_not_make_another_debate() -> None:
    played = study.transcript(0, 0)
    other = replace(played, provenance={"seed": 9}, speeches=tuple(map(without_tokens, played.speeches)))
    assert id_of(played) == id_of(other) == id_of(bare(played)) and len(id_of(played)) == 24
    assert id_of(study.transcript(0, 1)) != id_of(played) != id_of(played.swapped())


def test_what_is_kept_of_a_debate_tells_nobody_who_spoke() -> None:
    kept = json.dumps(to_json(bare(study.transcript(0, 7))))
    assert "I know better" not in kept and "raw" not in json.loads(kept)["record"]["speeches"][0].values()
    assert '"current"' not in kept.replace(json.dumps(to_json(bare(study.transcript(0, 7)))["record"]["protocol"]), "")
    assert '"policy_version": 7' not in kept and '"seed"' not in kept


def test_rounds() -> None:
    """Two rounds of two speeches; a protocol that says who speaks at each turn has a round a turn."""
    played = study.transcript(0, 0)
    assert [[speech.turn for speech in said] for _, said in rounds_of(played)] == [[0, 1], [2, 3]]
    both = replace(played.protocol, simultaneous=True)
    together = replace(
        played,
        protocol=both,
        speeches=tuple(replace(speech, turn=speech.turn // 2) for speech in played.speeches),
        inquiries=(Inquiry(1, "Who was it?"),),
    )
    found = rounds_of(together)
    assert [[speech.turn for speech in said] for _, said in found] == [[0, 0], [1, 1]]
    assert [[inquiry.text for inquiry in asked] for asked, _ in found] == [[], ["Who was it?"]]
    turns = tuple({side: "debater"} for side in "ABAB")
    apart = replace(played, protocol=replace(played.protocol, turns=turns))
    assert [len(said) for _, said in rounds_of(apart)] == [1, 1, 1, 1]


def without_tokens(speech: Speech) -> Speech:
    return replace(speech, token_ids=(), logprobs=(), policy="base")


KILLED = """
import os, signal, sys
from pathlib import Path
from rostrum.rewards.people import database, places, verdicts
db = database.connect(Path(sys.argv[1]))
place = places.take(db, "j0", "main", 0, 600)
if sys.argv[2] == "before":
    db.execute("BEGIN IMMEDIATE")
    columns = "(place, key, p, explanation, active, on_page, at)"
    db.execute(f"INSERT INTO verdict {columns} VALUES (?, 'k', .7, 'why', NULL, 3, 4)", (place.id,))
else:
    verdicts.submit(db, "j0", place.id, verdicts.Sent("k", .7, "why", 3.0), 4)
os.kill(os.getpid(), signal.SIGKILL)
"""


@pytest.mark.parametrize(("when", "kept"), [("before", 0), ("after", 1)])
def test_a_verdict_is_there_once_it_was_confirmed(db: sqlite3.Connection, tmp_path: Path, when: str, kept: int) -> None:
    """Killed before or after the commit; the client that tries again with the same key is counted once."""
    done = subprocess.run([sys.executable, "-c", KILLED, str(tmp_path), when], env=dict(os.environ), timeout=120)
    assert done.returncode == -signal.SIGKILL
    assert len(list(verdicts.opinions(db))) == kept
    place = db.execute("SELECT id FROM place").fetchone()["id"]
    assert verdicts.submit(db, "j0", place, Sent("k", 0.7, "why", 3.0), now=9) == "done"
    assert len(list(verdicts.opinions(db))) == 1


def test_a_folder_that_holds_no_study_or_another_versions(tmp_path: Path) -> None:
    with pytest.raises(StudyError, match="holds no study: name the folder"):
        database.connect(tmp_path)
    database.create(tmp_path).close()
    with pytest.raises(StudyError, match="already holds a study"):
        database.create(tmp_path)
    other = sqlite3.connect(tmp_path / database.NAME)
    other.execute("PRAGMA user_version = 9")
    other.close()
    with pytest.raises(StudyError, match="of version 9"):
        database.connect(tmp_path)
    (tmp_path / database.NAME).write_bytes(b"no database at all" * 100)
    with pytest.raises(StudyError, match="is damaged"):
        database.connect(tmp_path)


def test_a_tab_that_is_left_open_is_not_paid_all_night(tmp_path: Path) -> None:
    """Without a script a page counts for an hour at most; what a script counted is taken as it is."""
    db = study.make(tmp_path, questions=2, conditions=1, wanted=1, judges=1)
    for round_page, page, active in ((40, 50_000, None), (7_000, 20, 15)):
        place = places.take(db, "j0", "main", now=0, seconds=60)
        assert place is not None
        verdicts.step(db, "j0", place.id, 0, 0.6, round_page, 1)
        verdicts.submit(db, "j0", place.id, Sent(f"key-{place.id}", 0.7, "So.", page, active), 2)
    assert pay.worked(db) == {"j0": pay.Worked(2, 40 + 3_600 + 3_600 + 15)}
