"""What judges are due, worked by hand: debates that were begun and not finished are paid, and no second twice."""

import sqlite3
from pathlib import Path

import pytest

from rostrum.rewards.people import controls, pay, places, quality, verdicts
from rostrum.rewards.people.database import transaction
from rostrum.rewards.people.pay import Worked
from rostrum.rewards.people.verdicts import Sent
from tests.rewards.people import study


@pytest.fixture
def db(tmp_path: Path) -> sqlite3.Connection:
    return study.make(tmp_path, questions=2, conditions=1, wanted=1, judges=2)


def begun(db: sqlite3.Connection) -> int:
    """A judge has judged a round in 20 active seconds, and has been 7 on the next."""
    place = places.take(db, "j0", "main", 0, 60)
    assert place is not None
    verdicts.step(db, "j0", place.id, 0, 0.6, 30, 30, 20)
    verdicts.save_draft(db, "j0", place.id, {"p": "60"}, 40, 7)
    return place.id


def test_who_is_at_it_leaves_is_stopped_or_lets_time_run_out_is_paid(db: sqlite3.Connection) -> None:
    begun(db)
    for end in (
        lambda: None,
        lambda: places.give_back(db, "j0"),
        lambda: places.take(db, "j1", "main", 100, 60),  # the time is up
        lambda: controls.stop(db, "j0", "Enough."),
    ):
        end()
        assert pay.worked(db, "j0") == {"j0": Worked(0, 27, 27)}
    with transaction(db):
        quality.stop(db, "j0", "Again.")
    assert pay.worked(db, "j0")["j0"].seconds == 27


def test_the_seconds_of_a_draft_are_part_of_the_verdicts(db: sqlite3.Connection) -> None:
    """The place is put back, and is its judge's again with the verdict, whose seconds hold the draft's."""
    place = begun(db)
    places.return_late(db, 100)
    verdicts.submit(db, "j0", place, Sent("k", 0.7, "why", 80, 12), 110)
    assert pay.worked(db) == {"j0": Worked(1, 32)}
    verdicts.save_draft(db, "j0", place, {}, 120, 500)
    assert pay.worked(db) == {"j0": Worked(1, 32)}, "a tab that was left open adds nothing"


def test_a_round_that_was_sent_takes_its_draft_along(db: sqlite3.Connection) -> None:
    place = begun(db)
    verdicts.step(db, "j0", place, 1, 0.6, 30, 50, 15)
    assert pay.worked(db) == {"j0": Worked(0, 35, 35)}


def test_of_two_tabs_the_one_that_was_open_longer_counts(db: sqlite3.Connection) -> None:
    place = begun(db)
    for seconds in (30, 12, None):
        verdicts.save_draft(db, "j0", place, {"p": "70"}, 50, seconds)
    assert pay.worked(db)["j0"].seconds == 20 + 30
    assert verdicts.draft(db, place) == verdicts.Draft({"p": "70"}, 30), "what is typed last is what stays"


def test_the_sentence_names_what_was_not_finished(db: sqlite3.Connection) -> None:
    verdicts.submit(db, "j0", begun(db), Sent("k", 0.7, "why", 80, 3_580), 110)
    place = places.take(db, "j1", "main", 0, 60)
    assert place is not None
    verdicts.save_draft(db, "j1", place.id, {}, 1, 1_800)
    assert pay.sentence(db, 20) == (
        "Judges are due $30.00 for 1.5 hours of work, of which $10.00 are for debates that were begun and not finished."
    )
