"""Live debates over HTTP: questions, waiting, going on without, closed and second tabs, and what nobody may learn."""

import base64
import json
import re
import sqlite3
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest
from starlette.testclient import TestClient

from rostrum.launch.people import password
from rostrum.launch.people.researcher_pages import ResearcherPages
from rostrum.launch.people.scripted import Forms
from rostrum.rewards.people import database, live, verdicts
from rostrum.rewards.people.debates import id_of
from rostrum.trainer.config.people import People
from rostrum.trainer.evaluation.people.exporting import export
from rostrum.trainer.evaluation.people.playing import Player
from tests.launch.people import pages
from tests.launch.people.pages import Judge, forms
from tests.rewards.people.debaters import THOUGHT, ScriptedDebaters

PEOPLE = People(live=True, words=3, qualify_accuracy=0, qualify_brier=1, place_minutes=1, live_seconds=60)
WHY, ASKED = "The quotes were there.", "Where is <that> said?"


@pytest.fixture
def now() -> list[float]:
    return [1_000_000.0]


@pytest.fixture
def study(tmp_path: Path) -> Path:
    pages.make(tmp_path).close()
    return tmp_path


@pytest.fixture
def db(study: Path) -> Iterator[sqlite3.Connection]:
    connection = database.connect(study)
    yield connection
    connection.close()


def player(study: Path, db: sqlite3.Connection, now: list[float]) -> Player:
    live.beat(db, now[0])
    return Player(study, ScriptedDebaters(db), PEOPLE.live_seconds, lambda: now[0])


def waits(page: Any) -> bool:
    return Forms(page.text).waits


def ask(judge: Judge, page: Any, question: str = ASKED) -> Any:
    return judge.send(page, "/judge", p="60", question=question)


def test_a_question_is_answered_in_the_next_round(study: Path, db: sqlite3.Connection, now: list[float]) -> None:
    plays, judge = player(study, db, now), Judge(study, PEOPLE, now)
    page = judge.join()
    assert "at most 12 words and 200 characters" in page.text
    page = ask(judge, page)
    assert waits(page) and "Where is &lt;that&gt; said?" in page.text and "Round 2" not in page.text
    assert '<noscript><meta http-equiv="refresh"' in page.text and "/judge" not in forms(page)
    look = re.search(r'data-look="(/waiting/[^"]+)"', page.text)[1]
    assert waits(judge.get()) and judge.get(look).text == "waiting", "a closed tab comes back to the same"
    assert plays.play_one(db) and not plays.play_one(db)
    assert judge.get(look).text == "ready"
    page = judge.get()
    assert "Round 2" in page.text and "I say this." in page.text and not waits(page)
    assert page.text.count("The judge asked") == 1 and "Round 3" not in page.text
    assert not Forms(page.text).can_ask, "there is no round left in which it could be answered"
    judge.send(page, "/judge", p="70", explanation=WHY)
    _researchers_find_it(study, db)
    ((shown, state),) = db.execute("SELECT l.shown, p.state FROM live l JOIN place p ON p.id = l.place").fetchall()
    assert state == "done" and shown == id_of(live.read(db, 1))


def _researchers_find_it(study: Path, db: sqlite3.Connection) -> None:
    """What the judge read is on the page of the debate beside the stored one, and in the export."""
    password.keep(db, "correct horse battery")
    client = TestClient(ResearcherPages(study, PEOPLE).application(), follow_redirects=True)
    login = Forms(client.get("/login").text).forms["/login"]
    client.post("/login", data={**login, "password": "correct horse battery"})
    (number,) = db.execute("SELECT debate FROM place").fetchone()
    page = client.get(f"/debates/{number}").text
    assert page.count("The live debate as this judge read it") == 1
    assert page.count("Where is &lt;that&gt; said?”") == 2 and page.count("The judge asked") == 1
    out = study / "exported"
    out.mkdir()
    export(db, out)
    (row,) = map(json.loads, (out / "verdicts.jsonl").read_text("utf-8").splitlines())
    record = json.loads(row["live_transcript"])["record"]
    assert [inquiry["text"] for inquiry in record["inquiries"]] == [ASKED]
    assert "I say this." in row["live_transcript"] and THOUGHT not in row["live_transcript"]


def test_who_asks_nothing_does_not_wait(study: Path, db: sqlite3.Connection, now: list[float]) -> None:
    page = ask(judge := Judge(study, PEOPLE, now), judge.join(), "  ")
    assert not waits(page) and "Round 2" in page.text and "The judge asked" not in page.text
    assert db.execute("SELECT count(*) FROM live").fetchone()[0] == 0


def test_a_question_that_cannot_be_asked_is_told_and_stays(
    study: Path, db: sqlite3.Connection, now: list[float]
) -> None:
    judge = Judge(study, PEOPLE, now)
    page = judge.join()
    for question, told in (
        ("Why? Where?", "nothing after its question mark"),
        ("why " * 13, "at most 12 words"),
        ("x" * 201, "at most 200 characters"),
        ("...", "no word in your question"),
    ):
        refused = ask(judge, page, question)
        assert refused.status_code == 422 and told in refused.text and question.strip() in refused.text
    assert db.execute("SELECT count(*) FROM step").fetchone()[0] == 0, "nothing is half kept"
    assert waits(ask(judge, page))


def test_sent_twice_and_from_a_second_tab_it_counts_once(study: Path, db: sqlite3.Connection, now: list[float]) -> None:
    plays, judge = player(study, db, now), Judge(study, PEOPLE, now)
    page = judge.join()
    second_tab = judge.get()
    assert waits(ask(judge, page)) and waits(ask(judge, page)) and waits(ask(judge, second_tab, "Something else?"))
    assert db.execute("SELECT round, text FROM inquiry").fetchall()[0]["text"] == ASKED
    assert db.execute("SELECT count(*) FROM inquiry").fetchone()[0] == 1
    plays.play_one(db)
    assert not waits(judge.get()) and "Something else" not in judge.get().text
    ask(judge, second_tab, "Once more?")
    assert not plays.play_one(db) and db.execute("SELECT count(*) FROM inquiry").fetchone()[0] == 1


def test_a_round_that_has_not_come_cannot_be_judged(study: Path, db: sqlite3.Connection, now: list[float]) -> None:
    """Whatever a browser sends while it is to wait."""
    live.beat(db, now[0])
    judge = Judge(study, PEOPLE, now)
    page = judge.join()
    fields = forms(page)["/judge"]
    ask(judge, page)
    refused = judge.post("/judge", fields | {"round": "1", "p": "60", "explanation": WHY})
    assert refused.status_code == 422 and "still answering" in refused.text
    judge.post("/go-on", {"csrf": fields["csrf"], "place": fields["place"], "round": "1"})
    assert waits(judge.get()), "it is not late yet"
    assert db.execute("SELECT count(*) FROM verdict").fetchone()[0] == 0
    other = Judge(study, PEOPLE, now)
    csrf = forms(other.join())["/judge"]["csrf"]
    assert other.post("/go-on", {"csrf": csrf, "place": fields["place"], "round": "1"}).status_code == 409
    assert other.get(f"/waiting/{fields['place']}").status_code == 404


def test_when_nobody_plays_the_judge_goes_on_with_what_was_said(
    study: Path, db: sqlite3.Connection, now: list[float]
) -> None:
    judge = Judge(study, PEOPLE, now)
    page = ask(judge, judge.join())
    assert "The debaters have not answered so far" in page.text and 'role="alert"' in page.text
    page = judge.send(page, "/go-on")
    assert "this debate ends here" in page.text and "Round 2" not in page.text and not waits(page)
    now[0] += 20
    page = judge.send(page, "/judge", p="70", explanation=WHY)
    assert "favour" in page.text, "feedback, in practice"
    step, verdict = (db.execute(f"SELECT p, on_page FROM {table}").fetchone() for table in ("step", "verdict"))
    assert (step["p"], verdict["p"], verdict["on_page"]) == (0.6, 0.7, 20)
    live.beat(db, now[0])
    assert not player(study, db, now).play_one(db), "nobody waits for it any more"


def test_when_the_time_is_up_one_can_wait_on(study: Path, db: sqlite3.Connection, now: list[float]) -> None:
    plays, judge = player(study, db, now), Judge(study, PEOPLE, now)
    assert "/go-on" not in forms(ask(judge, judge.join()))
    for _ in range(12):  # longer than a place lasts without a look
        now[0] += 10
        live.beat(db, now[0])
        page = judge.get()
    assert "/go-on" in forms(page) and db.execute("SELECT state FROM place").fetchone()["state"] == "open"
    plays.play_one(db)
    late = judge.send(page, "/go-on")
    assert "Round 2" in late.text and "ends here" not in late.text, "the answer came first"
    judge.send(late, "/judge", p="70", explanation=WHY)
    now[0] += 3600
    assert "earned $" in judge.get().text
    assert re.search(r"earned \$(0\.3\d)", judge.get().text), "the minute that one need wait, at 20 dollars an hour"


def test_a_player_that_failed_is_told(study: Path, db: sqlite3.Connection, now: list[float]) -> None:
    judge = Judge(study, PEOPLE, now)
    ask(judge, judge.join())
    plays = Player(study, _Failing(), PEOPLE.live_seconds, lambda: now[0])
    live.beat(db, now[0])
    assert plays.play_one(db)
    page = judge.get()
    assert "this debate ends here" in page.text and "SECRET" not in page.text


class _Failing:
    def answer(self, work: live.Work) -> Any:
        from rostrum.envs.types import Failure

        return Failure("q", False, f"the context of {work.run} is full")


def test_a_player_killed_at_work_is_replaced(study: Path, db: sqlite3.Connection, now: list[float]) -> None:
    """It dies after it took the round, and after it had it played but before that was kept."""
    judge = Judge(study, PEOPLE, now)
    ask(judge, judge.join())
    for _ in range(2):
        with pytest.raises(KeyboardInterrupt):
            Player(study, ScriptedDebaters(db, _die), PEOPLE.live_seconds, lambda: now[0]).play_one(db)
        assert waits(judge.get())
        now[0] += live.LEASE
    assert player(study, db, now).play_one(db)
    assert "Round 2" in judge.get().text
    speeches = live.read(db, 1).speeches
    assert [speech.turn for speech in speeches] == [0, 1, 2, 3]


def _die(work: live.Work) -> None:
    raise KeyboardInterrupt


def test_a_server_killed_between_two_writes_loses_nothing(
    study: Path, db: sqlite3.Connection, now: list[float]
) -> None:
    """The question is kept before the probability is: whoever loads the page again is asked for that, and has asked."""
    live.beat(db, now[0])
    judge = Judge(study, PEOPLE, now)
    page = judge.join()
    (place,) = db.execute("SELECT id FROM place").fetchone()
    live.ask(db, place, 1, ASKED, now[0])  # and the server was killed
    again = judge.get()
    assert "/judge" in forms(again) and "Round 2" not in again.text and not waits(again)
    assert waits(ask(judge, page, "Another?"))
    assert [text for (text,) in db.execute("SELECT text FROM inquiry")] == [ASKED]


def test_what_was_typed_for_a_round_is_not_shown_in_the_next(
    study: Path, db: sqlite3.Connection, now: list[float]
) -> None:
    judge = Judge(study, PEOPLE, now)
    page = judge.join()
    fields = forms(page)["/judge"] | {"p": "85", "question": "Half a ques"}
    judge.post("/draft", fields)
    assert "Half a ques" in judge.get().text and forms(judge.get())["/judge"]["p"] == "85"
    page = judge.post("/judge", fields | {"question": ""})
    assert "Round 2" in page.text and "Half a ques" not in page.text and "p" not in forms(page)["/judge"]
    assert judge.post("/draft", fields).status_code == 204, "from the other tab, or on its way when the page was left"
    assert "Half a ques" not in judge.get().text and "p" not in forms(judge.get())["/judge"]


def test_nothing_hidden_is_served(study: Path, db: sqlite3.Connection, now: list[float]) -> None:
    """With a judge who asks in every debate, waits, goes on and is refused: no run, checkpoint, policy, token, thought
    or right answer."""
    plays, judge = player(study, db, now), Judge(study, PEOPLE.model_copy(update={"place_minutes": 10}), now)
    page, waited = judge.join(), 0
    while True:
        if waits(page):
            waited += 1
            judge.get(re.search(r'data-look="([^"]+)"', page.text)[1])
            if waited % 2:
                plays.play_one(db)
            else:
                now[0] += PEOPLE.live_seconds - 1
                live.beat(db, now[0])
                now[0] += 1
                judge.send(judge.get(), "/go-on")
            page = judge.get()
        elif "/judge" in forms(page):
            ask(judge, page, "Why? Why?")
            page = judge.send(page, "/judge", p="80", explanation=WHY, question="Why?")
        elif "/feedback/" in str(page.url):
            page = judge.get()
        else:
            break
    assert db.execute("SELECT count(*) FROM live").fetchone()[0] >= 2
    assert db.execute("SELECT count(*) FROM inquiry WHERE state = 'failed'").fetchone()[0] >= 1
    assert len(list(verdicts.opinions(db))) == 2
    kept = db.execute("SELECT transcript FROM played").fetchone()["transcript"]
    assert THOUGHT in kept and "current" in kept and "4711" in kept
    served = b"\n".join(judge.served).lower()
    for secret in (
        pages.RUN,
        pages.CHECKPOINT,
        pages.PROTOCOL,
        THOUGHT,
        "current",
        "policy_version",
        "correct",
        "logprob",
    ):
        plain = secret.encode()
        for coded in (plain, base64.b64encode(plain).rstrip(b"="), plain.hex().encode(), quote(secret).encode()):
            assert coded.lower() not in served, secret
    assert len(re.findall(rb"the right answer is", served)) == pages.PHASES["training"]


def test_debaters_are_called_what_they_are_called_among_themselves(
    study: Path, db: sqlite3.Connection, now: list[float]
) -> None:
    """Else "debater A" in a question would be the other one for them."""
    judge = Judge(study, PEOPLE, now)
    page = judge.join()
    while "/judge" in forms(page) or "/feedback/" in str(page.url):
        page = judge.get() if "/feedback/" in str(page.url) else judge.send(page, "/judge", p="80", explanation=WHY)
    assert {first for (first,) in db.execute("SELECT first FROM place")} == {"A"}
