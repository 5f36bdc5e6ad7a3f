"""What a researcher reads of a study, on planted verdicts: worked numbers."""

import math
import sqlite3
from pathlib import Path

import pytest

from rostrum.envs.types import Side
from rostrum.rewards.people import controls, places, verdicts
from rostrum.rewards.people.verdicts import Sent
from rostrum.trainer.config.people import People
from rostrum.trainer.evaluation.people import given, overview, persons, worth_a_look
from rostrum.trainer.evaluation.people.given import Given
from tests.rewards.people import study

PEOPLE = People(wage=36, minutes=6)
"""A cent a second."""


def verdict(judge: str = "ann", debate: int = 0, p: float = 0.8, **more: object) -> Given:
    """Return a verdict of the main phase on a debate whose side A is right."""
    fields = {
        "place": 0,
        "judge": judge,
        "debate": debate,
        "phase": "main",
        "condition": "run: it0, debate",
        "question": f"q{debate}",
        "story": f"story{debate // 2}",
        "first": Side.A,
        "guidelines": 1,
        "counts": True,
        "p": p,
        "correct": Side.A,
        "explanation": "The quote is there and it decides.",
        "active": 60.0,
        "on_page": 70.0,
        "seconds": 60.0,
        "given_at": 0.0,
        "at": 3600.0,
    }
    return Given(**(fields | more))  # type: ignore[arg-type]


@pytest.fixture
def db(tmp_path: Path) -> sqlite3.Connection:
    """Four questions under two conditions, two verdicts wanted; side A is right everywhere."""
    db = study.make(tmp_path, questions=4, conditions=2, wanted=2, judges=3)
    db.execute("INSERT INTO answer SELECT id, 'A' FROM debate")
    return db


def judge(
    db: sqlite3.Connection, who: str, p: float, at: float, explanation: str = "So it says.", active: float = 50
) -> int:
    place = places.take(db, who, "main", at - 100, 1000)
    assert place is not None
    sent = Sent(f"{who}-{place.id}", p, explanation, 80, active)
    verdicts.submit(db, who, place.id, sent, at)
    return place.debate


def test_verdicts_are_read_with_what_a_researcher_knows(db: sqlite3.Connection) -> None:
    place = places.take(db, "j0", "main", 0, 1000)
    assert place is not None
    verdicts.step(db, "j0", place.id, 0, 0.6, 30, 40, None)
    verdicts.submit(db, "j0", place.id, Sent("k", 0.2, "So it says.", 80, 50), 100)
    (found,) = given.read(db)
    assert found.seconds == 30 + 50 and found.p_right == 0.2 and found.right == 0 and found.sure_and_wrong
    assert found.p_first == (0.2 if found.first is Side.A else 0.8)
    assert found.condition in ("run: it0, debate", "run: it1, debate") and found.counts


def test_progress_cost_and_changes(db: sqlite3.Connection) -> None:
    for n, p in enumerate((0.9, 0.8, 0.3)):
        judge(db, f"j{n}", p, 1000.0 + n)
    controls.new_guidelines(db, "Read twice.", 2000)
    judge(db, "j0", 0.9, 2000 + 7200)
    places.take(db, "j1", "main", 9300, 60)
    rows = overview.progress(db)
    assert [(row.phase, row.condition) for row in rows] == [("main", "run: it0, debate"), ("main", "run: it1, debate")]
    assert sum(row.done for row in rows) == 4 and sum(row.begun for row in rows) == 1
    assert {row.wanted for row in rows} == {8} and {row.debates for row in rows} == {4}
    found = given.read(db)
    cost = overview.cost(db, found, PEOPLE)
    assert cost.dollars == pytest.approx(2.0) and cost.budget == pytest.approx(16 * 6 * 60 / 100)
    assert cost.per_verdict == pytest.approx(0.5) and cost.per_right == pytest.approx(2 / 3)
    assert overview.cost(db, found, PEOPLE.model_copy(update={"budget": 9.0})).budget == 9
    assert math.isnan(overview.cost(db, [], PEOPLE).per_verdict)
    second, first = overview.changes(db, found, first=1)
    assert (second.version, second.verdicts, second.hours) == (2, 1, 2.0)
    assert (first.version, first.verdicts, first.hours) == (1, 3, pytest.approx(1000 / 3600))
    assert [each.hours for each in overview.changes(db, found)] == [None, None], "not ten yet"


def test_days_and_who_is_at_work(db: sqlite3.Connection) -> None:
    day = 24 * 3600.0
    found = [verdict(at=day - 1), verdict(at=day), verdict(at=day + 1, phase="training"), verdict(at=day, counts=False)]
    assert overview.per_day(found) == [("1970-01-02", 1, 3), ("1970-01-01", 1, 1)]
    db.execute("UPDATE judge SET seen = CASE id WHEN 'j0' THEN 1000 WHEN 'j1' THEN 300 ELSE 1000 END")
    db.execute("UPDATE judge SET state = 'finished' WHERE id = 'j2'")
    assert overview.at_work(db, 1100) == ["j0"]


def test_the_alarm_rings_when_few_do_most() -> None:
    assert overview.alarm([20, 1, 1, 1, 1], 0.5) == pytest.approx(20 / 24)
    assert overview.alarm([20, 1, 1, 1, 1], 0.9) is None
    assert overview.alarm([5, 5, 5, 5, 5], 0.5) is None
    assert overview.alarm([20, 1, 1, 1], 0.5) is None, "of four there is no fifth"
    assert overview.alarm([9, 1, 1, 1, 1], 0.5) is None, "too few to say so"


def test_a_judge_in_figures(db: sqlite3.Connection) -> None:
    db.execute("UPDATE judge SET joined = 0")
    found = [
        verdict("j0", 0, 0.9, phase="training", seconds=500, at=1800),
        verdict("j0", 1, 0.9, phase="gold", at=3600, given_at=1800),
        verdict("j0", 2, 0.3, at=7200, given_at=0, first=Side.B),
        verdict("j0", 3, 0.7, at=7200, given_at=0, counts=False),
        verdict("j1", 3, 0.7),
    ]
    place = places.take(db, "j0", "main", 0, 60)
    assert place is not None
    verdicts.save_draft(db, "j0", place.id, {}, 1, 90)
    ann, ben, cleo = persons.persons(db, found, PEOPLE)
    assert (ann.gold, ann.accuracy, ann.share) == ((1.0, 1), (0.0, 1), 0.5)
    assert ann.first == pytest.approx(1.0), "0.9 for A, .7 for B and .7 for A, each shown first"
    assert ann.seconds == 60
    assert ann.due == ann.unfinished == pytest.approx(0.9), "by the database, where a debate was begun"
    assert ann.to_first_verdict == 0.5 and ann.to_verdict == pytest.approx((0.5 + 2) / 2)
    assert ben.accuracy == (1.0, 1) and math.isnan(ben.gold[0])
    assert cleo.due == 0 and math.isnan(cleo.seconds) and cleo.to_first_verdict is None


def test_calibration_is_by_what_was_said_of_the_favoured_answer() -> None:
    found = [verdict(p=0.9), verdict(p=0.1), verdict(p=0.95), verdict(p=0.6), verdict(p=0.5), verdict(p=1.0)]
    table = persons.calibration(found)
    assert [(each.low, each.n) for each in table] == [(0.6, 1), (0.9, 4)]
    assert table[1].right == 0.75 and table[1].said == pytest.approx((0.9 + 0.9 + 0.95 + 1) / 4)


def test_pairs_of_judges_who_agree_least_come_first() -> None:
    values = {"ann": (0.9, 0.1, 0.9, 0.1), "ben": (0.8, 0.2, 0.7, 0.3), "cleo": (0.1, 0.9, 0.1, 0.9)}
    found = [verdict(who, debate, p) for who, of in values.items() for debate, p in enumerate(of)]
    found += [verdict("dora", 0, 0.9), verdict("ann", 9, 0.9, phase="training")]
    table = persons.pairs(found)
    assert [(each.one, each.other, each.kappa, each.n) for each in table] == [
        ("ann", "cleo", -1, 4),
        ("ben", "cleo", -1, 4),
        ("ann", "ben", 1, 4),
    ]


def test_what_is_worth_a_look(db: sqlite3.Connection) -> None:
    found = [verdict(f"j{n}", n, 0.8) for n in range(4)]
    found += [
        verdict("ann", 4, 0.9),
        verdict("ben", 4, 0.4),
        verdict("ann", 5, 0.25),
        verdict("ann", 6, 0.8, seconds=181),
        verdict("ann", 7, 0.8, explanation="Quote. So."),
        verdict("ben", 5, 0.05, phase="training"),
    ]
    db.execute(
        "INSERT INTO model_verdict (debate, judge, p) VALUES (0, 'panel', 0.1), (1, 'panel', 0.9), (2, 'panel', 0.49)"
    )
    looks = worth_a_look.worth_a_look(db, found)
    assert [(each.why, each.debate, each.judge) for each in looks] == [
        ("part", 4, None),
        ("sure_and_wrong", 5, "ann"),
        ("long", 6, "ann"),
        ("short", 7, "ann"),
        ("model", 0, None),
        ("model", 2, None),
    ]
    assert looks[4].about == "panel" and looks[2].size == pytest.approx(181 / 60)


def test_where_judges_part_and_what_was_decided(db: sqlite3.Connection) -> None:
    found = [
        *(verdict(who, 0, p) for who, p in (("ann", 0.55), ("ben", 0.45))),
        *(verdict(who, 1, p) for who, p in (("ann", 0.95), ("ben", 0.55))),
        *(verdict(who, 2, p) for who, p in (("ann", 0.05), ("ben", 0.95), ("cleo", 0.95))),
        *(verdict(who, 3, p) for who, p in (("ann", 0.9), ("ben", 0.8))),
        verdict("cleo", 3, 0.1, counts=False),
    ]
    controls.adjudicate(db, 2, 0.1, "The quote is beside the point.", 1)
    table = worth_a_look.parted(found, worth_a_look.decisions(db))
    assert [(each.debate, each.split, each.decided) for each in table] == [
        (2, True, 0.1),
        (1, False, None),
        (0, True, None),
    ]
    assert table[0].mean == pytest.approx(0.65) and table[0].spread == pytest.approx(0.9)
    (only,) = worth_a_look.decided(db, found)
    assert (only.p_right, only.people) == (0.1, pytest.approx(0.65))
    told = worth_a_look.sentence([only])
    assert (
        told is not None
        and "decided about 1 debate: for the right answer on 0 of them" in told
        and "people on 1" in told
    )
    assert worth_a_look.sentence([]) is None
