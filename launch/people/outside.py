"""People whom a recruiting site sends: who they are by the address, and what the site's signed events say of them.

The scheme is Prolific's (docs.prolific.com/api-reference/webhooks): `X-Prolific-Request-Signature` is base64 of
HMAC-SHA256 over time stamp and body, `X-Prolific-Request-Timestamp` is the stamp in seconds, `X-Event-ID` stays the
same when an event is sent again, and events come in any order, with `X-Timestamp` to tell it.
"""

import base64
import hashlib
import hmac
import json
import math
import os
import re
import sqlite3
import stat
from collections.abc import Mapping
from typing import Literal

from rostrum.launch.people.access import hashed
from rostrum.launch.people.wording import WORDS
from rostrum.rewards.people.database import StudyError, transaction
from rostrum.trainer.config.people import Outside

SIGNATURE, STAMP = "X-Prolific-Request-Signature", "X-Prolific-Request-Timestamp"
EVENT, SENT = "X-Event-ID", "X-Timestamp"
VARIABLE = "ROSTRUM_PEOPLE_SECRET"
GONE = ("RETURNED", "TIMED-OUT")
"""What becomes of a visit that frees its judge's debate."""
_ID = re.compile("[A-Za-z0-9_-]{1,64}")


def visitor(parameters: Mapping[str, str], outside: Outside) -> tuple[str, str] | None:
    """Return who comes and on which visit; None of an address that is not whole or of another study."""
    who, visit = parameters.get(outside.person, ""), parameters.get(outside.session, "")
    if not _ID.fullmatch(who) or not _ID.fullmatch(visit):
        return None
    if outside.study_id and parameters.get(outside.study) != outside.study_id:
        return None
    return who, visit


def secret_of(outside: Outside) -> bytes | None:
    """Return the secret of the site's events, from its file or the variable ROSTRUM_PEOPLE_SECRET; None: no events.

    Raises:
        StudyError: the file cannot be read, is empty, or can be read by others than its owner.
    """
    if outside.secret is None:
        return os.environ.get(VARIABLE, "").strip().encode() or None
    try:
        mode, found = outside.secret.stat().st_mode, outside.secret.read_bytes().strip()
    except OSError as error:
        raise StudyError(f"{outside.secret} cannot be read ({error.strerror}): see people.outside.secret.") from None
    if stat.S_IMODE(mode) & 0o077:
        raise StudyError(f"{outside.secret} can be read by others: take their rights away with chmod 600.")
    if not found:
        raise StudyError(f"{outside.secret} is empty: put the secret of the site's events into it.")
    return found


def is_genuine(secret: bytes, headers: Mapping[str, str], body: bytes, now: float, tolerance: float) -> bool:
    """Return whether an event was signed with the secret, and lately."""
    stamp = headers.get(STAMP, "")
    expected = base64.b64encode(hmac.new(secret, stamp.encode() + body, hashlib.sha256).digest())
    if not hmac.compare_digest(expected, headers.get(SIGNATURE, "").encode()):
        return False
    seconds = _seconds(stamp)
    return seconds is not None and abs(now - seconds) <= tolerance


def take_event(
    db: sqlite3.Connection, headers: Mapping[str, str], body: bytes, now: float
) -> Literal["taken", "known", "ignored"]:
    """Carry out a genuine event, once: who returned a visit, or whose time was up, is let go, and the debate put back.

    Events of other visits, which may be of the site's other studies, and events older than one that was dealt with
    change nothing.

    Raises:
        StudyError: it is no event.
    """
    try:
        event = json.loads(body)
        kind, visit, status = (event.get(key) for key in ("event_type", "resource_id", "status"))
    except (ValueError, AttributeError, RecursionError):
        raise StudyError("This is no event.") from None
    sent = _seconds(headers.get(SENT, "")) or _seconds(headers.get(STAMP, "")) or now
    keys = {hashed(f"signature:{headers.get(SIGNATURE, '')}")}  # signed as it stands: the header with the id is not
    if headers.get(EVENT):
        keys.add(hashed(f"event:{headers[EVENT]}"))
    with transaction(db):
        if any(db.execute("SELECT 1 FROM webhook WHERE event = ?", (key,)).fetchone() for key in keys):
            return "known"
        db.executemany("INSERT INTO webhook VALUES (?, ?)", [(key, now) for key in keys])
        if kind != "submission.status.change" or not isinstance(visit, str):
            return "ignored"
        person = db.execute("SELECT judge, event FROM person WHERE visit = ?", (visit,)).fetchone()
        if person is None or (person["event"] is not None and sent < person["event"]):
            return "ignored"
        judge = person["judge"]
        db.execute("UPDATE person SET event = ? WHERE judge = ?", (sent, judge))
        if status not in GONE:
            return "taken"
        db.execute("UPDATE place SET state = 'returned' WHERE state = 'open' AND judge = ?", (judge,))
        db.execute(
            "UPDATE judge SET state = 'left', reason = ? WHERE id = ? AND state NOT IN ('finished', 'stopped', 'left')",
            (WORDS["outside_returned"], judge),
        )
        return "taken"


def _seconds(stamp: str) -> float | None:
    """Return a time stamp in seconds; one in milliseconds, as some send, is told by its size."""
    try:
        found = float(stamp)
    except ValueError:
        return None
    if not math.isfinite(found):
        return None
    return found / 1000 if found > 1e11 else found
