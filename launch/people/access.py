"""Who may do what on the pages: links that are used up by consent, sessions, tokens against forged forms, and rates.

The database holds hashes of links and sessions alone, so nobody can enter with a copy of it. A link is signed with the
study's secret and says until when it can be used, so what somebody made up is refused before the database is asked.
"""

import hashlib
import hmac
import json
import os
import secrets
import sqlite3
import tempfile
import time
from collections import defaultdict, deque
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

from rostrum.envs import files
from rostrum.rewards.people.database import StudyError, folder_of, transaction

SESSION = "session"
"""The cookie."""
BROWSER = "browser"
"""The cookie of who was asked for consent."""
AGAIN = 600.0
"""Seconds in which consent can be sent again from the same browser."""
LASTS = 14 * 24 * 3600.0
"""Seconds that a session lasts after the judge was last seen."""
NOTED = 60.0
"""Seconds after which it is noted again that a judge was seen: each note waits for the disk."""


def hashed(token: str) -> str:
    """Return what is kept of a token."""
    return hashlib.sha256(token.encode()).hexdigest()


def study_secret(study: Path) -> bytes:
    """Return what forms and links are signed with, made once; nobody but its owner can read it at any time."""
    path = files.checked(study / "secret")
    if not path.exists():
        handle, made = tempfile.mkstemp(dir=study)  # with rights for its owner alone
        with os.fdopen(handle, "w") as file:
            file.write(secrets.token_hex(32))
        with suppress(FileExistsError):  # another server was faster
            os.link(made, path)
        os.unlink(made)
    return path.read_bytes()


def invite(
    connection: sqlite3.Connection,
    name: str | None = None,
    contact: str | None = None,
    *,
    days: float = 30.0,
    tags: Sequence[str] = (),
    now: float | None = None,
) -> str:
    """Add a judge and return the token of their link, which is not kept and can be used for so many days."""
    until = f"{int((time.time() if now is None else now) + days * 86_400):x}"
    token = f"{secrets.token_urlsafe(24)}.{until}"
    token = f"{token}.{_link_signature(study_secret(folder_of(connection)), token)}"
    with transaction(connection):
        judge = new_judge(connection, tags)
        connection.execute("INSERT INTO person (judge, name, contact) VALUES (?, ?, ?)", (judge, name, contact))
        connection.execute("INSERT INTO link (hash, judge) VALUES (?, ?)", (hashed(token), judge))
    return token


def new_judge(connection: sqlite3.Connection, tags: Sequence[str] = ()) -> str:
    """Add a judge who was invited, under a pseudonym, and return it. Belongs into a transaction."""
    (number,) = connection.execute("SELECT coalesce(max(number) + 1, 0) FROM judge").fetchone()
    judge = f"judge-{secrets.token_hex(4)}"
    connection.execute(
        "INSERT INTO judge (id, number, state, tags) VALUES (?, ?, 'invited', ?)", (judge, number, json.dumps(tags))
    )
    return judge


def is_link(secret: bytes, token: str, now: float) -> bool:
    """Return whether a link is of our making and its time is not up; whether it was used is another question."""
    body, _, signature = token.rpartition(".")
    if not hmac.compare_digest(_link_signature(secret, body).encode(), signature.encode()):
        return False
    return now < int(body.rpartition(".")[2], 16)


def _link_signature(secret: bytes, body: str) -> str:
    return hmac.new(secret, b"link:" + body.encode(), hashlib.sha256).hexdigest()[:32]


_OPEN = "hash = :hash AND (used IS NULL OR browser = :browser AND used > :now - :again)"


def invited(connection: sqlite3.Connection, token: str, browser: str, now: float) -> bool:
    """Return whether this browser can still use a link. Looking at it does not use it up: mail scanners open links."""
    found = connection.execute(f"SELECT 1 FROM link WHERE {_OPEN}", _asked(token, browser, now)).fetchone()
    return found is not None


def _asked(token: str, browser: str, now: float) -> dict[str, Any]:
    return {"hash": hashed(token), "browser": hashed(browser) if browser else None, "now": now, "again": AGAIN}


def consent(connection: sqlite3.Connection, token: str, browser: str, first_state: str, now: float) -> str:
    """Take a link, which no other browser can use again, and return the token of a new session.

    A browser whose consent was kept may send it once more for a while: the answer may have been lost on the way.

    Raises:
        StudyError: it was used before, or there is no such link.
    """
    session = secrets.token_urlsafe(32)
    with transaction(connection):
        found = connection.execute(
            f"UPDATE link SET used = coalesce(used, :now), browser = :browser WHERE {_OPEN} RETURNING judge",
            _asked(token, browser, now),
        ).fetchone()
        if found is None:
            raise StudyError("This link has been used, or there is no such link: ask for a new one.", "link_used")
        _begin(connection, found["judge"], session, first_state, now)
    return session


def _begin(connection: sqlite3.Connection, judge: str, session: str, first_state: str, now: float) -> None:
    connection.execute(
        "UPDATE judge SET state = ?, joined = ? WHERE id = ? AND state = 'invited'", (first_state, now, judge)
    )
    connection.execute("INSERT INTO session VALUES (?, ?, ?)", (hashed(session), judge, now + LASTS))


def enter(connection: sqlite3.Connection, outside_id: str, visit: str, first_state: str, most: int, now: float) -> str:
    """Let somebody in whom a recruiting site sent, and return the token of a new session.

    The same id is the same judge, whenever and from wherever it comes; a new one is a new judge while fewer than `most`
    from outside are at work or through.

    Raises:
        StudyError: there are as many already.
    """
    session = secrets.token_urlsafe(32)
    with transaction(connection):
        found = connection.execute("SELECT judge FROM person WHERE outside_id = ?", (outside_id,)).fetchone()
        if found is None:
            (at_work,) = connection.execute(
                "SELECT count(*) FROM person p JOIN judge j ON j.id = p.judge "
                "WHERE p.outside_id IS NOT NULL AND j.state NOT IN ('left', 'stopped')"
            ).fetchone()
            if at_work >= most:
                raise StudyError(
                    "The study is full: everybody whom it needs is at work. Please return your place.", "full"
                )
            judge = new_judge(connection)
            connection.execute("INSERT INTO person (judge, outside_id) VALUES (?, ?)", (judge, outside_id))
        else:
            judge = found["judge"]
        connection.execute("UPDATE person SET visit = ? WHERE judge = ?", (visit, judge))
        _begin(connection, judge, session, first_state, now)
    return session


def judge_of(connection: sqlite3.Connection, session: str | None, now: float) -> sqlite3.Row | None:
    """Return the judge of a session that has not expired, and let it last."""
    if not session:
        return None
    found: sqlite3.Row | None = connection.execute(
        "SELECT j.* FROM session s JOIN judge j ON j.id = s.judge WHERE s.hash = ? AND s.expires > ?",
        (hashed(session), now),
    ).fetchone()
    if found is not None and (found["seen"] is None or now >= found["seen"] + NOTED):
        with transaction(connection):
            connection.execute("UPDATE session SET expires = ? WHERE hash = ?", (now + LASTS, hashed(session)))
            connection.execute("UPDATE judge SET seen = ? WHERE id = ?", (now, found["id"]))
    return found


def form_token(secret: bytes, session: str) -> str:
    """Return what a form of this session carries, so that no other page can send it."""
    return hmac.new(secret, session.encode(), hashlib.sha256).hexdigest()


def is_form_token(secret: bytes, session: str, token: str) -> bool:
    """Return whether a form came from one of our pages for this session."""
    return hmac.compare_digest(form_token(secret, session).encode(), token.encode())


class Rates:
    """At most `most` requests of one sender in `seconds`."""

    def __init__(self, most: int, seconds: float, clock: Callable[[], float] = time.monotonic) -> None:
        self._most, self._seconds, self._clock = most, seconds, clock
        self._times: dict[str, deque[float]] = defaultdict(deque)

    def allow(self, sender: str) -> bool:
        """Count a request, and return whether it may be answered."""
        now = self._clock()
        if len(self._times) > 10_000:  # senders of long ago
            for known in [each for each, times in self._times.items() if times[-1] <= now - self._seconds]:
                del self._times[known]
        times = self._times[sender]
        while times and times[0] <= now - self._seconds:
            times.popleft()
        if len(times) >= self._most:
            return False
        times.append(now)
        return True
