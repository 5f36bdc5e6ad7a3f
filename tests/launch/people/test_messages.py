"""What judges write to the researchers and are answered, on the judges' pages."""

from pathlib import Path

import pytest

from rostrum.rewards.people import database, mail
from rostrum.trainer.config.people import People
from tests.launch.people import pages
from tests.launch.people.pages import Judge, forms


@pytest.fixture
def now() -> list[float]:
    return [1_000_000.0]


@pytest.fixture
def judge(tmp_path: Path, now: list[float]) -> Judge:
    pages.make(tmp_path).close()
    return Judge(tmp_path, People(words=3), now)


def test_a_judge_writes_about_a_debate_and_is_answered(judge: Judge, tmp_path: Path, now: list[float]) -> None:
    page = judge.join()
    fields = forms(page)["/messages"]
    assert fields["place"] == forms(page)["/judge"]["place"]
    page = judge.post("/messages", fields | {"message": "Round <1> says\r\nnothing."})
    assert str(page.url).endswith("/messages") and "Round &lt;1&gt; says\nnothing." in page.text
    db = database.connect(tmp_path)
    (name, place) = db.execute("SELECT judge, id FROM place").fetchone()
    (message,) = mail.messages(db, name)
    assert (message.sender, message.place, message.at) == ("judge", place, now[0])
    mail.send(db, name, "researcher", "That <is> so.", now[0])
    for path in ("/", "/messages", "/"):
        page = judge.get(path)
        assert "That &lt;is&gt; so." in page.text
        assert ("The researchers have written to you" in page.text) == (path == "/"), "the thread has it once"
    mail.send(db, name, "researcher", "And more.", now[0])
    page = judge.post("/messages/read", forms(page)["/messages/read"])
    assert "That &lt;is&gt; so." not in page.text and "And more." in page.text, "read up to what was on the page"
    judge.send(page, "/messages/read")
    assert "have written to you" not in judge.get().text
    thread = judge.get("/messages").text
    assert thread.index("Round &lt;1&gt;") < thread.index("That &lt;is&gt; so.") < thread.index("And more.")


def test_messages_are_checked(judge: Judge, tmp_path: Path, now: list[float]) -> None:
    page = judge.join()
    for text, said in (
        ("", "Write something first."),
        (" \r\n", "Write something first."),
        ("x" * 4001, "at most 4000"),
    ):
        refused = judge.send(page, "/messages", message=text)
        assert refused.status_code == 422 and said in refused.text
    assert "x" * 4001 in refused.text, "what was typed stays"
    for n in range(20):
        assert judge.send(page, "/messages", message=f"Number {n}").status_code == 200
    often = judge.send(page, "/messages", message="One more")
    assert often.status_code == 422 and "Please wait a while" in often.text and ">One more</textarea>" in often.text
    now[0] += 3601
    assert judge.send(page, "/messages", message="Later").status_code == 200
    assert judge.post("/messages", {"message": "forged", "csrf": "x"}).status_code == 403
    other = Judge(tmp_path, People(words=3), now)
    assert other.get("/messages").status_code == 401
    other.join()
    assert "There are no messages yet." in other.get("/messages").text
    theirs = forms(other.get())["/messages"] | {"place": forms(page)["/messages"]["place"], "message": "Whose?"}
    other.post("/messages", theirs)
    db = database.connect(tmp_path)
    assert db.execute("SELECT place FROM message WHERE text = 'Whose?'").fetchone()[0] is None, "not another's debate"


def test_who_is_stopped_or_through_can_still_write(judge: Judge, tmp_path: Path) -> None:
    page = judge.join()
    fields = forms(page)["/messages"]
    page = judge.send(page, "/leave")
    assert "/messages" in forms(page), "where it says what became of them"
    assert "Why" in judge.post("/messages", fields | {"message": "Why?"}).text
