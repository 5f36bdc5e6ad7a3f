"""A study with every check on: debates of many sentences, gold ones among them, and questions on the guidelines."""

import sqlite3
from dataclasses import replace
from pathlib import Path
from typing import Any

from starlette.testclient import TestClient

from rostrum.envs.types import Transcript
from rostrum.launch.people import access, comprehension
from rostrum.launch.people.judge_pages import JudgePages
from rostrum.launch.people.scripted import Habits, Scripted, right_answers
from rostrum.rewards.people import database
from rostrum.trainer.config.people import Outside, People
from tests.launch.people import pages
from tests.rewards.people.study import transcript

PHASES = {"training": 1, "qualification": 2, "main": 6, "gold": 2}
EVERYTHING = People(
    words=3,
    judges=6,
    qualify_accuracy=0.5,
    qualify_brier=0.5,
    gold=2,
    gold_every=2,
    gold_least=2,
    gold_accuracy=0.5,
    attention_every=1,
    least_seconds=20,
    comprehension=True,
    scales=("probability", "choice", "rating"),
    profile=("reads novels", "native speaker"),
    requires=("native speaker",),
    outside=Outside(open=True, finished="CODE-DONE", stopped="CODE-STOP"),
)


def play(question: int, condition: int) -> Transcript:
    """Return a debate in which every sentence is said once, and nowhere else."""
    debate = transcript(question, condition)
    said = tuple(
        replace(
            speech,
            text=f"Of lamp {question} it is said {speech.turn} times {condition}. "
            f"The thief was seen <v_quote>by day {question}{speech.turn}{condition}</v_quote> with it.",
        )
        for speech in debate.speeches
    )
    return replace(debate, question=replace(debate.question, text=f"Who stole lamp {question}?"), speeches=said)


def make(folder: Path) -> sqlite3.Connection:
    """Make the study."""
    db = pages.make(folder, 2, PHASES, play)
    comprehension.keep(folder, comprehension.questions_of(True))
    return db


class Script:
    """A scripted judge at the pages of a study, whose waiting moves its clock."""

    def __init__(self, study: Path, people: People, habits: Habits, seed: int = 0, now: float = 1_000_000.0) -> None:
        self.now, self.study, self.people = now, study, people
        self.browser = TestClient(JudgePages(study, people, now=lambda: self.now).application(), follow_redirects=True)
        self.served: list[bytes] = []
        """Every byte that came back, with the headers."""
        self.browser.event_hooks = {"response": [self._keep]}
        db = database.connect(study)
        right = right_answers(db.execute("SELECT transcript, correct FROM debate JOIN answer ON debate = id"))
        understood = {each.question: each.right for each in comprehension.kept(db)}
        self.judge = Scripted(self.browser, right, habits, seed, self._wait, understood)
        db.close()

    def work(self, way: str = "") -> int:
        """Work through the study from a link, or from an address; return how many verdicts were sent."""
        if not way:
            db = database.connect(self.study)
            way = access.invite(db)
            db.close()
        return self.judge.judge_all(way)

    def _keep(self, response: Any) -> None:
        self.served += [response.read(), repr(response.headers.raw).encode()]

    def _wait(self, seconds: float) -> None:
        self.now += seconds
