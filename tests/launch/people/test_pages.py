"""The judges' pages over HTTP: a judge's whole way, and what nobody may learn or do there."""

import base64
import json
import re
from pathlib import Path
from typing import Any

import pytest

from rostrum.launch.people import access
from rostrum.launch.people.judging import qualified
from rostrum.rewards.people import controls, database, mail, pay, quality, verdicts
from rostrum.trainer.config.people import People
from tests.launch.people import pages
from tests.launch.people.pages import Judge, forms, options

PEOPLE = People(words=3, qualify_accuracy=0, qualify_brier=1, place_minutes=1)
WHY = "The quotes were there."


@pytest.fixture
def now() -> list[float]:
    return [1_000_000.0]


@pytest.fixture
def study(tmp_path: Path) -> Path:
    pages.make(tmp_path).close()
    return tmp_path


def judge_all(judge: Judge, page: Any, p: str = "80", active: str = "") -> Any:
    """Judge debates until there is no form for one, and return the last page."""
    while True:
        if "/judge" in forms(page):
            page = judge.send(page, "/judge", p=p, explanation=WHY, active=active)
        elif "/feedback/" in str(page.url):
            page = judge.get()
        else:
            return page


def test_a_judge_goes_the_whole_way(study: Path, now: list[float]) -> None:
    judge = Judge(study, PEOPLE, now)
    page = judge.join()
    assert "Practice: debate 1" in page.text and "Round 1" in page.text and "Round 2" not in page.text
    assert options(page) == [str(p) for p in range(5, 100, 5) if p != 50], "no value is chosen before"
    page = judge.send(page, "/judge", p="60")
    assert "Round 2" in page.text and "60 %" in page.text
    page = judge.send(page, "/judge", p="70", explanation=WHY)
    assert re.search("You (favoured|did not favour) the right answer", page.text)
    page = judge_all(judge, judge.get(), active="3")
    assert "/survey" in forms(page)
    page = judge.send(page, "/survey", text="Quotes helped.")
    assert "Thank you" in page.text
    found = list(verdicts.opinions(database.connect(study)))
    assert len(found) == 2 and all(opinion.explanation == WHY and len(opinion.by_round) == 1 for opinion in found)
    assert {round(opinion.p, 2) for opinion in found} <= {0.8, 0.2}
    assert all(opinion.p == pytest.approx(0.8 if opinion.first == "A" else 0.2) for opinion in found)


def test_a_whole_debate_at_once(study: Path, now: list[float]) -> None:
    judge = Judge(study, PEOPLE.model_copy(update={"reading": "whole"}), now)
    page = judge.join()
    assert "Round 1" in page.text and "Round 2" in page.text and "explanation" in page.text


def test_what_is_missing_is_told_and_what_was_typed_stays(study: Path, now: list[float]) -> None:
    judge = Judge(study, PEOPLE, now)
    page = judge.send(judge.join(), "/judge", p="60")
    refused = judge.send(page, "/judge", p="70", explanation="Because <so>.")
    assert refused.status_code == 422 and "Write at least 3 words" in refused.text
    assert "Because &lt;so&gt;." in refused.text and forms(refused)["/judge"]["p"] == "70"
    for p in ("", "50", "71", "100", "-5", "x", "٧٠"):
        assert judge.send(page, "/judge", p=p, explanation=WHY).status_code == 422
    assert judge.send(page, "/judge", p="70", explanation=WHY).status_code == 200


def test_drafts_come_back_after_a_closed_tab(study: Path, now: list[float]) -> None:
    judge = Judge(study, PEOPLE, now)
    page = judge.send(judge.join(), "/judge", p="60")
    fields = forms(page)["/judge"] | {"p": "85", "explanation": "Half a sent"}
    assert judge.post("/draft", fields).status_code == 204
    again = judge.get()
    assert "Half a sent" in again.text and forms(again)["/judge"]["p"] == "85"


def test_sending_again_and_a_second_tab_count_once(study: Path, now: list[float]) -> None:
    judge = Judge(study, PEOPLE, now)
    page = judge.send(judge.join(), "/judge", p="60")
    fields = forms(page)["/judge"] | {"p": "85", "explanation": WHY}
    for p in ("85", "85", "10"):
        assert judge.post("/judge", fields | {"p": p}).status_code == 200
    db = database.connect(study)
    ((p,),) = db.execute("SELECT p FROM verdict").fetchall()
    assert p in (0.85, pytest.approx(0.15))


def test_time_is_counted(study: Path, now: list[float]) -> None:
    """On the page by the server's clock, from when the round was first shown; active by the page, unless it cannot
    be."""
    judge = Judge(study, PEOPLE, now)
    page = judge.join()
    now[0] += 40
    judge.get()
    now[0] += 10
    page = judge.send(page, "/judge", p="60", active="31.5")
    now[0] += 5
    judge.send(page, "/judge", p="60", explanation=WHY, active="9999")
    db = database.connect(study)
    assert tuple(db.execute("SELECT on_page, active FROM step").fetchone()) == (50, 31.5)
    assert tuple(db.execute("SELECT on_page, active FROM verdict").fetchone()) == (5, None)


def test_a_link_is_used_up_by_consent_alone(study: Path, now: list[float]) -> None:
    judge = Judge(study, PEOPLE, now)
    for _ in range(3):
        assert judge.get(f"/join/{judge.link}").status_code == 200
    page = judge.get(f"/join/{judge.link}")
    assert judge.send(page, f"/join/{judge.link}").status_code == 200
    now[0] += access.AGAIN
    assert judge.get(f"/join/{judge.link}").status_code == 410
    other = Judge(study, PEOPLE, now)
    assert other.post(f"/join/{judge.link}", forms(page)[f"/join/{judge.link}"]).status_code == 410
    assert other.get("/join/nonsense").status_code == 410
    assert other.get().status_code == 401, "without a session there is nothing"


def test_consent_can_be_sent_again_where_its_answer_was_lost(study: Path, now: list[float]) -> None:
    """By the browser that sent it, for ten minutes; by no other, and by none without cookies."""
    judge, other = Judge(study, PEOPLE, now), Judge(study, PEOPLE, now)
    page = judge.get(f"/join/{judge.link}")
    for _ in range(2):
        judge.send(page, f"/join/{judge.link}")
        judge.browser.cookies.delete("session")  # the answer that set it never came
    other.get(f"/join/{judge.link}")
    assert other.send(page, f"/join/{judge.link}").status_code == 410
    other.browser.cookies.clear()
    assert other.send(page, f"/join/{judge.link}").status_code == 410
    assert judge.send(judge.get(f"/join/{judge.link}"), f"/join/{judge.link}").status_code == 200
    now[0] += 601
    assert judge.send(page, f"/join/{judge.link}").status_code == 410
    assert database.connect(study).execute("SELECT count(*) FROM judge WHERE joined NOT NULL").fetchone()[0] == 1


def test_forms_that_are_not_ours_are_refused(study: Path, now: list[float]) -> None:
    judge, other = Judge(study, PEOPLE, now), Judge(study, PEOPLE, now)
    page, others = judge.join(), other.join()
    fields = forms(page)["/judge"] | {"p": "60"}
    for csrf in ("", "0" * 64, forms(others)["/judge"]["csrf"]):
        assert judge.post("/judge", fields | {"csrf": csrf}).status_code == 403
    theirs = forms(others)["/judge"]["place"]
    assert judge.post("/judge", fields | {"place": theirs}).status_code == 409, "somebody else's debate"
    assert judge.post("/judge", {"csrf": "x" * 200_000}).status_code == 403


def test_sessions_expire(study: Path, now: list[float]) -> None:
    judge = Judge(study, PEOPLE, now)
    page = judge.join()
    now[0] += 13 * 24 * 3600
    assert judge.get().status_code == 200
    now[0] += 15 * 24 * 3600
    assert judge.get().status_code == 401
    assert judge.send(page, "/judge", p="60").status_code == 401


def test_a_judge_who_leaves_gives_the_debate_back(study: Path, now: list[float]) -> None:
    judge = Judge(study, PEOPLE, now)
    page = judge.send(judge.join(), "/leave")
    assert "You have left" in page.text
    db = database.connect(study)
    assert [state for (state,) in db.execute("SELECT state FROM place")] == ["returned"]


def test_who_does_not_qualify_is_told_and_stopped(study: Path, now: list[float]) -> None:
    people = PEOPLE.model_copy(update={"qualify_accuracy": 1.0, "qualify_brier": 0.01})
    judge = Judge(study, people, now)
    page = judge_all(judge, judge.join())
    assert "Your part ends here" in page.text and "not right" in page.text and "is paid" in page.text
    assert not list(verdicts.opinions(database.connect(study)))


def test_qualification_is_by_accuracy_and_by_calibration() -> None:
    people = People(qualify_accuracy=0.7, qualify_brier=0.2)
    assert qualified([(0.8, "A"), (0.2, "B"), (0.9, "A")], people)
    assert not qualified([(0.8, "A"), (0.8, "B"), (0.9, "B")], people), "wrong too often"
    assert not qualified([(0.95, "A")] * 3 + [(0.95, "B")], people), "right often enough, and too sure"
    assert qualified([], people)


def test_new_guidelines_are_read_before_the_next_debate(study: Path, now: list[float]) -> None:
    """What was begun is finished under the old ones; every place knows which its judge had read."""
    judge, other = Judge(study, PEOPLE, now), Judge(study, PEOPLE, now)
    page = judge.send(judge.join(), "/judge", p="60")
    joining = other.send(other.get(f"/join/{other.link}"), f"/join/{other.link}")
    db = database.connect(study)
    assert controls.new_guidelines(db, "Look at the <b>quotes</b>.", 5) == 2
    page = judge.get()
    assert "Round 2" in page.text, "the debate that was begun comes first"
    judge.send(page, "/judge", p="60", explanation=WHY)
    page = judge.get()
    assert "The guidelines have changed" in page.text and "&lt;b&gt;quotes" in page.text
    judge_all(judge, judge.send(page, "/guidelines"))
    by_version = db.execute("SELECT guidelines, count(*) FROM place GROUP BY 1").fetchall()
    assert dict(map(tuple, by_version)) == {1: 1, 2: 4}
    page = other.send(joining, "/guidelines")
    assert "The guidelines have changed" in page.text, "these were replaced while they were read"


def test_a_paused_study_lets_judges_finish_and_gives_out_nothing_new(study: Path, now: list[float]) -> None:
    judge, idle = Judge(study, PEOPLE, now), Judge(study, PEOPLE, now)
    page = judge.send(judge.join(), "/judge", p="60")
    db = database.connect(study)
    controls.pause(db)
    page = judge.send(page, "/judge", p="60", explanation=WHY)
    assert "/feedback/" in str(page.url)
    assert "The study is paused" in judge.get().text and "The study is paused" in idle.join().text
    assert db.execute("SELECT count(*) FROM place").fetchone()[0] == 1
    controls.resume(db)
    assert "Qualification: debate 1" in judge.get().text and "Practice: debate 1" in idle.get().text


def test_who_is_stopped_is_told_and_cannot_send_what_was_open(study: Path, now: list[float]) -> None:
    judge = Judge(study, PEOPLE, now)
    page = judge.send(judge.join(), "/judge", p="60")
    db = database.connect(study)
    (name,) = db.execute("SELECT id FROM judge WHERE state = 'training'").fetchone()
    controls.stop(db, name, "You did not read <i>what</i> was said.")
    page = judge.send(page, "/judge", p="60", explanation=WHY)
    assert "Your part ends here" in page.text and "&lt;i&gt;what&lt;/i&gt; was said." in page.text
    assert db.execute("SELECT state FROM place").fetchone()[0] == "returned"
    assert not db.execute("SELECT 1 FROM verdict").fetchall()


def test_nothing_hidden_is_served(study: Path, now: list[float]) -> None:
    """In no answer, page, script or header: which run, checkpoint or protocol, who spoke, or what they thought."""
    judge = Judge(study, PEOPLE, now)
    db = database.connect(study)
    for (debate,) in db.execute("SELECT id FROM debate").fetchall():
        db.execute("INSERT INTO model_verdict VALUES (?, 'SECRET-MODEL-4711', 0.8142, 'disagreed')", (debate,))
        controls.adjudicate(db, debate, 0.9137, "SECRET-DECISION-4711", 1)
        controls.add_note(db, "SECRET-NOTE-4711", 1, debate=debate)
    controls.put(db, "password", "SECRET-HASH-4711")
    judge_all(judge, judge.join())
    for path in ("/login", "/look", "/judges", "/debates", "/debates/0", "/parted", "/agreement"):
        assert judge.get(path).status_code == 404, "researchers have pages of their own"
    for path in (
        "/static/people.css",
        "/static/people.js",
        "/nothing",
        "/static/../server.py",
        "/judge",
        "/feedback/x",
    ):
        judge.get(path)
    judge.post("/judge", {"place": "x", "csrf": "y"})
    served = b"\n".join(judge.served)
    for secret in (
        pages.RUN,
        pages.CHECKPOINT,
        pages.PROTOCOL,
        *("SECRET-MODEL-4711", "SECRET-DECISION-4711", "SECRET-NOTE-4711", "SECRET-HASH-4711"),
        "I know better",
        "current",
        "policy_version",
        "correct",
        "disagreed",
        "0.8142",
    ):
        for form in pages.coded(secret):
            assert form.lower() not in served.lower(), secret
    answers = re.findall(rb"The right answer is", served)
    assert len(answers) == pages.PHASES["training"], "feedback in training alone"


@pytest.mark.parametrize("length", range(4, 9))
def test_a_coded_secret_is_found_wherever_it_begins(length: int) -> None:
    secret = "SECRET-4711"[:length]
    for before in range(6):
        text = (b"x" * before) + secret.encode() + b"yz"
        for shown in (text, base64.b64encode(text), base64.urlsafe_b64encode(text), text.hex().encode()):
            assert any(form in shown for form in pages.coded(secret))


def test_a_quote_of_several_lines_is_marked_whole(study: Path, now: list[float]) -> None:
    """No tag of ours is left bare in what a judge reads."""
    db = database.connect(study)
    text = db.execute("SELECT transcript FROM debate WHERE phase = 'training'").fetchone()["transcript"]
    broken = text.replace("<v_quote>Ann or Ben</v_quote>", "<v_quote>Ann\\nor\\n\\nBen</v_quote>")
    assert broken != text
    db.execute("UPDATE debate SET transcript = ? WHERE phase = 'training'", (broken,))
    page = Judge(study, PEOPLE, now).join()
    assert '<mark class="found" data-sign="✓">Ann\nor\n\nBen' in page.text and "v_quote" not in page.text


def test_feedback_is_given_in_training_alone_and_after_the_verdict(study: Path, now: list[float]) -> None:
    judge = Judge(study, PEOPLE, now)
    page = judge.join()
    token = forms(page)["/judge"]["place"]
    assert judge.get(f"/feedback/{token}").status_code == 404
    page = judge_all(judge, page)
    db = database.connect(study)
    tokens = db.execute("SELECT p.token, d.phase FROM place p JOIN debate d ON d.id = p.debate").fetchall()
    for token, phase in tokens:
        assert judge.get(f"/feedback/{token}").status_code == (200 if phase == "training" else 404)


def test_answers_carry_our_headers(study: Path, now: list[float]) -> None:
    judge = Judge(study, PEOPLE, now)
    for response in (judge.join(), judge.get("/nothing"), judge.get("/static/people.js"), judge.post("/judge", {})):
        assert "default-src 'none'" in response.headers["content-security-policy"]
        assert response.headers["cache-control"] == "no-store"
    cookie = judge.browser.cookies.jar
    (session,) = [each for each in cookie if each.name == "session"]
    assert session.has_nonstandard_attr("HttpOnly") and session.get_nonstandard_attr("SameSite") == "strict"


def test_speeches_are_escaped(study: Path, now: list[float]) -> None:
    db = database.connect(study)
    text = db.execute("SELECT transcript FROM debate WHERE phase = 'training'").fetchone()["transcript"]
    forged = text.replace("In 0 it was Ann", "<script>alert(1)</script> <mark class='found'> Ann")
    assert forged != text
    db.execute("UPDATE debate SET transcript = ? WHERE phase = 'training'", (forged,))
    page = Judge(study, PEOPLE, now).join()
    assert "&lt;script&gt;" in page.text and "<script>alert" not in page.text and "&lt;mark class=" in page.text
    assert '<mark class="found" data-sign="✓">Ann or Ben' in page.text


def test_signs_that_would_lead_a_reader_astray_are_taken_out(study: Path, now: list[float]) -> None:
    """Of a stranger's debate, whose record says what it likes: text that runs backwards, and signs that nobody sees."""
    evil = "\u202egnorw\u202c \u200bA\u0007nn"
    db = database.connect(study)
    for number, text in db.execute("SELECT id, transcript FROM debate").fetchall():
        stored = json.loads(text)
        stored["record"]["question"]["text"] = f"Who? {evil}"
        stored["record"]["answers"] = [f"Ann {evil}", "Ben"]
        stored["record"]["speeches"][0]["text"] = evil
        db.execute("UPDATE debate SET transcript = ? WHERE id = ?", (json.dumps(stored), number))
    page = Judge(study, PEOPLE, now).join()
    assert "Who? gnorw Ann" in page.text and '<p dir="auto">gnorw Ann</p>' in page.text
    assert not set("\u202e\u202c\u200b\u0007") & set(page.text)


def test_too_many_requests_are_refused(study: Path, now: list[float]) -> None:
    judge = Judge(study, PEOPLE, now)
    judge.join()
    assert [judge.get("/static/people.css").status_code for _ in range(300)][-1] == 429


def test_who_leaves_in_the_middle_is_paid_what_they_have_done(tmp_path: Path) -> None:
    """A round of 30 seconds and 20 of the next: by the page's own count where there is one, else by the server's clock;
    what was begun stays what it was when the same is sent again."""
    pages.make(tmp_path).close()
    paid = {}
    for counted in ("", "12.5"):
        now = [1_000_000.0]
        judge = Judge(tmp_path, People(words=3, wage=36), now)
        page = judge.join()
        now[0] += 30
        page = judge.send(page, "/judge", p="80")
        assert "earned $0.30" in page.text, "before the verdict too"
        now[0] += 20
        for _ in range(2):
            judge.send(page, "/leave", active=counted)
            now[0] += 500
        db = database.connect(tmp_path)
        (last,) = db.execute("SELECT id FROM judge ORDER BY number DESC LIMIT 1").fetchone()
        paid[counted] = pay.worked(db)[last]
        db.close()
    assert paid == {"": pay.Worked(0, 50, 50), "12.5": pay.Worked(0, 42.5, 42.5)}


def test_seconds_come_with_drafts_and_go_on_in_the_next_tab(tmp_path: Path) -> None:
    pages.make(tmp_path).close()
    now = [1_000_000.0]
    judge = Judge(tmp_path, People(words=3, wage=36), now)
    page = judge.join()
    now[0] += 60
    draft = forms(page)["/judge"] | {"p": "80"}
    for active, kept in (("42", "42.0"), ("7", "42.0"), ("9999", "42.0"), ("x", "42.0")):
        assert judge.post("/draft", draft | {"active": active}).status_code == 204
        assert f'data-active="{kept}"' in judge.get().text
    assert "earned $0.42" in judge.get().text
    assert judge.post("/draft", draft | {"place": "made-up"}).status_code == 409
    page = judge.send(judge.get(), "/judge", p="80", active="44")
    assert "earned $0.44" in page.text and 'data-active="0.0"' in page.text, "and no second twice"


def test_pages_that_end_or_wait_say_what_was_earned_and_take_messages(study: Path, now: list[float]) -> None:
    judge = Judge(study, PEOPLE.model_copy(update={"wage": 36}), now)
    page = judge.join()
    now[0] += 30
    judge.send(page, "/judge", p="80")
    db = database.connect(study)
    (who,) = db.execute("SELECT judge FROM place").fetchone()
    mail.send(db, who, "researcher", "A word to you.", now[0])
    for end in (
        lambda: (db.execute("UPDATE place SET state = 'returned'"), controls.pause(db)),
        lambda: (controls.resume(db), db.execute("UPDATE judge SET state = 'survey'")),
        lambda: controls.stop(db, who, "Not careful."),
        lambda: db.execute("UPDATE judge SET state = 'left', reason = ''"),
        lambda: db.execute("UPDATE judge SET state = 'finished'"),
    ):
        end()
        page = judge.get()
        assert "earned $0.30" in page.text and "A word to you." in page.text and "/messages" in forms(page)
    thread = judge.get("/messages")
    assert thread.text.count("A word to you.") == 1, "in the thread, and not above it too"
    assert "A word to you." not in judge.send(thread, "/messages/read").text


def test_a_tab_that_stays_open_after_the_end_adds_nothing(study: Path, now: list[float]) -> None:
    judge = Judge(study, PEOPLE, now)
    draft = forms(judge.join())["/judge"] | {"p": "80"}
    now[0] += 40
    judge.post("/draft", draft | {"active": "30"})
    db = database.connect(study)
    (who,) = db.execute("SELECT judge FROM place").fetchone()
    controls.stop(db, who, "Not careful.")
    now[0] += 4_000
    assert judge.post("/draft", draft | {"active": "4000"}).status_code == 204
    assert pay.worked(db)[who].seconds == 30


def test_a_warning_stands_until_the_judge_goes_on(study: Path, now: list[float]) -> None:
    """What a script sends by itself is no sign that it was read."""
    judge = Judge(study, PEOPLE, now)
    judge.join()
    db = database.connect(study)
    (who,) = db.execute("SELECT judge FROM place").fetchone()
    with database.transaction(db):
        quality.warn(db, who, "Read more carefully.", now[0])
    page = judge.get()
    judge.post("/draft", forms(page)["/judge"] | {"p": "80"})
    assert "Read more carefully." in judge.get().text
    assert "Read more carefully." not in judge.send(page, "/judge", p="80").text
