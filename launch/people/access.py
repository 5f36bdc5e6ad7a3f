"""Who may do what on the pages: links that are used up by consent, sessions, tokens against forged forms, and rates.

The database holds hashes of links and sessions alone, so nobody can enter with a copy of it.
"""

import hashlib
import hmac
import secrets
import sqlite3
import time
from collections import defaultdict, deque
from collections.abc import Callable

from rostrum.rewards.people.database import StudyError, transaction

SESSION = "session"
"""The cookie."""
LASTS = 14 * 24 * 3600.0
"""Seconds that a session lasts after the judge was last seen."""
NOTED = 60.0
"""Seconds after which it is noted again that a judge was seen: each note waits for the disk."""


def hashed(token: str) -> str:
    """Return what is kept of a token."""
    return hashlib.sha256(token.encode()).hexdigest()


def invite(connection: sqlite3.Connection, name: str | None = None, contact: str | None = None) -> str:
    """Add a judge and return the token of their link, which is not kept."""
    token = secrets.token_urlsafe(24)
    with transaction(connection):
        (number,) = connection.execute("SELECT coalesce(max(number) + 1, 0) FROM judge").fetchone()
        judge = f"judge-{secrets.token_hex(4)}"
        connection.execute("INSERT INTO judge (id, number, state) VALUES (?, ?, 'invited')", (judge, number))
        connection.execute("INSERT INTO person (judge, name, contact) VALUES (?, ?, ?)", (judge, name, contact))
        connection.execute("INSERT INTO link (hash, judge) VALUES (?, ?)", (hashed(token), judge))
    return token


def invited(connection: sqlite3.Connection, token: str) -> bool:
    """Return whether a link can still be used. Looking at it does not use it up: mail scanners open links."""
    found = connection.execute("SELECT 1 FROM link WHERE hash = ? AND used IS NULL", (hashed(token),)).fetchone()
    return found is not None


def consent(connection: sqlite3.Connection, token: str, first_state: str, now: float) -> str:
    """Take a link, which nobody can use again, and return the token of a new session.

    Raises:
        StudyError: it was used before, or there is no such link.
    """
    session = secrets.token_urlsafe(32)
    with transaction(connection):
        found = connection.execute(
            "UPDATE link SET used = ? WHERE hash = ? AND used IS NULL RETURNING judge", (now, hashed(token))
        ).fetchone()
        if found is None:
            raise StudyError("This link has been used, or there is no such link: ask for a new one.")
        judge = found["judge"]
        connection.execute(
            "UPDATE judge SET state = ?, joined = ? WHERE id = ? AND state = 'invited'", (first_state, now, judge)
        )
        connection.execute("INSERT INTO session VALUES (?, ?, ?)", (hashed(session), judge, now + LASTS))
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
    return hmac.compare_digest(form_token(secret, session), token)


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
