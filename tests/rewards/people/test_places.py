"""Who judges what: laws of the places given out, alone and with fifty judges at once."""

import random
import sqlite3
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from rostrum.envs.types import Side
from rostrum.rewards.people import database, places, verdicts
from rostrum.rewards.people.verdicts import Sent
from tests.rewards.people import study


def judged(db: sqlite3.Connection) -> dict[int, int]:
    """Return how many verdicts each debate has."""
    rows = db.execute(
        "SELECT d.id, count(p.id) FROM debate d LEFT JOIN place p ON p.debate = d.id AND p.state = 'done' GROUP BY d.id"
    )
    return dict(map(tuple, rows))


def sent(place: places.Place) -> Sent:
    return Sent(f"key-{place.id}", 0.75, "Because of the quotes.", 30.0)


def test_a_latin_square_is_filled(tmp_path: Path) -> None:
    """Four judges, four questions under two conditions, two verdicts each: all meet all questions, and both conditions
    equally often."""
    db = study.make(tmp_path, questions=4, conditions=2, wanted=2, judges=4)
    for turn in range(4):
        for number in range(4):
            place = places.take(db, f"j{number}", "main", now=turn, seconds=60)
            assert place is not None
            verdicts.submit(db, f"j{number}", place.id, sent(place), now=turn)
            counts = judged(db).values()
            assert max(counts) - min(counts) <= 1
    assert set(judged(db).values()) == {2}
    met = db.execute(
        "SELECT p.judge, d.condition, count(*) FROM place p JOIN debate d ON d.id = p.debate GROUP BY 1, 2"
    ).fetchall()
    assert [times for *_, times in met] == [2] * 8
    assert all(places.take(db, f"j{number}", "main", now=9, seconds=60) is None for number in range(4))


@pytest.mark.parametrize("seed", range(40))
def test_nobody_is_sent_away_while_a_debate_wants_them(tmp_path: Path, seed: int) -> None:
    """Just as many judges as are needed, in any order of work. A debate is ahead of another by more than one only where
    a judge had met the questions of all that were behind."""
    db, rng = study.make(tmp_path, questions=2, conditions=2, wanted=2, judges=4), random.Random(seed)
    for judge in rng.sample([0, 1, 2, 3] * 2, 8):
        met = {q for (q,) in db.execute("SELECT question FROM place WHERE judge = ?", (f"j{judge}",))}
        open_to = {d for d, q in db.execute("SELECT id, question FROM debate") if q not in met}
        before = {d: 0 for (d,) in db.execute("SELECT id FROM debate")} | judged(db)
        place = places.take(db, f"j{judge}", "main", now=0, seconds=60)
        assert place is not None
        assert before[place.debate] == min(before[debate] for debate in open_to)
        verdicts.submit(db, f"j{judge}", place.id, sent(place), now=0)
    assert set(judged(db).values()) == {2}


def test_an_open_place_is_gone_on_with_and_a_late_one_is_given_to_another(tmp_path: Path) -> None:
    db = study.make(tmp_path, questions=1, conditions=1, wanted=1, judges=3)
    first = places.take(db, "j0", "main", now=0, seconds=60)
    assert first is not None and places.take(db, "j0", "main", now=30, seconds=60) == first
    assert places.take(db, "j1", "main", now=59, seconds=60) is None, "the last place is taken"
    second = places.take(db, "j1", "main", now=60, seconds=60)
    assert second is not None and second.id != first.id
    assert places.take(db, "j0", "main", now=61, seconds=60) is None, "nobody meets a question twice"
    assert verdicts.submit(db, "j0", first.id, sent(first), now=70) == "late"
    assert verdicts.submit(db, "j1", second.id, sent(second), now=80) == "done"
    assert [opinion.judge for opinion in verdicts.opinions(db)] == ["j1"]


def test_who_was_late_and_not_replaced_still_counts(tmp_path: Path) -> None:
    db = study.make(tmp_path, questions=2, conditions=1, wanted=1, judges=2)
    first = places.take(db, "j0", "main", now=0, seconds=60)
    assert first is not None
    with database.transaction(db):
        places.return_late(db, now=61)
    assert verdicts.submit(db, "j0", first.id, sent(first), now=70) == "done"
    places.give_back(db, "j1")
    other = places.take(db, "j1", "main", now=71, seconds=60)
    assert other is not None and other.debate != first.debate


def test_more_time_for_who_is_at_work(tmp_path: Path) -> None:
    db = study.make(tmp_path, questions=1, conditions=1, wanted=1, judges=2)
    first = places.take(db, "j0", "main", now=0, seconds=60)
    assert first is not None
    places.extend(db, first.id, now=50, seconds=60)
    assert places.take(db, "j1", "main", now=100, seconds=60) is None
    assert places.take(db, "j1", "main", now=111, seconds=60) is not None


def test_returned_places_are_given_out_first(tmp_path: Path) -> None:
    db = study.make(tmp_path, questions=3, conditions=1, wanted=2, judges=4)
    left = places.take(db, "j0", "main", now=0, seconds=60)
    assert left is not None
    for number in (1, 2):
        place = places.take(db, f"j{number}", "main", now=1, seconds=60)
        assert place is not None and place.debate != left.debate
    places.give_back(db, "j0")
    again = places.take(db, "j3", "main", now=2, seconds=60)
    assert again is not None and again.debate == left.debate and again.first is left.first


def test_orders_are_balanced_in_pairs() -> None:
    firsts = [[places.first_answer(f"debate{n}", number) for number in range(4)] for n in range(200)]
    assert all(Counter(pair) == {Side.A: 1, Side.B: 1} for each in firsts for pair in (each[:2], each[2:]))
    assert 70 < sum(each[0] is Side.A for each in firsts) < 130


def test_qualification_is_the_same_for_everybody(tmp_path: Path) -> None:
    db = study.make(tmp_path, questions=3, conditions=1, wanted=9, judges=3)
    db.execute("UPDATE debate SET phase = 'qualification'")
    seen = []
    for number in range(3):
        met = []
        for _ in range(3):
            place = places.take(db, f"j{number}", "qualification", now=0, seconds=60)
            assert place is not None
            met.append(place.debate)
            verdicts.submit(db, f"j{number}", place.id, sent(place), now=0)
        seen.append(met)
    assert seen[0] == seen[1] == seen[2]


@pytest.mark.parametrize("seed", range(3))
def test_fifty_judges_at_once(tmp_path: Path, seed: int) -> None:
    """Each works on connections of its own; a fifth leave in the middle and others' places run out. In the end every
    debate has the verdicts wanted, of different people, and nobody met a question twice."""
    wanted, judges = 3, 50
    study.make(tmp_path, questions=20, conditions=2, wanted=wanted, judges=judges).close()

    def work(number: int) -> list[tuple[str, int]]:
        rng, mine, judge = random.Random(f"{seed}:{number}"), [], f"j{number}"
        db = database.connect(tmp_path)
        for turn in range(30):
            place = places.take(db, judge, "main", now=turn, seconds=5)
            if place is None:
                continue
            if rng.random() < 0.2:
                if rng.random() < 0.5:
                    places.give_back(db, judge)
                continue  # or the time of its place runs out
            for _ in range(rng.choice((1, 2))):  # some send twice
                outcome = verdicts.submit(db, judge, place.id, sent(place), now=turn)
            if outcome == "done":
                mine.append((judge, place.debate))
        db.close()
        return mine

    with ThreadPoolExecutor(10) as pool:
        logs = [each for log in pool.map(work, range(judges)) for each in log]
    db = database.connect(tmp_path)
    counts = judged(db)
    assert set(counts.values()) == {wanted}
    found = [tuple(row) for row in db.execute("SELECT judge, debate FROM place WHERE state = 'done'")]
    assert len(found) == len(list(verdicts.opinions(db)))
    assert sorted(found) == sorted(logs) and len(set(found)) == len(found)
    ((most,),) = db.execute("SELECT max(n) FROM (SELECT count(*) AS n FROM place GROUP BY judge, question)").fetchall()
    assert most == 1
