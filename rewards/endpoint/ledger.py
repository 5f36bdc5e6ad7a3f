"""What a judge has cost a run, and the cap that it never exceeds.

A request is charged the most that it can cost before it is sent, and what it cost less is given back afterwards. So
the cap holds for requests that are under way at the same time and for several processes, and a process that is killed
leaves its last requests charged in full rather than not at all.
"""

import math
from pathlib import Path

from rostrum.rewards.endpoint.store import Store

REMEDY = "restore it from a copy, or remove it to count what this run has spent from nothing"


class Ledger:
    """The dollars charged to one account. `path` is a file that outlives the process; None keeps it in memory."""

    def __init__(self, path: Path | None, account: str, cap: float | None) -> None:
        self._account, self._cap = account, cap
        self._store = Store(path, "spent", "account TEXT PRIMARY KEY, dollars REAL NOT NULL", REMEDY)
        self._store.change("INSERT OR IGNORE INTO spent VALUES (?, 0)", (account,))
        _ = self.spent  # a damaged file is found before anything is paid for

    @property
    def spent(self) -> float:
        """Dollars charged so far, requests under way included.

        Raises:
            StoreError: the file does not say.
        """
        found = self._store.first("SELECT dollars FROM spent WHERE account = ?", (self._account,))
        if found is None or not isinstance(found[0], float) or not math.isfinite(found[0]):
            raise self._store.damaged(f"what {self._account} has spent is no number")
        return found[0]

    def charge(self, dollars: float) -> bool:
        """Charge so much if the cap leaves room for it, and return True; else charge nothing and return False."""
        if not dollars:
            return True
        done = self._store.change(
            "UPDATE spent SET dollars = dollars + ? WHERE account = ? AND (? IS NULL OR dollars + ? <= ?)",
            (dollars, self._account, self._cap, dollars, self._cap),
        )
        return done == 1

    def give_back(self, dollars: float) -> None:
        """Take back so much of what was charged, or charge more if it is negative."""
        if dollars:
            self._store.change("UPDATE spent SET dollars = dollars - ? WHERE account = ?", (dollars, self._account))
