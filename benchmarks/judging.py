"""How long judges wait for their pages while fifty of them work at once.

    python -m benchmarks.judging [--judges N] [--pause SECONDS]

A server in a process of its own, as `rostrum people serve` runs it, and scripted judges in threads of this one. A judge
reads before each form, three seconds in the mean, which is some forty times as fast as people do. What is counted is
what a judge waits for an answer to come whole; a redirect and the page that it leads to are two answers.
"""

import argparse
import json
import os
import random
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx2
import numpy as np

from benchmarks.measure import Measurement
from rostrum.envs.transcripts import to_json
from rostrum.envs.types import Protocol, Question, Side, Speech, Transcript
from rostrum.launch.people import access
from rostrum.launch.people.scripted import Habits, Scripted, right_answers
from rostrum.rewards.people import database
from rostrum.rewards.people.debates import id_of
from rostrum.trainer.config.people import People
from rostrum.trainer.evaluation.people.study_file import StudyFile

JUDGES, PAUSE = 50, 3.0
"""Judges at once, and seconds between the forms of one."""
QUESTIONS, CONDITIONS, ROUNDS, WORDS = 8, 2, 3, 120
"""Of the study: each judge judges every question once; words of a speech."""
_SECTION = "judges' pages"


def of_pages(judges: int = JUDGES, pause: float = PAUSE, questions: int = QUESTIONS) -> list[Measurement]:
    """Let so many judges work through a study at once; return what they waited, and how much was asked."""
    with tempfile.TemporaryDirectory() as folder:
        study = Path(folder)
        people = People(training=0, qualification=0, verdicts=judges, words=3)
        links, right = _study(study, people, judges, questions)
        with _served(study) as address, ThreadPoolExecutor(judges) as pool:
            browsers = [Browser(address, pause, number) for number in range(judges)]
            work = [Scripted(browser, right, Habits(), n) for n, browser in enumerate(browsers)]
            start = time.perf_counter()
            verdicts = sum(pool.map(Scripted.judge_all, work, links))
            seconds = time.perf_counter() - start
    waits = 1e3 * np.array([wait for browser in browsers for wait in browser.waits])
    name = f"{judges} at once"
    return [
        Measurement(_SECTION, f"{name}, median wait", "ms", (float(np.median(waits)),), 50, less=True),
        Measurement(_SECTION, f"{name}, 99th percentile", "ms", (float(np.quantile(waits, 0.99)),), 300, less=True),
        Measurement(_SECTION, f"{name}, longest", "ms", (float(waits.max()),)),
        Measurement(_SECTION, f"{name}, answers", "1/s", (len(waits) / seconds,)),
        Measurement(_SECTION, f"{name}, verdicts", "1/s", (verdicts / seconds,)),
    ]


class Browser:
    """Reads before it sends, and keeps what it waited (seconds)."""

    def __init__(self, address: str, pause: float, seed: int) -> None:
        self._client = httpx2.Client(base_url=address, follow_redirects=True, timeout=60)
        self._pause, self._rng = pause, random.Random(seed)
        self.waits: list[float] = []

    def get(self, url: str) -> Any:
        return self._kept(self._client.get(url))

    def post(self, url: str, *, data: Mapping[str, str]) -> Any:
        time.sleep(self._rng.expovariate(1 / self._pause) if self._pause else 0)
        return self._kept(self._client.post(url, data=data))

    def _kept(self, response: Any) -> Any:
        response.raise_for_status()
        self.waits += [each.elapsed.total_seconds() for each in (*response.history, response)]
        return response


def _study(folder: Path, people: People, judges: int, questions: int) -> tuple[list[str], dict[tuple[str, str], bool]]:
    """Make a study of debates of speeches of so many words; return judges' links and the right answers."""
    db = database.create(folder)
    with database.transaction(db):
        db.execute("INSERT INTO guidelines VALUES (1, 'Read both sides.', 0)")
        for condition in range(CONDITIONS):
            db.execute("INSERT INTO condition VALUES (?, 'run', ?, 'self', 'debate')", (condition, f"it{condition}"))
        for number in range(questions * CONDITIONS):
            debate = _debate(*divmod(number, CONDITIONS))
            row = (number, id_of(debate), number % CONDITIONS, debate.question.id, debate.question.story_id)
            stored = json.dumps(to_json(debate))
            db.execute("INSERT INTO debate VALUES (?, ?, 'main', ?, ?, ?, ?, ?)", (*row, stored, people.verdicts))
            db.execute("INSERT INTO answer VALUES (?, 'A')", (number,))
    StudyFile(runs=("run",), seed=0, people=people).write(folder)
    links = [access.invite(db) for _ in range(judges)]
    right = right_answers(db.execute("SELECT d.transcript, a.correct FROM debate d JOIN answer a ON a.debate = d.id"))
    db.close()
    return links, right


def _debate(question: int, condition: int) -> Transcript:
    asked = Question(f"q{question}", f"story{question}", f"Who was it, of {question}?", ("Ann", "Ben"), "Ann or Ben.")
    said = f"In {condition} it was so: <v_quote>Ann or Ben</v_quote> " + "and so on " * (WORDS // 3)
    speeches = [Speech(side.value, side, turn, said, "", 1) for turn, side in enumerate((*Side,) * ROUNDS)]
    return Transcript(asked, Protocol("debate", rounds=ROUNDS), asked.answers, False, tuple(speeches), {})


@contextmanager
def _served(study: Path) -> Iterator[str]:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    command = [sys.executable, "-m", "rostrum", "people", "serve", str(study), f"port={port}"]
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as server:
        try:
            _wait_for(server, port)
            yield f"http://127.0.0.1:{port}"
        finally:
            server.terminate()


def _wait_for(server: subprocess.Popen[bytes], port: int) -> None:
    while server.poll() is None:
        try:
            socket.create_connection(("127.0.0.1", port), timeout=1).close()
            return
        except OSError:
            time.sleep(0.05)
    raise RuntimeError(f"The server ended with {server.returncode} before it served anything.")


def main() -> int:
    """Measure and print, with the machine's load before and after."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--judges", type=int, default=JUDGES, help="how many work at once")
    parser.add_argument("--pause", type=float, default=PAUSE, help="mean seconds of reading before a form")
    arguments = parser.parse_args()
    before = os.getloadavg()[0]
    for line in of_pages(arguments.judges, arguments.pause):
        print(f"{line.name}: {line.median:.1f} {line.unit}")
    print(f"load of the machine: {before:.1f} before, {os.getloadavg()[0]:.1f} after, {os.cpu_count()} cores")
    return 0


if __name__ == "__main__":
    sys.exit(main())
