"""The care of judges: gold debates, attention, time, questions on the guidelines, warnings, stops, scales and tags."""

import base64
import json
import re
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest
from pydantic import ValidationError

from rostrum.launch.people import access, care, comprehension
from rostrum.launch.people.scripted import Forms, Habits
from rostrum.rewards.people import controls, database, verdicts
from rostrum.rewards.people.database import StudyError
from rostrum.trainer.config.people import People
from tests.launch.people import pages, quality_study
from tests.launch.people.pages import Judge, forms
from tests.launch.people.quality_study import EVERYTHING, Script

CAREFUL = Habits(accuracy=1.0)
WHY = "The quotes were there."


@pytest.fixture
def study(tmp_path: Path) -> Path:
    quality_study.make(tmp_path).close()
    return tmp_path


@pytest.fixture
def now() -> list[float]:
    return [1_000_000.0]


def checked(study: Path) -> dict[tuple[str, int], int]:
    """Return how many checks of each kind were passed and failed."""
    rows = database.connect(study).execute("SELECT kind, passed, count(*) FROM checked GROUP BY 1, 2")
    return {(kind, passed): n for kind, passed, n in rows}


def the_judge(study: Path) -> Any:
    return database.connect(study).execute("SELECT * FROM judge ORDER BY number DESC").fetchone()


def test_a_careful_judge_goes_the_whole_way_with_everything_on(study: Path) -> None:
    script = Script(study, EVERYTHING, CAREFUL)
    assert script.work() == 11
    assert "Thank you" in script.judge.last and "CODE" not in script.judge.last
    assert checked(study) == {("comprehension", 1): 1, ("attention", 1): 8, ("time", 1): 11, ("gold", 1): 2}
    db = database.connect(study)
    assert not db.execute("SELECT * FROM warning").fetchall()
    assert len(list(verdicts.opinions(db))) == 6, "gold debates are no opinions of the study"
    rows = db.execute("SELECT p.first, v.p, v.also FROM verdict v JOIN place p ON p.id = v.place").fetchall()
    for first, p, also in rows:
        told = json.loads(also)
        assert told["choice"] == ("A" if p > 0.5 else "B")
        other = "B" if first == "A" else "A"
        assert sorted(told["rating"].values()) == [3, 8] or sorted(told["rating"].values()) == [2, 9]
        assert (told["rating"][first] > told["rating"][other]) == ((p if first == "A" else 1 - p) > 0.5)


def test_nothing_hidden_is_served_with_everything_on(study: Path) -> None:
    """Neither what other tests plant, nor which debates are gold, what a model said, or codes before the end."""
    db = database.connect(study)
    db.execute("INSERT INTO model_verdict (debate, judge, p) SELECT id, 'SECRET-MODEL-4711', 0.123456 FROM debate")
    script = Script(study, EVERYTHING, replace(CAREFUL, seconds=10))  # fast: warnings are served too
    script.work()
    script.browser.get("/messages")
    script.browser.get("/outside?PROLIFIC_PID=p1&STUDY_ID=s&SESSION_ID=v1")
    script.browser.post("/outside/webhook", data={"a": "b"})
    served = b"\n".join(script.served)
    assert b"Warning" in served and b"which of these was said" in served
    hidden = (pages.RUN, pages.CHECKPOINT, pages.PROTOCOL, "I know better", "current", "policy_version", "correct")
    for secret in (*hidden, "SECRET-MODEL-4711", "0.123456", "gold", "CODE-DONE", "CODE-STOP"):
        plain = secret.encode()
        for coded in (plain, base64.b64encode(plain).rstrip(b"="), plain.hex().encode(), quote(secret).encode()):
            assert coded.lower() not in served.lower(), secret
    assert served.count(b"The right answer is") == 1, "in training alone"


def test_a_sloppy_judge_is_warned_then_stopped_and_told(study: Path) -> None:
    people = EVERYTHING.model_copy(
        update={"qualify_accuracy": 0.0, "qualify_brier": 1.0, "gold_accuracy": 0.0, "stop_after": 4, "gold": 0}
    )
    db = database.connect(study)
    db.execute("DELETE FROM setting")
    script = Script(study, people, Habits(sloppy=1.0), seed=3)
    script.work()
    assert "Your part ends here" in script.judge.last and "You did not read carefully often enough" in script.judge.last
    assert "Wrong answers about what was said: 4." in script.judge.last and "is paid" in script.judge.last
    warnings = db.execute("SELECT reason, read FROM warning ORDER BY id").fetchall()
    assert len(warnings) == 2 and all(read is not None for _, read in warnings), "after 2 and after 3, and both seen"
    assert "what was said: 2." in warnings[0]["reason"] and "After 4 of these together" in warnings[0]["reason"]
    assert the_judge(study)["state"] == "stopped"
    assert not db.execute("SELECT * FROM place WHERE state = 'open'").fetchall()


def test_who_is_too_fast_is_warned_on_the_next_page_and_stopped(study: Path) -> None:
    people = EVERYTHING.model_copy(update={"comprehension": False, "warn_after": 1, "stop_after": 3})
    script = Script(study, people, Habits(accuracy=1.0, seconds=19))
    assert script.work() == 2, "the third debate fails at its first round"
    assert "read in less time than reading takes: 3." in script.judge.last
    assert checked(study)["time", 0] == 3 and ("time", 1) not in checked(study)
    db = database.connect(study)
    assert [tuple(row) for row in db.execute("SELECT state FROM place ORDER BY id")] == [
        ("done",),
        ("done",),
        ("returned",),
    ], "what was open went back"


def test_a_warning_stands_on_pages_until_the_judge_went_on(study: Path, now: list[float]) -> None:
    people = People(words=3, least_seconds=20, warn_after=1)
    judge = Judge(study, people, now)
    database.connect(study).execute("DELETE FROM setting")
    page = judge.send(judge.join(), "/judge", p="60")
    for shown in (page, judge.get(), judge.get("/messages")):
        assert '<p class="notice" role="alert"><strong>Warning:</strong> Please read more carefully.' in shown.text
    now[0] += 30
    page = judge.send(judge.get(), "/judge", p="60", explanation=WHY)
    assert "Warning" not in page.text and "Warning" not in judge.get().text
    (read,) = database.connect(study).execute("SELECT read FROM warning").fetchone()
    assert read == now[0]
    assert checked(study) == {("time", 0): 1}, "one round too fast is a failure, once for a debate"


def test_who_was_let_in_again_is_stopped_by_new_failures_alone(study: Path, now: list[float]) -> None:
    people = People(words=3, least_seconds=20, warn_after=1, stop_after=2, qualify_accuracy=0, qualify_brier=1)
    judge = Judge(study, people, now)
    db = database.connect(study)
    db.execute("DELETE FROM setting")
    page = judge.send(judge.join(), "/judge", p="60")
    page = judge.send(page, "/judge", p="60", explanation=WHY)
    page = judge.send(judge.get(), "/judge", p="60")
    assert "Your part ends here" in page.text
    controls.let_back(db, the_judge(study)["id"], "qualification", "That was our mistake.", now[0])
    page = judge.get()
    now[0] += 30
    page = judge.send(page, "/judge", p="60")
    assert "Round 2" in page.text
    now[0] += 30
    page = judge.send(page, "/judge", p="60", explanation=WHY)
    page = judge.send(page, "/judge", p="60")
    assert "Your part ends here" in page.text


def test_who_fails_gold_debates_is_stopped_once_there_were_enough(study: Path) -> None:
    people = EVERYTHING.model_copy(update={"qualify_accuracy": 0.0, "qualify_brier": 1.0})
    script = Script(study, people, Habits(accuracy=0.0))
    script.work()
    assert "you were right in 0 of 2" in script.judge.last and "is paid" in script.judge.last
    assert checked(study)["gold", 0] == 2


def test_gold_debates_look_like_the_others(study: Path, now: list[float]) -> None:
    """Pages of both kinds are the same but for the content; the numbers run through; each judge meets the same ones, at
    places of their own."""
    seen = []
    for _ in range(4):
        lenient = {"profile": (), "requires": (), "qualify_accuracy": 0.0, "qualify_brier": 1.0, "gold_accuracy": 0.0}
        judge = Judge(study, EVERYTHING.model_copy(update=lenient), now)
        database.connect(study).execute("DELETE FROM setting")
        page, met = judge.join(), []
        while "/judge" in forms(page):
            if (number := re.search("Debates: debate ([0-9]+)", page.text)) is not None:
                met.append((forms(page)["/judge"]["place"], int(number[1]), page.text))
            now[0] += 30
            page = judge.send(page, "/judge", **filled(page, study))
            page = judge.get() if "/feedback/" in str(page.url) else page
        seen.append(met)
    db = database.connect(study)
    phases = dict(
        map(tuple, db.execute("SELECT p.token, d.phase FROM place p JOIN debate d ON d.id = p.debate").fetchall())
    )
    looks: dict[str, set[str]] = {"main": set(), "gold": set()}
    for met in seen:
        assert [number for _, number, _ in met][::2] == list(range(1, len(met) // 2 + 1))
        for token, _, page in met:
            looks[phases[token]].add(bare_of_content(page))
    assert looks["main"] == looks["gold"] and len(looks["gold"]) == 2, "a first and a last round"
    at = [tuple(n for token, n, _ in met if phases[token] == "gold") for met in seen]
    assert all(places == at[0] for places in at) is False, "at other places for other judges"
    rows = db.execute("SELECT p.judge, d.id FROM place p JOIN debate d ON d.id = p.debate WHERE d.phase = 'gold'")
    by_judge: dict[str, list[int]] = {}
    for judge_, debate in rows:
        by_judge.setdefault(judge_, []).append(debate)
    assert len(by_judge) == 4 and all(each == next(iter(by_judge.values())) for each in by_judge.values())
    assert {token for token in phases if len(token) != 22} == set()


def filled(page: Any, study: Path) -> dict[str, str]:
    """Return a form's fields, filled in by somebody who reads."""
    read = Forms(page.text)
    given = {"p": "80", "explanation": WHY, "choice": "first", "rating-first": "8", "rating-second": "2"}
    if "said" in read.choices:
        given["said"] = next(n for n, text in read.choices["said"].items() if text.strip() in read.said)
    return given


def bare_of_content(page: str) -> str:
    """Return a page without what differs from debate to debate, and without progress."""
    page = re.sub('value="[0-9A-Za-z_-]{22,}"', "", page)
    page = re.sub('<p class="progress">.*?</p>', "", page)
    page = re.sub("side-[ab]|Debater [AB]", "SIDE", page)
    page = re.sub("(%|A|B|for) ?“(Ann|Ben)”", "NAME", page).replace("Ann", "NAME").replace("Ben", "NAME")
    return re.sub("[0-9]+", "N", re.sub('<span dir="auto">(Of lamp|The thief)[^<]*</span>', "SENTENCE", page))


def test_what_is_asked_about_a_debate_is_answered_by_who_reads_it(study: Path, now: list[float]) -> None:
    people = People(words=0, training=0, attention_every=1, qualify_accuracy=0, qualify_brier=1)
    judge = Judge(study, people, now)
    db = database.connect(study)
    db.execute("DELETE FROM setting")
    db.execute("DELETE FROM answer WHERE debate IN (SELECT id FROM debate WHERE phase != 'main')")
    db.execute("DELETE FROM debate WHERE phase != 'main'")
    page = judge.join()
    assert "said" not in Forms(page.text).choices, "asked on the last form alone"
    page = judge.send(page, "/judge", p="60")
    read = Forms(page.text)
    right = [n for n, text in read.choices["said"].items() if text.strip() in read.said]
    assert len(right) == 1 and len(read.choices["said"]) == 3
    assert Forms(judge.get().text).choices["said"] == read.choices["said"], "the same when the page is loaded again"
    for said in ({}, {"said": "3"}, {"said": "x"}):
        refused = judge.send(page, "/judge", p="60", explanation="so", **said)
        assert refused.status_code == 422 and "Choose which of the sentences was said." in refused.text
    wrong = next(n for n in "012" if n != right[0])
    judge.send(page, "/judge", p="60", said=wrong)
    judge.send(page, "/judge", p="60", said=right[0])
    assert checked(study) == {("attention", 0): 1}, "sent again, the first counts"


def test_one_debate_in_so_many_asks() -> None:
    people = People(attention_every=4)
    for judge in range(2):
        asks = [n for n in range(1, 41) if care.attention_is_due(judge, n, people)]
        assert len(asks) == 10 and [(n - 1) // 4 for n in asks] == list(range(10))
        assert len({(n - 1) % 4 for n in asks}) > 1, "not always the same one"
    assert not any(care.attention_is_due(0, n, People()) for n in range(1, 9))


def test_a_debate_without_sentences_asks_nothing(tmp_path: Path) -> None:
    db = pages.make(tmp_path)
    assert care.attention(db, "token", quality_study.transcript(0, 0)) is None, "each sentence is in two rounds"


@pytest.fixture
def questioned(study: Path, now: list[float]) -> Iterator[Judge]:
    yield Judge(study, People(words=3, comprehension=True), now)


def test_questions_on_the_guidelines_have_two_attempts(questioned: Judge, study: Path) -> None:
    page = questioned.join()
    assert "attempt 1 of 2" in page.text and "Read &lt;b&gt;both&lt;/b&gt; sides." in page.text
    assert "You have two attempts" in page.text
    first = forms(page)["/comprehension"]
    wrong = questioned.post("/comprehension", first)
    assert 'role="alert">Not all answers were right.' in wrong.text and "attempt 2 of 2" in wrong.text
    again = questioned.post("/comprehension", first)
    assert "attempt 2 of 2" in again.text, "the first attempt, sent again, counts once"
    assert Forms(page.text).choices != Forms(wrong.text).choices, "in another order"
    end = questioned.send(wrong, "/comprehension", **{"answer-0": "0"})
    assert "Both attempts at the questions" in end.text and "is paid" in end.text
    assert "/comprehension" not in forms(questioned.get())
    assert checked(study) == {("comprehension", 0): 2}


def test_who_answers_them_goes_on(questioned: Judge, study: Path) -> None:
    page = questioned.join()
    right = {each.question: each.right for each in comprehension.kept(database.connect(study))}
    for attempt in range(2):
        read = Forms(page.text)
        answers = {
            name: next(value for value, text in options.items() if text.strip() == right[read.legends[name]])
            for name, options in read.choices.items()
        }
        if attempt == 0:
            answers["answer-1"] = str((int(answers["answer-1"]) + 1) % 3)
        page = questioned.send(page, "/comprehension", **answers)
    assert "Practice: debate 1" in page.text
    assert questioned.get().text.count("attempt") == 0


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("[]", "the list is empty"),
        ("- {question: Why, answers: [So, Not], right: Perhaps}", "needs two different answers"),
        ("- {question: Why, answers: [So, So], right: So}", "needs two different answers"),
        ("- {question: Why}", "Field required"),
        ("{", "holds no questions"),
    ],
)
def test_files_that_hold_no_questions_are_refused(tmp_path: Path, text: str, said: str) -> None:
    (tmp_path / "q.yaml").write_text(text)
    with pytest.raises(StudyError, match=said):
        comprehension.questions_of(tmp_path / "q.yaml")
    with pytest.raises(StudyError, match="holds no questions"):
        comprehension.questions_of(tmp_path / "none.yaml")
    assert comprehension.questions_of(False) is None


@pytest.mark.parametrize(
    ("feedback", "told"), [("training", {"training"}), ("never", set()), ("always", {"training", "main"})]
)
def test_feedback_is_given_where_the_study_says_so(
    study: Path, now: list[float], feedback: str, told: set[str]
) -> None:
    people = People(words=3, feedback=feedback, qualify_accuracy=0, qualify_brier=1)  # type: ignore[arg-type]
    judge = Judge(study, people, now)
    db = database.connect(study)
    db.execute("DELETE FROM setting")
    page, shown = judge.join(), 0
    while "/judge" in forms(page):
        page = judge.send(page, "/judge", p="80", explanation=WHY)
        if "/feedback/" in str(page.url):
            shown, page = shown + 1, judge.get()
    rows = db.execute("SELECT p.token, d.phase FROM place p JOIN debate d ON d.id = p.debate").fetchall()
    assert shown == sum(phase in told for _, phase in rows)
    for token, phase in rows:
        assert judge.get(f"/feedback/{token}").status_code == (200 if phase in told else 404)


def test_scales_are_checked_on_the_server(study: Path, now: list[float]) -> None:
    people = People(words=3, scales=("probability", "choice", "rating"), undecided=True)
    judge = Judge(study, people, now)
    database.connect(study).execute("DELETE FROM setting")
    page = judge.send(judge.join(), "/judge", p="60")
    good = {"p": "60", "explanation": WHY, "choice": "first", "rating-first": "7", "rating-second": "7"}
    for wrong, said in (
        ({"choice": ""}, "Choose which answer is right."),
        ({"choice": "A"}, "Choose which answer is right."),
        ({"choice": "second"}, "not the one that you called more likely"),
        ({"p": "40"}, "not the one that you called more likely"),
        ({"rating-first": "11"}, "from 1 to 10"),
        ({"rating-second": "0"}, "from 1 to 10"),
        ({"rating-second": ""}, "from 1 to 10"),
    ):
        refused = judge.send(page, "/judge", **(good | wrong))
        assert refused.status_code == 422 and said in refused.text
        assert WHY in refused.text and forms(refused)["/judge"]["p"] == (good | wrong)["p"]
    assert forms(refused)["/judge"]["choice"] == "first" and forms(refused)["/judge"]["rating-first"] == "7"
    assert "/feedback/" in str(judge.send(page, "/judge", **(good | {"p": "50", "choice": "second"})).url)


def test_tags_are_asked_about_and_required(study: Path, now: list[float]) -> None:
    people = People(words=3, profile=("reads novels", "native speaker"), requires=("native speaker",))
    database.connect(study).execute("DELETE FROM setting")
    judge, other = Judge(study, people, now), Judge(study, people, now)
    page = judge.send(judge.get(f"/join/{judge.link}"), f"/join/{judge.link}")
    assert Forms(page.text).boxes == ["tag-0", "tag-1"]
    end = judge.send(page, "/profile", **{"tag-0": "1"})
    assert "Thank you for your answers" in end.text and "native speaker" in end.text and "is paid" in end.text
    assert "Your part ends" in judge.send(page, "/profile", **{"tag-1": "1"}).text, "answered once"
    assert json.loads(database.connect(study).execute("SELECT tags FROM judge").fetchone()[0]) == ["reads novels"]
    page = other.send(other.get(f"/join/{other.link}"), f"/join/{other.link}")
    page = other.send(page, "/profile", **{"tag-1": "1", "tag-7": "1"})
    assert "How to judge" in page.text


def test_tags_of_the_invitation_are_not_asked_about(study: Path, now: list[float]) -> None:
    people = People(words=3, requires=("native speaker",))
    db = database.connect(study)
    judge = Judge(study, people, now)
    assert "Your part ends" in judge.send(judge.get(f"/join/{judge.link}"), f"/join/{judge.link}").text
    judge.link = access.invite(db, tags=["native speaker"])
    judge.browser.cookies.clear()
    page = judge.send(judge.get(f"/join/{judge.link}"), f"/join/{judge.link}")
    assert "How to judge" in page.text


def test_the_rules_stand_with_any_guidelines(study: Path, now: list[float]) -> None:
    judge = Judge(study, EVERYTHING.model_copy(update={"profile": (), "requires": ()}), now)
    page = judge.send(judge.get(f"/join/{judge.link}"), f"/join/{judge.link}")
    for said in (
        "You have two attempts",
        "In the qualification, 4 debates, you must favour the right answer in at least 50%",
        "If you are right in fewer than 50% of them, once there were 2",
        "which of three sentences was said",
        "at least 20 seconds",
        "After 2 wrong answers of that kind or debates read too fast you are warned",
        "after 5 your part ends",
        "you are told why, and what you have done is paid",
    ):
        assert said in page.text.replace("\n", " "), said
    assert "gold" not in " ".join(care.rules(People(), False)) and len(list(care.rules(People(), False))) == 3


def test_settings_that_do_not_fit_each_other_are_refused() -> None:
    for values, said in (
        ({"warn_after": 3, "stop_after": 3}, "nobody is stopped unwarned"),
        ({"feedback": "always", "gold": 1}, "would show which debates are gold"),
        ({"scales": ["choice"]}, "always has probability"),
        ({"profile": ["a,b"]}, "without commas"),
    ):
        with pytest.raises(ValidationError, match=said):
            People.model_validate(values)


def test_links_are_signed_and_expire(study: Path, now: list[float]) -> None:
    """Made-up links are refused without the database being asked: here there is none."""
    judge = Judge(study, People(), now)
    db = database.connect(study)
    late = access.invite(db, days=2, now=now[0])
    db.close()
    now[0] += 2 * 86_400 - 1
    assert judge.get(f"/join/{late}").status_code == 200
    now[0] += 1
    assert judge.get(f"/join/{late}").status_code == 410 and "its time is up" in judge.get(f"/join/{late}").text
    body, until, signature = late.split(".")
    for file in study.glob("study.sqlite*"):
        file.unlink()
    for made_up in (f"{body}.{int(until, 16) + 9:x}.{signature}", f"x{body}.{until}.{signature}", "a.b.c", "é", late):
        for response in (judge.get(f"/join/{made_up}"), judge.post(f"/join/{made_up}", {})):
            assert response.status_code == 410
    assert not list(study.glob("study.sqlite*"))
