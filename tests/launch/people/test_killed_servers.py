"""Fifty judges at work while the server is killed: no verdict is lost, none is kept twice."""

import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx2
import pytest

from rostrum.launch.people import access
from rostrum.launch.people.scripted import Habits, Scripted, right_answers
from tests.rewards.people import study

JUDGES, QUESTIONS, CONDITIONS, WANTED = 50, 6, 2, 10
KILLED = [(9, "before"), (17, "after"), (21, "before"), (14, "after"), (20, "before")]
"""The server's how-manieth verdict since it was started, and whether it dies before or after that is committed."""
SERVER = """
import os, signal, socket, sys
from contextlib import contextmanager
from pathlib import Path
import uvicorn
from rostrum.launch.people.judge_pages import JudgePages
from rostrum.rewards.people import verdicts
from rostrum.trainer.config.people import People

folder, handle, number, when = Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3]), sys.argv[4]
kept, whole = 0, verdicts.transaction

@contextmanager
def killed(connection):
    global kept
    with whole(connection) as open_one:
        yield open_one
        kept += "INSERT INTO verdict" in said
        if kept == number and when == "before":
            os.kill(os.getpid(), signal.SIGKILL)
    if kept == number and when == "after":
        os.kill(os.getpid(), signal.SIGKILL)

said = ""
submit = verdicts.submit
def noticed(*arguments):
    global said
    said = "INSERT INTO verdict"
    try:
        return submit(*arguments)
    finally:
        said = ""

verdicts.transaction, verdicts.submit = killed, noticed
people = People(words=3, training=0, qualification=0, reading="whole")
server = uvicorn.Server(uvicorn.Config(JudgePages(folder, people).application(), log_level="error"))
server.run([socket.socket(fileno=handle)])
"""


class Stubborn:
    """A browser that sends again, with the same fields, until it gets an answer; `log` has what was answered."""

    def __init__(self, address: str) -> None:
        self._client = httpx2.Client(base_url=address, follow_redirects=True, timeout=60)
        self.log: dict[str, str] = {}
        """By place: the probability that was confirmed."""

    def get(self, url: str) -> Any:
        return self._stubborn(lambda: self._client.get(url))

    def post(self, url: str, *, data: Any) -> Any:
        response = self._stubborn(lambda: self._client.post(url, data=data))
        if url == "/judge" and response.status_code == 200:
            assert data["place"] not in self.log, "a debate that was judged is not given again"
            self.log[data["place"]] = data["p"]
        return response

    def _stubborn(self, ask: Callable[[], Any]) -> Any:
        for _ in range(600):
            try:
                return ask()
            except httpx2.TransportError:
                time.sleep(0.1)
        raise AssertionError("the server did not come back")


@contextmanager
def served(folder: Path, listening: socket.socket) -> Iterator[list[int]]:
    """Serve while the block runs: a server that was killed is started again. Yields how the servers ended.

    The socket is ours: a port that nobody listens on is soon taken by one of those who try to connect to it."""
    ended: list[int] = []
    over = threading.Event()

    def serve() -> None:
        for number, when in [*KILLED, (-1, "never")]:
            handle = listening.fileno()
            command = [sys.executable, "-c", SERVER, str(folder), str(handle), str(number), when]
            with subprocess.Popen(command, pass_fds=[handle]) as server:
                while server.poll() is None and not over.wait(0.05):
                    pass
                if over.is_set():
                    server.kill()
                    return
                ended.append(server.returncode)

    thread = threading.Thread(target=serve)
    thread.start()
    try:
        yield ended
    finally:
        over.set()
        thread.join()


@pytest.mark.broad
def test_no_verdict_is_lost_and_none_is_kept_twice(tmp_path: Path) -> None:
    db = study.make(tmp_path, QUESTIONS, CONDITIONS, WANTED, 0)
    db.execute("INSERT INTO answer SELECT id, 'A' FROM debate")
    right = right_answers(db.execute("SELECT d.transcript, a.correct FROM debate d JOIN answer a ON a.debate = d.id"))
    links = [access.invite(db) for _ in range(JUDGES)]
    listening = socket.create_server(("127.0.0.1", 0), backlog=2048)
    port = listening.getsockname()[1]

    def work(number: int) -> Stubborn:
        browser = Stubborn(f"http://127.0.0.1:{port}")
        Scripted(browser, right, Habits(), number).judge_all(links[number])
        return browser

    with listening, served(tmp_path, listening) as ended, ThreadPoolExecutor(JUDGES) as pool:
        logs = list(pool.map(work, range(JUDGES)))
    assert ended == [-9] * len(KILLED)
    kept = db.execute(
        "SELECT p.token, p.first, v.p FROM verdict v JOIN place p ON p.id = v.place WHERE p.state = 'done'"
    ).fetchall()
    found = {row["token"]: round(100 * (row["p"] if row["first"] == "A" else 1 - row["p"])) for row in kept}
    assert found == {place: int(p) for browser in logs for place, p in browser.log.items()}
    assert len(kept) == len(found) == QUESTIONS * CONDITIONS * WANTED
    counts = [n for (n,) in db.execute("SELECT count(*) FROM place WHERE state = 'done' GROUP BY debate")]
    assert max(counts) - min(counts) <= 1
    ((through,),) = db.execute("SELECT count(*) FROM judge WHERE state = 'finished'").fetchall()
    assert through == JUDGES, "everybody came to the end, whatever answer was lost on the way"
