"""A study with readable debates, served on a port of this machine, and a judge at a real browser."""

import json
import sqlite3
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from axe_playwright_python.sync_playwright import Axe

from rostrum.envs.transcripts import from_json
from rostrum.envs.types import Side, Transcript
from rostrum.launch.people import access, password
from rostrum.launch.people.judge_pages import JudgePages
from rostrum.launch.people.rehearsal import serving
from rostrum.launch.people.site import Site
from rostrum.rewards.people import database, mail, places, verdicts
from rostrum.rewards.people.debates import id_of
from rostrum.rewards.people.verdicts import Sent
from rostrum.trainer.config.people import People
from tests.launch.people import pages

PEOPLE = People(words=3, qualify_accuracy=0, qualify_brier=1)
QUESTION = "Why did the old keeper refuse to light the lamp on the night of the storm?"
ANSWERS = ["He had promised his daughter never to signal that ship again", "The oil had been replaced with water"]
SPEECHES = [
    "The keeper says it himself: <v_quote>I swore to her I would not light it for them</v_quote>. That is the reason.",
    "My opponent leaves out what comes before. <u_quote>The cans were full of water</u_quote> is what he found.",
    "That quote is not in the passage. What is there is <v_quote>he set the full can down</v_quote>: he chose.",
    "A full can may be full of water, and the harbour master <v_quote>smiled when the keeper asked</v_quote>.",
]
PASSWORD = "correct horse battery"
WHY = "The quotes decided it for me."


def make(folder: Path, speeches: list[str] | None = None, question: str = QUESTION) -> sqlite3.Connection:
    """Make a study whose debates have these speeches."""
    db = pages.make(folder)
    for row in db.execute("SELECT id, transcript FROM debate").fetchall():
        stored = json.loads(row["transcript"])
        stored["record"]["question"]["text"] = f"{question} ({row['id']})"
        for speech, text in zip(stored["record"]["speeches"], speeches or SPEECHES, strict=True):
            speech["text"] = text
        stored["record"]["answers"] = ANSWERS
        debate = from_json(stored)
        assert isinstance(debate, Transcript)
        values = (id_of(debate), json.dumps(stored), row["id"])
        db.execute("UPDATE debate SET shown = ?, transcript = ? WHERE id = ?", values)
    return db


def judged(folder: Path) -> None:
    """Let four people judge all debates of the main phase, of whom two are mostly wrong, and one asks something."""
    db, now = database.connect(folder), time.time()
    for number in range(4):
        judge = f"judge-{number:08x}"
        db.execute(
            "INSERT INTO judge (id, number, state, joined) VALUES (?, ?, 'main', ?)", (judge, number, now - 7200)
        )
        while (place := places.take(db, judge, "main", now - 3600, 1e5)) is not None:
            (correct,) = db.execute("SELECT correct FROM answer WHERE debate = ?", (place.debate,)).fetchone()
            of_right = (0.9, 0.75, 0.2, 0.35)[number]
            p = of_right if correct == Side.A else 1 - of_right
            verdicts.step(db, judge, place.id, 0, p, 95, now - 3500)
            verdicts.submit(db, judge, place.id, Sent(f"{place.id}", p, WHY, 80, 70), now - 3400)
    mail.send(db, "judge-00000000", "judge", "Round 2 breaks off in the middle. Is that so?", now - 600)
    password.keep(db, PASSWORD)
    db.close()


@contextmanager
def served(folder: Path, people: People = PEOPLE, of: type[Site] = JudgePages) -> Iterator[str]:
    """Serve the pages of a study while the block runs; return the address."""
    with serving(of(folder, people)) as address:
        yield address


def link(folder: Path) -> str:
    """Invite a judge."""
    db = database.connect(folder)
    token = access.invite(db)
    db.close()
    return f"/join/{token}"


class Reader:
    """A judge with a browser window of their own. `requests` and `complaints` are what it asked for and logged."""

    def __init__(self, browser: Any, address: str, path: str, **options: Any) -> None:
        self.context = browser.new_context(base_url=address, **options)
        self.requests: list[str] = []
        self.complaints: list[str] = []
        self.path = path
        self.open("about:blank")

    def open(self, url: str = "/") -> None:
        """Open a new tab there."""
        self.page = self.context.new_page()
        self.page.on("request", lambda request: self.requests.append(request.url))
        self.page.on("console", lambda message: self._complain(message.type, message.text))
        self.page.on("pageerror", lambda error: self.complaints.append(str(error)))
        self.page.goto(url)

    def join(self) -> None:
        """Consent and read the guidelines."""
        self.page.goto(self.path)
        self.press("I agree, and want to begin")
        self.press("I have read this")

    def log_in(self) -> None:
        """Give the researcher's password."""
        self.page.goto("/login")
        self.page.get_by_label("Password").fill(PASSWORD)
        self.press("Log in")

    def faults(self) -> list[tuple[str, list[str]]]:
        """Return what axe-core finds serious or critical on the page, and whether it scrolls sideways."""
        found = [
            (each["id"], [node["html"] for node in each["nodes"]])
            for each in Axe().run(self.page).response["violations"]
            if each["impact"] in ("serious", "critical")
        ]
        inside = self.page.evaluate("document.documentElement.scrollWidth <= innerWidth")
        return found if inside else [*found, ("scrolls sideways", [])]

    def press(self, name: str) -> None:
        """Press a button, and wait for the page that follows."""
        with self.page.expect_navigation():
            self.page.get_by_role("button", name=name).click()

    def choose(self, p: int) -> None:
        """Choose a probability of the first answer."""
        self.page.locator(f"input[name=p][value='{p}']").check()

    def judge(self, p: int) -> None:
        """Judge a debate of two rounds from its first to its last."""
        self.choose(60)
        self.press("Next round")
        self.choose(p)
        self.page.get_by_label("Why?").fill(WHY)
        self.press("Send my verdict")

    def heading(self) -> str:
        """Return the title of the page that is open."""
        return str(self.page.locator("h1").inner_text())

    def close(self) -> None:
        """Close the window."""
        self.context.close()

    def _complain(self, kind: str, text: str) -> None:
        if kind in ("error", "warning"):
            self.complaints.append(text)
