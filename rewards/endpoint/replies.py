"""Replies kept on disk, so that what was asked once is never paid for again."""

import hashlib
import json
import sqlite3
from contextlib import closing
from pathlib import Path

from envs.files import checked
from rewards.endpoint.messages import Reply, Request
from rewards.endpoint.settings import Endpoint

PATIENCE = 60.0
"""Seconds to wait for another process that writes."""


class Replies:
    """A table of replies under the hash of all that was asked. Several processes may share it.

    It holds neither prompts nor keys.
    """

    def __init__(self, folder: Path, endpoint: Endpoint) -> None:
        self._address = [endpoint.base_url, endpoint.api]
        self._database = sqlite3.connect(checked(folder / "replies.sqlite"), timeout=PATIENCE)
        with closing(self._database.cursor()) as cursor:
            cursor.execute("CREATE TABLE IF NOT EXISTS replies (key TEXT PRIMARY KEY, reply TEXT NOT NULL)")

    def get(self, request: Request) -> Reply | None:
        """What was answered to the same request before."""
        with closing(self._database.cursor()) as cursor:
            found = cursor.execute("SELECT reply FROM replies WHERE key = ?", (self._key(request),)).fetchone()
        return None if found is None else Reply.loads(found[0])

    def keep(self, request: Request, reply: Reply) -> None:
        """Keeps the reply; it is on the disk when this returns."""
        with self._database:
            self._database.execute("INSERT OR REPLACE INTO replies VALUES (?, ?)", (self._key(request), reply.dumps()))

    def _key(self, request: Request) -> str:
        asked = json.dumps([*self._address, dict(request.body), request.draw], sort_keys=True)
        return hashlib.sha256(asked.encode()).hexdigest()
