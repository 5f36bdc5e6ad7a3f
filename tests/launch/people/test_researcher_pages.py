"""The researcher's pages over HTTP: who gets in, what is shown, what can be done, and that texts stay texts."""

import html
import re
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from starlette.testclient import TestClient

from rostrum.envs.types import Side
from rostrum.launch.people import password
from rostrum.launch.people.researcher_pages import ResearcherPages, changed_lines
from rostrum.launch.people.scripted import Forms
from rostrum.rewards.people import controls, database, debates, mail, pay, places, verdicts
from rostrum.rewards.people.database import StudyError
from rostrum.rewards.people.verdicts import Sent
from rostrum.trainer.config.people import People
from rostrum.trainer.evaluation.people import exporting, given
from tests.launch.people import pages
from tests.rewards.people.study import transcript

PEOPLE = People(words=3, wage=36)
PASSWORD = "correct horse battery"
EVIL = "<script>alert(1)</script> was <b>right</b>."


@pytest.fixture
def now() -> list[float]:
    return [1_000_000.0]


@pytest.fixture
def study(tmp_path: Path) -> Path:
    """Four judges, two of whom are always wrong, have judged all debates of the main phase."""
    db = pages.make(tmp_path)
    for number, judge in enumerate(("ann", "ben", "cleo", "dora")):
        db.execute("INSERT INTO judge (id, number, state, joined) VALUES (?, ?, 'main', 999000)", (judge, number))
        db.execute("INSERT INTO person (judge, name) VALUES (?, ?)", (judge, f"{EVIL} {judge}"))
        while (place := places.take(db, judge, "main", 999_100, 600)) is not None:
            (correct,) = db.execute("SELECT correct FROM answer WHERE debate = ?", (place.debate,)).fetchone()
            right = 0.9 if judge in ("ann", "ben") else 0.1
            p = right if correct == Side.A else 1 - right
            verdicts.step(db, judge, place.id, 0, p, 20, 999_150)
            verdicts.submit(db, judge, place.id, Sent(f"{place.id}", p, EVIL, 60, 50), 999_200)
    mail.send(db, "ann", "judge", EVIL, 999_300)
    password.keep(db, PASSWORD)
    db.close()
    return tmp_path


def browser(study: Path, now: list[float], login: bool = True, people: People = PEOPLE) -> TestClient:
    made = TestClient(ResearcherPages(study, people, now=lambda: now[0]).application(), follow_redirects=True)
    if login:
        assert "Overview" in enter(made, PASSWORD).text
    return made


def enter(client: TestClient, given: str) -> Any:
    return client.post("/login", data={**Forms(client.get("/login").text).forms["/login"], "password": given})


def send(client: TestClient, path: str, action: str, **fields: str) -> Any:
    """Fill in a form of a page and send it."""
    return client.post(action, data={**Forms(client.get(path).text).forms[action], **fields})


def told(page: Any) -> str:
    """Return the text of a page."""
    return " ".join(html.unescape(re.sub("<[^>]+>", " ", page.text)).split())


def test_nobody_gets_anywhere_without_the_password(study: Path, now: list[float]) -> None:
    """Every route, also with a made-up session and with a token of the login form."""
    site = ResearcherPages(study, PEOPLE, now=lambda: now[0])
    client = TestClient(site.application(), follow_redirects=False)
    csrf = Forms(client.get("/login").text).forms["/login"]["csrf"]
    client.cookies.set(site.cookie, "made-up")
    names = {"judge": "ann", "debate:int": "3"}
    seen = set()
    for route in site.routes():
        path = re.sub(r"{(.+?)}", lambda found: names[found[1]], route.path)
        for method in (route.methods or set()) - {"HEAD"}:
            if path == "/login":
                continue
            reply = client.request(
                method, path, data={"csrf": csrf, "text": "x", "reason": "x"} if method == "POST" else None
            )
            assert (reply.status_code, reply.headers["location"]) == (303, "/login"), (method, path)
            assert reply.content == b""
            seen.add((method, path))
    assert len(seen) >= 20 and ("POST", "/judges/ann/stop") in seen
    db = database.connect(study)
    assert not controls.is_paused(db) and controls.is_at_work(db, "ann")


def test_the_password_is_kept_as_a_hash_and_has_twelve_characters(study: Path) -> None:
    db = database.connect(study)
    with pytest.raises(StudyError, match="has 11 characters: give one of 12"):
        password.keep(db, "x" * 11)
    kept = password.kept(db)
    assert kept is not None and kept.startswith("$argon2id$") and PASSWORD not in kept
    assert password.is_right(db, PASSWORD) and not password.is_right(db, PASSWORD + "x")
    controls.put(db, password.KEY, "no hash")
    assert not password.is_right(db, "no hash")


def test_logging_in_and_out(study: Path, now: list[float]) -> None:
    client = browser(study, now, login=False)
    assert "Log in" in client.get("/").text
    refused = enter(client, "wrong")
    assert refused.status_code == 403 and "That is not the password" in refused.text
    assert enter(client, PASSWORD).status_code == 200
    (cookie,) = [each for each in client.cookies.jar if each.name == "researcher"]
    assert cookie.has_nonstandard_attr("HttpOnly") and cookie.get_nonstandard_attr("SameSite") == "strict"
    stolen = cookie.value
    assert "Password" in send(client, "/", "/logout").text
    client.cookies.set("researcher", stolen or "")
    assert "Password" in client.get("/").text, "who has logged out is out, with the cookie too"


def test_sessions_end_and_a_new_password_ends_them(study: Path, now: list[float]) -> None:
    client = browser(study, now)
    now[0] += 11 * 3600
    assert "Progress" in client.get("/").text
    now[0] += 2 * 3600
    assert "Password" in client.get("/").text, "visits do not make a session longer"
    enter(client, PASSWORD)
    password.keep(database.connect(study), "another password")
    assert "Password" in client.get("/").text


def test_tries_at_the_password_are_few(study: Path, now: list[float]) -> None:
    client = browser(study, now, login=False)
    codes = [enter(client, "wrong").status_code for _ in range(11)]
    assert codes == [403] * 10 + [429]
    assert enter(client, PASSWORD).status_code == 429, "nor with the right one"
    now[0] += 901
    assert enter(client, PASSWORD).status_code == 200


def test_forms_that_are_not_ours_are_refused(study: Path, now: list[float]) -> None:
    client, other = browser(study, now), browser(study, now)
    assert TestClient(client.app).post("/login", data={"password": PASSWORD}).status_code == 403
    theirs = Forms(other.get("/").text).forms["/pause"]["csrf"]
    for csrf in ("", "0" * 64, theirs):
        assert client.post("/pause", data={"csrf": csrf}).status_code == 403
    assert not controls.is_paused(database.connect(study))


def test_every_page_is_shown_and_texts_stay_texts(study: Path, now: list[float]) -> None:
    client = browser(study, now)
    for path in ("/", "/judges", "/debates", "/queue", "/look", "/parted", "/agreement", "/guidelines", "/messages"):
        reply = client.get(path)
        assert reply.status_code == 200 and "<script" not in reply.text and " style=" not in reply.text, path
        assert "default-src 'none'" in reply.headers["content-security-policy"]
    for path in ("/judges/ann", "/debates/3", "/messages"):
        text = client.get(path).text
        assert "&lt;script&gt;alert(1)&lt;/script&gt; was &lt;b&gt;right" in text and "<script" not in text
    assert client.get("/judges/nobody").status_code == client.get("/debates/99").status_code == 404


def test_the_overview_says_how_far_the_study_is(study: Path, now: list[float]) -> None:
    client = browser(study, now)
    reply = client.get("/")
    text = told(reply)
    assert "Verdicts that count 8" in text and "Cost so far $5.60" in text  # 8 of 20 + 50 seconds, at a cent each
    assert "Per verdict that counts $0.70" in text and "Per right verdict $1.40" in text
    assert "100 %" in text and f"{pages.RUN}: {pages.CHECKPOINT}-1" in text
    assert "1970-01-12 8 8" in text and "not so many yet" in text
    assert reply.headers["refresh"] == "30" and "refresh" not in client.get("/?still").headers


def test_a_judge_is_shown_and_written_to(study: Path, now: list[float]) -> None:
    client = browser(study, now)
    assert "1 new" in client.get("/judges").text
    text = client.get("/judges/ann").text
    assert "100 %" in text and "of 2" in text and "$1.40" in text
    assert "1 new" not in client.get("/judges").text, "opened, and so read"
    send(client, "/judges/ann", "/judges/ann/message", text="It was not.")
    assert mail.unread(database.connect(study), "ann", "researcher") == 1
    assert "It was not." in client.get("/messages").text
    refused = send(client, "/judges/ann", "/judges/ann/message", text=" ")
    assert refused.status_code == 422 and "Write something first" in refused.text
    send(client, "/judges/ann", "/judges/ann/note", note="Asks well.")
    assert "Asks well." in client.get("/judges/ann").text
    assert send(client, "/messages", "/messages", to="all", text="Hello all.").status_code == 200
    assert [mail.unread(database.connect(study), who, "researcher") for who in ("ann", "ben")] == [2, 1]


def test_a_judge_is_stopped_and_let_back_in(study: Path, now: list[float]) -> None:
    client = browser(study, now)
    refused = send(client, "/judges/ben", "/judges/ben/stop", reason=" ")
    assert refused.status_code == 422 and "Say why: the judge is told" in refused.text
    assert (
        "Wrong <i>always</i>" not in send(client, "/judges/ben", "/judges/ben/stop", reason="Wrong <i>always</i>").text
    )
    db = database.connect(study)
    assert not controls.is_at_work(db, "ben")
    send(client, "/judges/ben", "/judges/ben/back", phase="main", reason="Our key was wrong.")
    assert controls.is_at_work(db, "ben") and mail.messages(db, "ben")[0].text == "Our key was wrong."


def test_a_debate_is_shown_with_its_answer_and_decided(study: Path, now: list[float]) -> None:
    client = browser(study, now)
    assert "For either answer" in client.get("/parted").text and "/debates/3" in client.get("/parted").text
    text = client.get("/debates/3").text
    assert text.count("the right answer)") >= 3 and "after each round" in text and 'data-sign="✓"' in text
    for p in ("", "101", "x", "-1", "٧"):
        refused = send(client, "/debates/3", "/debates/3/decision", p=p, explanation="So.")
        assert refused.status_code == 422 and "from 0 to 100" in refused.text
    send(client, "/debates/3", "/debates/3/decision", p="85", explanation="The quote decides.")
    assert "85 % for A." in client.get("/debates/3").text
    assert "are for the right answer on 0 of 1 debates, and the mean of the people on 0.5 of" in told(client.get("/"))
    found = list(verdicts.opinions(database.connect(study)))
    assert len(found) == 8 and {round(opinion.p, 9) for opinion in found} == {0.1, 0.9}, "no verdict is changed"
    send(client, "/debates/3", "/debates/3/note", note="Odd one.")
    assert "Odd one." in client.get("/debates/3").text


def test_the_queue_gives_reasons(study: Path, now: list[float]) -> None:
    database.connect(study).execute(
        "INSERT INTO model_verdict (debate, judge, p) VALUES (3, 'panel <b>', 0.95), (4, 'panel', 0.05)"
    )
    text = browser(study, now).get("/look").text
    assert text.count("80 % between the lowest and the highest") == 4 and text.count("90 % for the wrong answer") == 4
    assert "panel <b>" not in text


def test_new_guidelines_are_put_in_force(study: Path, now: list[float]) -> None:
    client = browser(study, now)
    refused = send(client, "/guidelines", "/guidelines", text="# Rules\r\n\r\nRead <b>both</b> sides.")
    assert refused.status_code == 422 and "change something first" in refused.text
    text = send(client, "/guidelines", "/guidelines", text="# Rules\n\nRead <b>all</b> sides.").text
    assert "<ins>Read &lt;b&gt;all&lt;/b&gt; sides.</ins>" in text and "<del>Read &lt;b&gt;both" in text
    assert "Version 2, since 1970-01-12 13:46" in text


def test_a_study_is_paused_and_goes_on(study: Path, now: list[float]) -> None:
    client = browser(study, now)
    assert "The study is paused" in send(client, "/", "/pause").text
    assert controls.is_paused(database.connect(study))
    assert "The study is paused" not in send(client, "/", "/resume").text


def test_what_changed() -> None:
    assert list(changed_lines("one\ntwo", "one\nthree")) == [("same", "one"), ("gone", "two"), ("new", "three")]


def test_an_empty_study_is_shown(tmp_path: Path, now: list[float]) -> None:
    db = pages.make(tmp_path)
    password.keep(db, PASSWORD)
    client = browser(tmp_path, now)
    for path in ("/", "/judges", "/debates", "/queue", "/look", "/parted", "/agreement", "/messages", "/debates/0"):
        assert client.get(path).status_code == 200, path
    assert "Nothing yet." in client.get("/look").text


def test_tags_and_what_other_scales_said_are_shown(study: Path, now: list[float]) -> None:
    db = database.connect(study)
    db.execute('UPDATE verdict SET also = \'{"choice": "A", "rating": {"A": 9, "B": 4}}\'')
    db.execute("UPDATE judge SET tags = '[\"<i>lawyer\"]', profiled = 1 WHERE id = 'ann'")
    client = browser(study, now, people=PEOPLE.model_copy(update={"profile": ("lawyer",)}))
    assert "Tags <i>lawyer Person" in told(client.get("/judges/ann")), "and she was asked"
    assert "Tags – not asked yet" in told(client.get("/judges/ben"))
    assert "ann Main phase <i>lawyer" in told(client.get("/judges"))
    assert "chose A, rated A 9, B 4" in told(client.get("/judges/ann"))
    assert told(client.get("/debates/3")).count("chose A, rated A 9, B 4") == 2
    assert "Judges Verdicts Right Brier score <i>lawyer 1 2 100 %" in told(client.get("/"))
    text = told(client.get("/agreement"))
    assert "Probability 8 50 %" in text and "Rating 8 50 %" in text and "Choice 8 50 %" in text


def test_without_tags_and_scales_nothing_is_said_of_them(study: Path, now: list[float]) -> None:
    client = browser(study, now)
    for path in ("/", "/judges", "/judges/ann", "/debates/3", "/agreement"):
        text = told(client.get(path))
        assert not [word for word in ("Tag", "By scale", "Other scales", "rated", "Checking") if word in text], path


def test_the_check_of_a_model_is_shown_for_each_half(study: Path, now: list[float]) -> None:
    """People are right throughout; on debate 3 the model is too, and on debate 5 it is wrong."""
    db = database.connect(study)
    for debate, part in ((3, "random"), (5, "disagreed")):
        (correct,) = db.execute("SELECT correct FROM answer WHERE debate = ?", (debate,)).fetchone()
        p = 0.8 if (correct == "A") == (part == "random") else 0.2
        db.execute("INSERT INTO model_verdict VALUES (?, 'panel', ?, ?)", (debate, p, part))
    db.execute(
        "UPDATE verdict SET p = (SELECT CASE a.correct WHEN 'A' THEN .9 ELSE .1 END FROM place p JOIN answer a "
        "USING (debate) WHERE p.id = place)"
    )
    text = told(browser(study, now, people=PEOPLE.model_copy(update={"check": "panel"})).get("/"))
    assert "Checking panel" in text and "for that half alone" in text
    assert re.search(r"Drawn at random 2 100 %[^%]*%?.*? 1 0 %.*? – Chosen for disagreement 2 0 %.*? 1 100 %", text)


def test_a_queue_is_shown_with_its_debates_and_who_judges_them(study: Path, now: list[float]) -> None:
    """Of three debates one is open, one begun, and one judged by as many as are wanted."""
    client = browser(study, now)
    assert "There are no debates in the queue." in told(client.get("/queue"))
    db = database.connect(study)
    debates.put(db, [transcript(question, 0) for question in (97, 98, 99)])
    first, second, third = (n for (n,) in db.execute("SELECT id FROM debate ORDER BY id DESC LIMIT 3"))
    for number, (judge, debate) in enumerate((("ann", first), ("ben", first), ("cleo", second))):
        db.execute("UPDATE debate SET wanted = CASE id WHEN ? THEN 2 ELSE 0 END WHERE id > 6", (debate,))
        place = places.take(db, judge, "main", 999_400, 600)
        assert place is not None and place.debate == debate
        if number < 2:
            verdicts.submit(db, judge, place.id, Sent(f"q{number}", (0.9, 0.6)[number], "Sure of it.", 60, 50), 999_500)
    db.execute("UPDATE debate SET wanted = 2")
    rows = re.findall("<tr>.*?</tr>", client.get("/queue").text)[1:]
    assert [" ".join(re.sub("<[^>]+>", " ", row).split()) for row in rows] == [
        f"{third} Who? Open 0 of 2 –",
        f"{second} Who? Begun 0 of 2 – cleo is at it",
        f"{first} Who? Judged 2 of 2 75 % ann 90 % ben 60 %",
    ]
    page = told(client.get(f"/debates/{first}"))
    assert "Nobody has said which answer is right" in page and "90 % for A Sure of it." in page
    assert "(the right answer)" not in page
    assert "Queue – 3 2 1 6 33 %" in told(client.get("/")), "debates, done, begun, wanted"
    assert "Main SECRET" in told(client.get("/debates")) or "Main q" in told(client.get("/debates"))
    assert "Queue q99 –" in told(client.get("/debates"))
    text = told(client.get("/judges/ann"))
    assert "Queue – 50" in text and "Right 100 % of 2" in text, "and counts in no accuracy"
    assert "$1.90" in text, "for 2 debates of 70 seconds, and one of 50"


def test_what_is_begun_is_paid_in_one_sum_wherever_it_is_told(study: Path, now: list[float]) -> None:
    """Dora has been 30 seconds at a debate that she leaves."""
    db = database.connect(study)
    debates.put(db, [transcript(99, 0)])
    place = places.take(db, "dora", "main", 999_400, 600)
    assert place is not None
    verdicts.save_draft(db, "dora", place.id, {"p": "60"}, 999_430, 30)
    places.give_back(db, "dora")
    client, folder = browser(study, now), study / "export"
    folder.mkdir()
    exporting.export(db, folder, keep_ids=True)
    exported = pd.read_parquet(folder / "judges.parquet").set_index("judge")["paid_seconds"]
    assert exported["dora"] == 2 * 70 + 30 and exported.sum() == 8 * 70 + 30
    assert "$1.70 $0.30 of it for debates begun and not finished" in told(client.get("/judges/dora"))
    assert "Cost so far $5.90" in told(client.get("/"))
    assert "due $5.90 for 0.2 hours of work, of which $0.30" in pay.sentence(db, PEOPLE.wage)
    assert sum(each.seconds for each in given.read(db)) == 8 * 70, "of verdicts"
