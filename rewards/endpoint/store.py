"""SQLite files that several processes share, and the sentence that is told where one of them cannot be used."""

import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

from rostrum.envs.files import checked

PATIENCE = 60.0
"""Seconds to wait for another process that writes."""
_HELD = (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED)
_CLOSED = (sqlite3.SQLITE_PERM, sqlite3.SQLITE_READONLY, sqlite3.SQLITE_CANTOPEN, sqlite3.SQLITE_AUTH)


class StoreError(ValueError):
    """A stored file that cannot be used; the message names it and says what to do."""


class Store:
    """One table in a SQLite file; `columns` are as in CREATE TABLE. None for the path keeps it in memory.

    `remedy` ends the sentence about a file that is damaged; `patience` is how long (seconds) another process may keep
    it. Every method raises `StoreError` where the file cannot be
    used.
    """

    def __init__(self, path: Path | None, table: str, columns: str, remedy: str, patience: float = PATIENCE) -> None:
        self._path, self._remedy, self._patience = path, remedy, patience
        with self._told():
            # A judge may be asked in another thread than it was made in, though never in two at a time.
            place = ":memory:" if path is None else checked(path)
            self._database = sqlite3.connect(place, timeout=patience, check_same_thread=False)
            with self._database:
                self._database.execute(f"CREATE TABLE IF NOT EXISTS {table} ({columns})")

    def first(self, query: str, values: Sequence[Any] = ()) -> tuple[Any, ...] | None:
        """Return the first row that a query finds, or None."""
        with self._told(), closing(self._database.execute(query, values)) as cursor:  # or it would keep others waiting
            found: tuple[Any, ...] | None = cursor.fetchone()
        return found

    def change(self, statement: str, values: Sequence[Any]) -> int:
        """Carry out a statement; return how many rows it changed. They are on the disk when this returns."""
        with self._told(), self._database:
            return self._database.execute(statement, values).rowcount

    def damaged(self, trouble: str) -> StoreError:
        """Return the error for a file that does not hold what was stored."""
        return StoreError(f"{self._path} cannot be read ({trouble}): {self._remedy}.")

    @contextmanager
    def _told(self) -> Iterator[None]:
        try:
            yield
        except sqlite3.DatabaseError as error:
            code = getattr(error, "sqlite_errorcode", sqlite3.SQLITE_ERROR) & 0xFF  # the rest is finer detail
            if code == sqlite3.SQLITE_FULL:
                raise StoreError(f"The disk is full ({self._path}): free some space.") from None
            if code in _HELD:
                raise StoreError(
                    f"Another process has kept {self._path} for {self._patience:g} seconds: wait for it, or stop it "
                    "first."
                ) from None
            if code in _CLOSED:
                raise StoreError(
                    f"{self._path} cannot be opened for writing ({error}): see to its permissions and to those of its "
                    "folder."
                ) from None
            raise self.damaged(str(error)) from None
