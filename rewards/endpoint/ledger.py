"""What a judge has cost a run, and the cap that it never exceeds.

A request is charged the most that it can cost before it is sent, and what it cost less is given back afterwards. So
the cap holds for requests that are under way at the same time and for several processes, and a process that is killed
leaves its last requests charged in full rather than not at all.
"""

import sqlite3
from contextlib import closing
from pathlib import Path

from envs.files import checked
from rewards.endpoint.replies import PATIENCE


class Ledger:
    """The dollars charged to one account. `path` is a file that outlives the process; None keeps it in memory."""

    def __init__(self, path: Path | None, account: str, cap: float | None) -> None:
        self._account, self._cap = account, cap
        self._database = sqlite3.connect(":memory:" if path is None else checked(path), timeout=PATIENCE)
        with self._database:
            self._database.execute("CREATE TABLE IF NOT EXISTS spent (account TEXT PRIMARY KEY, dollars REAL NOT NULL)")
            self._database.execute("INSERT OR IGNORE INTO spent VALUES (?, 0)", (account,))

    @property
    def spent(self) -> float:
        """Dollars charged so far, requests under way included."""
        with closing(self._database.cursor()) as cursor:
            found = cursor.execute("SELECT dollars FROM spent WHERE account = ?", (self._account,)).fetchone()
        return float(found[0])

    def charge(self, dollars: float) -> bool:
        """Charges so much if the cap leaves room for it; False, and nothing is charged, if it does not."""
        if not dollars:
            return True
        with self._database:
            done = self._database.execute(
                "UPDATE spent SET dollars = dollars + ? WHERE account = ? AND (? IS NULL OR dollars + ? <= ?)",
                (dollars, self._account, self._cap, dollars, self._cap),
            )
        return done.rowcount == 1

    def give_back(self, dollars: float) -> None:
        """Takes back so much of what was charged (or charges more, if it is negative)."""
        if dollars:
            with self._database:
                self._database.execute(
                    "UPDATE spent SET dollars = dollars - ? WHERE account = ?", (dollars, self._account)
                )
