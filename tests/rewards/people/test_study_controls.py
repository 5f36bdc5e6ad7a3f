"""Messages between judges and researchers, and what researchers do to a study that runs."""

import sqlite3
from pathlib import Path

import pytest

from rostrum.rewards.people import controls, mail, places
from rostrum.rewards.people.database import StudyError
from tests.rewards.people import study


@pytest.fixture
def db(tmp_path: Path) -> sqlite3.Connection:
    return study.make(tmp_path, questions=4, conditions=1, wanted=2, judges=3)


def test_messages_go_both_ways_and_know_whether_they_were_read(db: sqlite3.Connection) -> None:
    place = places.take(db, "j0", "main", 1, 60)
    assert place is not None
    mail.send(db, "j0", "judge", " Round 2 is empty. ", 10, place.id)
    mail.send(db, "j1", "judge", "Thanks!", 11)
    mail.send(db, "j0", "researcher", "So it is.", 12)
    first, second = mail.messages(db, "j0")
    assert (first.text, first.debate, first.read) == ("Round 2 is empty.", place.debate, None)
    assert (second.sender, second.place) == ("researcher", None)
    mail.mark_read(db, "j1", "judge", 13)
    assert [(thread.judge, thread.unread) for thread in mail.threads(db)] == [("j0", 1), ("j1", 0)], "unread first"
    assert mail.unread(db, "j0", "researcher") == 1
    mail.send(db, "j0", "researcher", "And mended.", 14)
    mail.mark_read(db, "j0", "researcher", 15, until=second.id)
    assert mail.unread(db, "j0", "researcher") == 1, "one that came after the page is still unread"


def test_a_message_to_all_goes_to_those_who_are_there(db: sqlite3.Connection) -> None:
    db.execute("UPDATE judge SET state = 'left' WHERE id = 'j1'")
    assert mail.send_to_all(db, "New guidelines tomorrow.", 5) == 2
    assert [mail.unread(db, judge, "researcher") for judge in ("j0", "j1", "j2")] == [1, 0, 1]


def test_messages_that_cannot_be_are_refused(db: sqlite3.Connection) -> None:
    place = places.take(db, "j0", "main", 1, 60)
    assert place is not None
    for judge, text, about, told in (
        ("j0", " ", None, "Write something"),
        ("j0", "x" * 5_000, None, "at most 4000 characters"),
        ("nobody", "Hello", None, "no judge nobody"),
        ("j1", "Hello", place.id, "not given to you"),
    ):
        with pytest.raises(StudyError, match=told):
            mail.send(db, judge, "judge", text, 1, about)
    assert not mail.threads(db)


def test_a_paused_study_gives_out_nothing_new(db: sqlite3.Connection) -> None:
    begun = places.take(db, "j0", "main", 1, 60)
    controls.pause(db)
    assert places.take(db, "j0", "main", 2, 60) == begun
    with pytest.raises(places.PausedError):
        places.take(db, "j1", "main", 2, 60)
    with pytest.raises(places.PausedError):
        places.take(db, "j0", "main", 99, 60)  # its time is up
    controls.resume(db)
    assert places.take(db, "j1", "main", 3, 60) is not None


def test_a_place_is_given_under_the_guidelines_that_its_judge_has_read(db: sqlite3.Connection) -> None:
    db.execute("INSERT INTO acknowledged VALUES ('j0', 1, 0)")
    assert controls.new_guidelines(db, "Read both sides twice.\r\n", 5) == 2
    with pytest.raises(StudyError, match="change something"):
        controls.new_guidelines(db, "Read both sides twice.", 6)
    with pytest.raises(StudyError, match="empty"):
        controls.new_guidelines(db, " \n ", 6)
    taken = [places.take(db, judge, "main", 7, 60) for judge in ("j0", "j1")]
    assert [place and place.guidelines for place in taken] == [1, 2]


def test_a_judge_is_stopped_with_a_reason_and_let_back_in(db: sqlite3.Connection) -> None:
    place = places.take(db, "j0", "main", 1, 60)
    assert place is not None
    with pytest.raises(StudyError, match="Say why"):
        controls.stop(db, "j0", " ")
    controls.stop(db, "j0", "Too quick.")
    assert tuple(db.execute("SELECT state, reason FROM judge WHERE id = 'j0'").fetchone()) == ("stopped", "Too quick.")
    assert db.execute("SELECT state FROM place").fetchone()[0] == "returned"
    with pytest.raises(StudyError, match="nobody to stop"):
        controls.stop(db, "j0", "Again.")
    with pytest.raises(StudyError, match="no phase survey"):
        controls.let_back(db, "j0", "survey", "Sorry.", 9)
    controls.let_back(db, "j0", "main", "That was a fault of ours.", 9)
    assert controls.is_at_work(db, "j0") and mail.messages(db, "j0")[0].text == "That was a fault of ours."
    with pytest.raises(StudyError, match="was not stopped"):
        controls.let_back(db, "j1", "main", "Sorry.", 9)


def test_what_was_decided_last_stands(db: sqlite3.Connection) -> None:
    with pytest.raises(StudyError, match="Say why"):
        controls.adjudicate(db, 0, 0.9, "", 1)
    controls.adjudicate(db, 0, 0.9, "The quote decides.", 1)
    controls.adjudicate(db, 0, 0.2, "It does not.", 2)
    assert [tuple(row) for row in db.execute("SELECT * FROM adjudication")] == [(0, 0.2, "It does not.", 2)]
    controls.add_note(db, "Odd.", 3, debate=0)
    with pytest.raises(StudyError, match="Write something"):
        controls.add_note(db, "", 3, judge="j0")


def test_who_is_through_is_not_stopped(tmp_path: Path) -> None:
    """They were told that they are done, and have their code."""
    db = study.make(tmp_path, questions=1, conditions=1, wanted=1, judges=1)
    db.execute("UPDATE judge SET state = 'finished'")
    with pytest.raises(StudyError, match="nobody to stop"):
        controls.stop(db, "j0", "Why not.")
