"""Live debates without pages: a question is answered once, whoever dies when, and what was read is what is judged."""

import json
import sqlite3
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from rostrum.envs.transcripts import to_json
from rostrum.envs.types import Inquiry, Protocol, Side, Transcript
from rostrum.rewards.people import live, pay, places, verdicts
from rostrum.rewards.people.debates import bare, id_of
from rostrum.rewards.people.live import LEASE, SILENT, TRIES, Work
from rostrum.rewards.people.pay import Worked
from rostrum.rewards.people.verdicts import Sent
from tests.rewards.people import study
from tests.rewards.people.debaters import THOUGHT, ScriptedDebaters

WAIT = 120.0


@pytest.fixture
def db(tmp_path: Path) -> Iterator[sqlite3.Connection]:
    connection = study.make(tmp_path, questions=2, conditions=2, wanted=2, judges=2)
    yield connection
    connection.close()


def given(db: sqlite3.Connection, judge: str = "j0", now: float = 0.0) -> int:
    place = places.take(db, judge, "main", now, 3600, as_seated=True)
    assert place is not None and place.first is Side.A
    return place.id


def states(db: sqlite3.Connection) -> list[str]:
    return [state for (state,) in db.execute("SELECT state FROM inquiry ORDER BY place, round")]


def leased(db: sqlite3.Connection, now: float, loaded: int | None = None) -> Work:
    work = live.lease(db, now, WAIT, loaded)
    assert work is not None
    return work


def answered(db: sqlite3.Connection, work: Work) -> Transcript:
    played = ScriptedDebaters(db).answer(work)
    assert isinstance(played, Transcript)
    return played


def test_a_question_is_asked_once_and_answered_once(db: sqlite3.Connection) -> None:
    place = given(db)
    live.ask(db, place, 1, "  Where is\nthat said? ", 10)
    live.ask(db, place, 1, "Another one?", 11)
    work = leased(db, 12)
    assert (work.place, work.round, work.asked, work.played) == (place, 1, "Where is that said?", None)
    assert live.lease(db, 13, WAIT) is None, "it is somebody's"
    played = answered(db, work)
    assert live.keep(db, work, played, 14, WAIT)
    assert not live.keep(db, work, replace(played, speeches=()), 15, WAIT), "it is there"
    own = live.read(db, place)
    assert own == bare(played) and [inquiry.text for inquiry in own.inquiries] == ["Where is that said?"]
    ((shown,),) = db.execute("SELECT shown FROM live").fetchall()
    assert shown == id_of(played)
    assert THOUGHT not in json.dumps([tuple(row) for row in db.execute("SELECT * FROM live")])


def test_who_asks_nothing_reads_on_in_the_stored_debate(db: sqlite3.Connection) -> None:
    place = given(db)
    live.ask(db, place, 1, " \n", 10)
    assert states(db) == ["done"] and not live.is_wanted(db) and live.read(db, place) is None


def test_a_model_that_asked_in_the_stored_debate_is_not_taken_for_the_judge(db: sqlite3.Connection) -> None:
    """Its question and the answers to it are left out: the round is played, though the judge asks nothing."""
    debate = replace(study.transcript(0, 0), inquiries=(Inquiry(2, "Who, says the model?"),))
    db.execute("UPDATE debate SET transcript = ?, shown = ?", (json.dumps(to_json(bare(debate))), id_of(debate)))
    place = given(db)
    live.ask(db, place, 1, "", 10)
    assert states(db) == ["waiting"]
    work = leased(db, 11)
    live.keep(db, work, answered(db, work), 12, WAIT)
    own = live.read(db, place)
    assert own is not None and [inquiry.text for inquiry in own.inquiries] == [""]


def test_what_a_killed_player_had_is_taken_up_again_and_kept_once(db: sqlite3.Connection) -> None:
    place = given(db)
    live.ask(db, place, 1, "Where?", 0)
    first = leased(db, 1)
    assert live.lease(db, 1 + LEASE - 1, WAIT) is None
    live.renew(db, first, 10)
    assert live.lease(db, 10 + LEASE - 1, WAIT) is None, "its player is at work"
    second = leased(db, 10 + LEASE)
    assert second.lease == first.lease + 1 and second.asked == first.asked
    played = answered(db, first)
    live.renew(db, first, 100)
    assert not live.keep(db, first, played, 31, WAIT), "it comes too late"
    live.fail(db, first, 31, WAIT)
    assert states(db) == ["playing"] and live.read(db, place) is None
    assert live.keep(db, second, played, 32, WAIT) and states(db) == ["done"]


def test_a_round_that_kills_its_players_is_given_up(db: sqlite3.Connection) -> None:
    place = given(db)
    live.ask(db, place, 1, "Where?", 0)
    for n in range(TRIES):
        leased(db, n * LEASE)
    assert live.lease(db, TRIES * LEASE, WAIT) is None
    assert states(db) == ["failed"] and live.ended(db, place) == 1


def test_nobody_waits_for_ever(db: sqlite3.Connection) -> None:
    place = given(db)
    live.ask(db, place, 1, "Where?", 100)
    waits = live.waiting(db, place, 1, 100, WAIT)
    assert waits is not None and waits.late, "there is no player at all"
    live.beat(db, 100)
    waits = live.waiting(db, place, 1, 100 + SILENT, WAIT)
    assert waits is not None and not waits.late and waits.asked == "Where?"
    live.give_up(db, place, 1, 100 + SILENT, WAIT)
    assert states(db) == ["waiting"], "not yet"
    live.beat(db, 100 + WAIT)
    waits = live.waiting(db, place, 1, 100 + WAIT, WAIT)
    assert waits is not None and waits.late, "the time is up"
    work = leased(db, 100 + WAIT)
    live.give_up(db, place, 1, 103 + WAIT, WAIT)
    assert states(db) == ["failed"]
    assert not live.keep(db, work, answered(db, work), 104 + WAIT, WAIT), "the judge has gone on"
    at = live.stands(db, place, 1, 2, 105 + WAIT, WAIT)
    assert (at.rounds, at.more, at.waiting, at.ended) == (1, False, None, True)


@pytest.mark.parametrize("how", ["judge goes on", "cannot be played", "kills its players"])
def test_a_verdict_on_a_part_is_none_on_the_whole_debate(db: sqlite3.Connection, how: str) -> None:
    """Nothing was played, and the debate ended after its first round: that is what the verdict is on."""
    place = given(db)
    verdicts.step(db, "j0", place, 0, 0.6, 20, 1)
    live.ask(db, place, 1, "Where?", 2)
    if how == "judge goes on":
        live.give_up(db, place, 1, 3, WAIT)
    elif how == "cannot be played":
        live.fail(db, leased(db, 3), 4, WAIT)
    else:
        for n in range(TRIES):
            leased(db, n * LEASE)
        live.lease(db, TRIES * LEASE, WAIT)
    read = live.read(db, place)
    assert read is not None and [speech.turn for speech in read.speeches] == [0, 1] and not read.provenance
    verdicts.submit(db, "j0", place, Sent("key", 0.7, "So.", 5.0), 99)
    (stored,) = db.execute("SELECT d.shown FROM place p JOIN debate d ON d.id = p.debate").fetchone()
    (opinion,) = verdicts.opinions(db)
    assert opinion.debate == id_of(read) != stored


def test_giving_up_does_nothing_where_the_answer_has_come(db: sqlite3.Connection) -> None:
    place = given(db)
    live.ask(db, place, 1, "Where?", 0)
    work = leased(db, 1)
    live.keep(db, work, answered(db, work), WAIT + 1, WAIT)
    live.give_up(db, place, 1, WAIT + 2, WAIT)
    at = live.stands(db, place, 1, 2, WAIT + 3, WAIT)
    assert states(db) == ["done"] and (at.rounds, at.more, at.ended) == (2, False, False)


def test_the_longest_wait_is_ended_first_unless_another_checkpoint_is_loaded(db: sqlite3.Connection) -> None:
    """Loading another one takes long, so that is put off while nobody has waited half of the time."""
    one, other = given(db, "j0"), given(db, "j1")
    assert one != other
    live.ask(db, one, 1, "One?", 0)
    live.ask(db, other, 1, "Other?", 5)
    conditions = dict(db.execute("SELECT p.id, d.condition FROM place p JOIN debate d ON d.id = p.debate").fetchall())
    assert conditions[one] != conditions[other]
    for now, loaded, first in (
        (10, conditions[one], one),
        (10, conditions[other], other),
        (10, None, one),
        (70, conditions[other], one),
    ):
        assert leased(db, now, loaded).place == first
        db.execute("UPDATE inquiry SET state = 'waiting', tries = 0")


def test_a_place_that_was_returned_is_not_played(db: sqlite3.Connection) -> None:
    place = given(db)
    live.ask(db, place, 1, "Where?", 0)
    places.give_back(db, "j0")
    assert live.lease(db, 1, WAIT) is None


def test_what_is_judged_is_what_was_read(db: sqlite3.Connection) -> None:
    """Two people on one debate who ask have read two debates; the one who asks nothing, the stored one."""
    asks, silent = given(db, "j0"), given(db, "j1")
    live.ask(db, asks, 1, "Where?", 0)
    live.ask(db, silent, 1, "", 0)
    work = leased(db, 1)
    live.keep(db, work, answered(db, work), 31, WAIT)
    for judge, place in (("j0", asks), ("j1", silent)):
        verdicts.step(db, judge, place, 0, 0.6, 10, 40)
        verdicts.submit(db, judge, place, Sent(judge, 0.7, "why", 20), 60)
    stored = {shown for (shown,) in db.execute("SELECT shown FROM debate")}
    own = live.read(db, asks)
    found = {opinion.judge: opinion.debate for opinion in verdicts.opinions(db)}
    assert own is not None and found["j0"] == id_of(own) and found["j0"] not in stored and found["j1"] in stored
    assert [opinion.judge for opinion in verdicts.opinions(db, id_of(own))] == ["j0"]
    assert pay.worked(db) == {"j0": Worked(1, 30 + 31), "j1": Worked(1, 30)}, "waiting is paid"


def test_waiting_is_paid_no_longer_than_one_need_wait(db: sqlite3.Connection) -> None:
    place = given(db)
    live.ask(db, place, 1, "Where?", 0)
    live.give_up(db, place, 1, 50_000, WAIT)
    verdicts.submit(db, "j0", place, Sent("key", 0.7, "why", 20), 50_020)
    assert pay.worked(db) == {"j0": Worked(1, 20 + WAIT)}


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("", None),
        ("Where is that said?", None),
        ("Debater A, where in the passage <quote>is</quote> that?", None),
        ("x" * 201, "question_too_long"),
        ("one two three four five six seven eight nine ten eleven twelve thirteen", "question_words"),
        ("Where? And who?", "question_one"),
        ("?!", "question_empty"),
        ("<quote></quote>", "question_empty"),
    ],
)
def test_what_would_be_cut_is_refused(text: str, problem: str | None) -> None:
    assert live.problem_with(text, study.transcript(0, 0), 1, 200) == problem


def test_rounds_begin_where_the_protocol_says() -> None:
    for protocol in (Protocol("p", rounds=3), Protocol("p", rounds=3, simultaneous=True)):
        debate = replace(study.transcript(0, 0), protocol=replace(protocol, judge_asks=True))
        begins = [live.first_turn(debate, round_) for round_ in range(3)]
        assert begins[1:] == [turn for turn in range(6) if debate.protocol.asks_before(turn)]


def test_who_leaves_is_paid_for_the_wait_until_then_and_nobody_need_answer(db: sqlite3.Connection) -> None:
    place = given(db, "j0")
    live.ask(db, place, 1, "Where?", 0)
    live.leave(db, "j0", 40, WAIT)
    assert pay.worked(db) == {"j0": Worked(0, 40, 40)} and not live.is_wanted(db)
    live.leave(db, "j0", 50, WAIT)
    assert pay.worked(db)["j0"].seconds == 40, "once"


def test_nobody_plays_for_a_place_that_was_put_back(db: sqlite3.Connection) -> None:
    live.ask(db, given(db, "j0"), 1, "Where?", 0)
    assert live.is_wanted(db)
    places.give_back(db, "j0")
    assert not live.is_wanted(db) and live.lease(db, 1, WAIT) is None
