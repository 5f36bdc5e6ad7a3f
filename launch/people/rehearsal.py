"""A study with scripted judges, on a copy of it: real pages on a port of this machine, real HTTP, real results."""

import random
import sqlite3
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

import httpx2
import uvicorn

from rostrum.launch.people import access, comprehension
from rostrum.launch.people.judge_pages import JudgePages
from rostrum.launch.people.scripted import Habits, Scripted, right_answers
from rostrum.launch.people.site import Site
from rostrum.rewards.people.database import StudyError
from rostrum.trainer.config.people import People
from rostrum.trainer.evaluation.people import results
from rostrum.trainer.progress import activity

AT_ONCE = 8
"""Scripted judges that work at the same time."""


def rehearse(
    db: sqlite3.Connection, study: Path, people: People, judges: int, look: Callable[[], None] = lambda: None
) -> str:
    """Let so many scripted judges, of different accuracy and with and without a bias to the first answer, judge all
    that there is; return the results in words. While they wait for debaters they `look` whether these are at work: what
    that raises ends the rehearsal."""
    db.execute(
        "INSERT OR REPLACE INTO setting VALUES ('rehearsal', 'true')"
    )  # so that no report takes scripts for people
    if not db.execute("SELECT 1 FROM debate").fetchone():
        raise StudyError("There is no debate in this study yet: let a cascade fill it, then rehearse.")
    right = right_answers(db.execute("SELECT d.transcript, a.correct FROM debate d JOIN answer a ON a.debate = d.id"))
    rng = random.Random(0)
    habits = [
        Habits(rng.uniform(0.7, 0.95), rng.choice((70, 80, 90)), rng.choice((0.0, 0.0, 0.2))) for _ in range(judges)
    ]
    links = [access.invite(db) for _ in range(judges)]
    understood = {each.question: each.right for each in comprehension.kept(db)}
    people = people.model_copy(update={"least_seconds": 0.0})  # scripts do not wait
    with serving(JudgePages(study, people)) as address, activity("scripted judges", judges, "judges", after=0) as bar:

        def work(number: int) -> int:
            with httpx2.Client(base_url=address, follow_redirects=True, timeout=60) as browser:
                judge = Scripted(browser, right, habits[number], number, understood=understood, look=look)
                return judge.judge_all(links[number])

        with ThreadPoolExecutor(AT_ONCE) as pool:
            for _ in pool.map(work, range(judges)):
                bar.advance(1)
    return "\n".join(results.sentences(results.results(results.read(db))))


@contextmanager
def serving(site: Site) -> Iterator[str]:
    """Serve the pages on a free port of this machine while the block runs; return the address."""
    config = uvicorn.Config(
        site.application(), host="127.0.0.1", port=0, log_level="error", server_header=False, access_log=False
    )
    server = uvicorn.Server(config)
    thread = threading.Thread(target=server.run, daemon=True)
    thread.start()
    try:
        while not server.started:
            time.sleep(0.01)
        (port,) = {each.getsockname()[1] for of in server.servers for each in of.sockets}
        yield f"http://127.0.0.1:{port}"
    finally:
        server.should_exit = True
        thread.join()
