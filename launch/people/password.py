"""The password of the researcher's pages, of which the study keeps an argon2 hash."""

import sqlite3

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError

from rostrum.rewards.people import controls
from rostrum.rewards.people.database import StudyError

SHORTEST = 12
"""Characters."""
LONGEST = 1_000
KEY = "password"


def keep(connection: sqlite3.Connection, password: str) -> None:
    """Keep the hash of a new password; who is logged in with the old one no longer is.

    Raises:
        StudyError: it is too short, or too long.
    """
    if not SHORTEST <= len(password) <= LONGEST:
        raise StudyError(f"The password has {len(password)} characters: give one of {SHORTEST} to {LONGEST}.")
    controls.put(connection, KEY, PasswordHasher().hash(password))


def kept(connection: sqlite3.Connection) -> str | None:
    """Return the hash, None if no password was set."""
    return controls.setting(connection, KEY)


def is_right(connection: sqlite3.Connection, password: str) -> bool:
    """Return whether this is the password."""
    found = kept(connection)
    try:
        return found is not None and PasswordHasher().verify(found, password[:LONGEST])
    except (VerificationError, InvalidHashError):
        return False
