"""A judge at the pages, as a script: fetches, reads forms out of the HTML, and sends them."""

import base64
import sqlite3
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from starlette.testclient import TestClient

from rostrum.envs.types import Transcript
from rostrum.launch.people import access
from rostrum.launch.people.judge_pages import JudgePages
from rostrum.launch.people.scripted import Forms
from rostrum.rewards.people import database
from rostrum.trainer.config.people import People
from tests.rewards.people import study

RUN, CHECKPOINT, PROTOCOL = "SECRET-RUN-4711", "SECRET-CHECKPOINT-4711", "SECRET-PROTOCOL-4711"
PHASES = {"training": 1, "qualification": 2, "main": 2}


def make(
    folder: Path,
    conditions: int = 2,
    phases: Mapping[str, int] = PHASES,
    play: Callable[[int, int], Transcript] = study.transcript,
) -> sqlite3.Connection:
    """Make a study: a debate of training, two of qualification, and two questions under each condition."""
    checkpoints = [f"{CHECKPOINT}-{n}" for n in range(conditions)]
    db = study.empty(folder, RUN, checkpoints, PROTOCOL, "# Rules\n\nRead <b>both</b> sides.")
    with database.transaction(db):
        question = number = 0
        for phase, count in phases.items():
            for _ in range(count):
                for condition in range(conditions if phase == "main" else 1):
                    wanted = 2 if phase == "main" else 99
                    study.add(db, number, phase, condition, play(question, condition), wanted)
                    db.execute("INSERT INTO answer VALUES (?, ?)", (number, "AB"[question % 2]))
                    number += 1
                question += 1
    return db


class Judge:
    """One judge with a browser of their own. `served` collects every byte that came back, with its headers."""

    def __init__(self, study: Path, people: People, now: list[float]) -> None:
        self.served: list[bytes] = []
        db = database.connect(study)
        self.link = access.invite(db)
        db.close()
        application = JudgePages(study, people, now=lambda: now[0]).application()
        self.browser = TestClient(application, follow_redirects=True)

    def get(self, path: str = "/") -> Any:
        return self._kept(self.browser.get(path))

    def post(self, path: str, fields: dict[str, str]) -> Any:
        return self._kept(self.browser.post(path, data=fields))

    def _kept(self, response: Any) -> Any:
        for each in (*response.history, response):
            self.served += [each.content, repr(each.headers.raw).encode()]
        return response

    def send(self, page: Any, action: str, **fields: str) -> Any:
        """Fill in a form of a page and send it."""
        return self.post(action, {**Forms(page.text).forms[action], **fields})

    def join(self) -> Any:
        """Consent, and read the guidelines; return the first debate."""
        page = self.send(self.get(f"/join/{self.link}"), f"/join/{self.link}")
        return self.send(page, "/guidelines")


def coded(secret: str) -> list[bytes]:
    """Return the ways in which a text may stand in bytes: as it is, in base64 at each of its three alignments, in hex,
    with every letter coded as in an address, or as in HTML. Compressed bodies come unpacked, or would be none."""
    plain = secret.encode()
    in_base64 = []
    for shift in range(3):
        text = base64.b64encode(b"\0" * shift + plain)
        in_base64.append(text[(8 * shift + 5) // 6 : len(text) - 4 + (shift + len(plain)) % 3])
    each = [f"%{byte:02x}" for byte in plain], [f"&#{byte};" for byte in plain], [f"&#x{byte:x};" for byte in plain]
    return [plain, plain.hex().encode(), *in_base64, *("".join(letters).encode() for letters in each)]


def forms(page: Any) -> dict[str, dict[str, str]]:
    return Forms(page.text).forms


def options(page: Any) -> list[str]:
    return Forms(page.text).options
