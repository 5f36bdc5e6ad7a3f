"""People whom a recruiting site sends: one judge for one id, codes at the end, and events that are signed."""

import base64
import hashlib
import hmac
import json
import sqlite3
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from starlette.testclient import TestClient

from rostrum.launch.people import access
from rostrum.launch.people.judge_pages import JudgePages
from rostrum.launch.people.scripted import Forms, Habits
from rostrum.rewards.people import database
from rostrum.rewards.people.database import StudyError
from rostrum.trainer.config.people import Outside, People
from tests.launch.people import pages, quality_study
from tests.launch.people.quality_study import EVERYTHING, Script

NOW = 1_000_000.0
SECRET = b"of the site"
WAY = "/outside?PROLIFIC_PID={who}&STUDY_ID=study1&SESSION_ID={visit}"


@pytest.fixture
def people(tmp_path: Path) -> People:
    path = tmp_path / "site-secret"
    path.write_bytes(SECRET + b"\n")
    path.chmod(0o600)
    known = Outside(open=True, study_id="study1", finished="DONE/1", stopped="STOP1", secret=path)
    return People(words=3, judges=3, qualify_accuracy=0, qualify_brier=1, outside=known)


@pytest.fixture
def db(tmp_path: Path) -> sqlite3.Connection:
    return pages.make(tmp_path)


def browser(study: Path, people: People) -> TestClient:
    return TestClient(JudgePages(study, people, now=lambda: NOW).application(), follow_redirects=True)


def enter(client: TestClient, who: str, visit: str = "visit1") -> Any:
    page = client.get(WAY.format(who=who, visit=visit))
    ((action, fields),) = Forms(page.text).forms.items()
    return client.post(action, data=fields)


def event(
    status: str, visit: str, at: float = NOW, secret: bytes = SECRET, **more: str
) -> tuple[bytes, dict[str, str]]:
    """Return the body and the headers of an event, signed as Prolific documents it."""
    body = json.dumps(
        {
            "resource_id": visit,
            "event_type": "submission.status.change",
            "participant_id": "ann",
            "status": status,
        }
    ).encode()
    stamp = str(int(at))
    signature = base64.b64encode(hmac.new(secret, stamp.encode() + body, hashlib.sha256).digest()).decode()
    headers = {"X-Prolific-Request-Signature": signature, "X-Prolific-Request-Timestamp": stamp, "X-Event-ID": "e1"}
    return body, headers | {name.replace("_", "-"): value for name, value in more.items()}


def send(client: TestClient, body: bytes, headers: dict[str, str]) -> int:
    return client.post("/outside/webhook", content=body, headers=headers).status_code


def test_an_id_is_one_judge_whenever_it_comes(db: sqlite3.Connection, tmp_path: Path, people: People) -> None:
    first, second = browser(tmp_path, people), browser(tmp_path, people)
    assert not db.execute("SELECT * FROM judge").fetchall()
    page = first.get(WAY.format(who="ann", visit="visit1"))
    assert "Before you begin" in page.text and not db.execute("SELECT * FROM judge").fetchall(), (
        "looking is not entering"
    )
    page = enter(first, "ann")
    page = first.post("/guidelines", data=Forms(page.text).forms["/guidelines"])
    assert "Practice: debate 1" in page.text
    assert Forms(enter(second, "ann").text).forms["/judge"]["place"] == Forms(page.text).forms["/judge"]["place"]
    assert len(db.execute("SELECT * FROM judge").fetchall()) == 1
    for wrong in (
        "/outside",
        WAY.format(who="", visit="v"),
        WAY.format(who="a b", visit="v"),
        WAY.format(who="a", visit="v").replace("study1", "other"),
        WAY.format(who="a" * 65, visit="v"),
    ):
        assert first.get(wrong).status_code == 400
    forged = first.post(WAY.format(who="ben", visit="v"), data={"csrf": "x"})
    assert forged.status_code == 403 and len(db.execute("SELECT * FROM judge").fetchall()) == 1


def test_there_is_no_way_in_unless_the_study_says_so(db: sqlite3.Connection, tmp_path: Path) -> None:
    client = browser(tmp_path, People())
    assert client.get(WAY.format(who="ann", visit="v")).status_code == 404
    assert client.post(WAY.format(who="ann", visit="v")).status_code == 404
    assert send(client, *event("RETURNED", "v")) == 404


def test_never_two_judges_for_one_id_nor_more_than_wanted_at_once(db: sqlite3.Connection, tmp_path: Path) -> None:
    def come(number: int) -> str:
        own = database.connect(tmp_path)
        try:
            return access.enter(own, f"id{number % 10}", f"visit{number}", "training", 6, NOW)
        except StudyError as error:
            return str(error)
        finally:
            own.close()

    with ThreadPoolExecutor(10) as pool:
        found = list(pool.map(come, range(40)))
    assert sum(text.startswith("The study is full") for text in found) == 16, "four ids, four times"
    assert len(db.execute("SELECT * FROM judge").fetchall()) == 6
    db.execute("UPDATE judge SET state = 'left' WHERE number = 0")
    assert not access.enter(db, "new", "v", "training", 6, NOW).startswith("The study")
    client = browser(tmp_path, People(judges=6, outside=Outside(open=True)))
    page = enter(client, "another")
    assert page.status_code == 409 and "The study is full" in page.text


def test_codes_are_shown_at_the_end(tmp_path: Path) -> None:
    quality_study.make(tmp_path).close()
    outside = Outside(open=True, finished="DONE/1", stopped="STOP1")
    people = EVERYTHING.model_copy(update={"outside": outside, "least_seconds": 0.0})
    done = Script(tmp_path, people, Habits(accuracy=1.0))
    done.work(WAY.format(who="ann", visit="v1"))
    assert "Your code: DONE/1" in done.judge.last
    assert 'href="https://app.prolific.com/submissions/complete?cc=DONE%2F1"' in done.judge.last
    assert b"DONE" not in b"".join(done.served[:-4]) and b"STOP1" not in b"".join(done.served)
    stopped = Script(tmp_path, people, Habits(accuracy=0.0))
    stopped.work(WAY.format(who="ben", visit="v2"))
    assert "Your part ends here" in stopped.judge.last and "Your code: STOP1" in stopped.judge.last
    left = Script(tmp_path, people, Habits(leaves=1.0))
    left.work(WAY.format(who="cleo", visit="v3"))
    assert "You have left" in left.judge.last and "Your code: STOP1" in left.judge.last
    invited = Script(tmp_path, people, Habits(accuracy=1.0))
    invited.work()
    assert "Thank you" in invited.judge.last and "code" not in invited.judge.last


@pytest.mark.parametrize("status", ["RETURNED", "TIMED-OUT"])
def test_who_returned_their_place_gives_the_debate_back(
    db: sqlite3.Connection, tmp_path: Path, people: People, status: str
) -> None:
    client = browser(tmp_path, people)
    page = enter(client, "ann")
    client.post("/guidelines", data=Forms(page.text).forms["/guidelines"])
    assert [state for (state,) in db.execute("SELECT state FROM place")] == ["open"]
    assert send(client, *event("ACTIVE", "visit1", X_Event_ID="e0")) == 204
    assert [state for (state,) in db.execute("SELECT state FROM place")] == ["open"]
    assert send(client, *event(status, "another visit", X_Event_ID="e2")) == 204
    assert [state for (state,) in db.execute("SELECT state FROM place")] == ["open"], "another study's"
    assert send(client, *event(status, "visit1", X_Event_ID="e3")) == 204
    assert [state for (state,) in db.execute("SELECT state FROM place")] == ["returned"]
    page = client.get("/")
    assert "was returned or that its time was up" in page.text and "Your code" not in page.text


def test_what_is_not_signed_or_old_is_refused(db: sqlite3.Connection, tmp_path: Path, people: People) -> None:
    client = browser(tmp_path, people)
    enter(client, "ann")
    body, headers = event("RETURNED", "visit1")
    assert send(client, body.replace(b"ann", b"ben"), headers) == 401
    assert send(client, body, headers | {"X-Prolific-Request-Timestamp": str(int(NOW) + 1)}) == 401
    assert send(client, body, headers | {"X-Prolific-Request-Signature": ""}) == 401
    assert send(client, body, {}) == 401
    assert send(client, *event("RETURNED", "visit1", secret=b"another")) == 401
    assert send(client, *event("RETURNED", "visit1", at=NOW - 301)) == 401
    assert send(client, *event("RETURNED", "visit1", at=NOW + 301)) == 401
    assert send(client, b"x" * 200_000, headers) == 413
    for strange in (b"[]", b"no", b"3", b"[" * 5000):
        signature = base64.b64encode(hmac.new(SECRET, b"1000000" + strange, hashlib.sha256).digest()).decode()
        assert send(client, strange, headers | {"X-Prolific-Request-Signature": signature}) == 400
    assert db.execute("SELECT state FROM judge").fetchone()[0] == "training"
    assert not db.execute("SELECT * FROM webhook").fetchall()


def test_an_event_counts_once_and_an_older_one_not_at_all(
    db: sqlite3.Connection, tmp_path: Path, people: People
) -> None:
    client = browser(tmp_path, people)
    page = enter(client, "ann")
    client.post("/guidelines", data=Forms(page.text).forms["/guidelines"])
    assert send(client, *event("AWAITING REVIEW", "visit1", at=NOW - 10, X_Event_ID="e1")) == 204
    late = event("TIMED-OUT", "visit1", at=NOW - 20, X_Event_ID="e2")
    assert send(client, *late) == 204
    assert db.execute("SELECT state FROM judge").fetchone()[0] == "training", "older than what was dealt with"
    body, headers = event("RETURNED", "visit1", at=NOW, X_Event_ID="e3")
    assert send(client, body, headers) == 204
    assert db.execute("SELECT state, reason != '' FROM judge").fetchone()[0] == "left"
    db.execute("UPDATE judge SET state = 'training', reason = ''")
    assert send(client, body, headers) == 204, "sent again"
    assert send(client, body, headers | {"X-Event-ID": "made up"}) == 204, (
        "replayed under another id, which is unsigned"
    )
    again = event("RETURNED", "visit1", at=NOW + 5, X_Event_ID="e3")
    assert send(client, *again) == 204, "sent again later, and signed anew"
    assert db.execute("SELECT state FROM judge").fetchone()[0] == "training"


def test_the_secret_is_read_from_where_its_owner_alone_reads(
    db: sqlite3.Connection, tmp_path: Path, people: People, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = people.outside.secret
    assert path is not None
    path.chmod(0o640)
    with pytest.raises(StudyError, match="can be read by others"):
        JudgePages(tmp_path, people)
    path.chmod(0o600)
    path.write_text("")
    with pytest.raises(StudyError, match="is empty"):
        JudgePages(tmp_path, people)
    path.unlink()
    with pytest.raises(StudyError, match="cannot be read"):
        JudgePages(tmp_path, people)
    open_ = People(outside=Outside(open=True))
    monkeypatch.delenv("ROSTRUM_PEOPLE_SECRET", raising=False)
    assert send(browser(tmp_path, open_), *event("RETURNED", "v")) == 404
    monkeypatch.setenv("ROSTRUM_PEOPLE_SECRET", SECRET.decode())
    assert send(browser(tmp_path, open_), *event("RETURNED", "v")) == 204
    for file in tmp_path.glob("*"):
        assert SECRET not in file.read_bytes(), file
