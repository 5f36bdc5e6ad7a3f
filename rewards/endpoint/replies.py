"""Replies kept on disk, so that what was asked once is never paid for again."""

import hashlib
import json
from pathlib import Path

from rostrum.rewards.endpoint.config import Endpoint
from rostrum.rewards.endpoint.messages import NotAReply, Reply, Request
from rostrum.rewards.endpoint.store import Store

REMEDY = "restore it from a copy, or remove it to have everything asked and paid for again"


class Replies:
    """A table of replies under the hash of all that was asked. Several processes may share it.

    It holds neither prompts nor keys.
    """

    def __init__(self, folder: Path, endpoint: Endpoint) -> None:
        self._address = [endpoint.base_url, endpoint.api]
        self._store = Store(folder / "replies.sqlite", "replies", "key TEXT PRIMARY KEY, reply TEXT NOT NULL", REMEDY)
        self._store.first("SELECT key, reply FROM replies")  # a damaged file is found before anything is paid for

    def get(self, request: Request) -> Reply | None:
        """Return what was answered to the same request before.

        Raises:
            StoreError: what was kept is no reply.
        """
        found = self._store.first("SELECT reply FROM replies WHERE key = ?", (self._key(request),))
        try:
            return None if found is None else Reply.loads(found[0])
        except NotAReply as error:
            raise self._store.damaged(str(error)) from None

    def keep(self, request: Request, reply: Reply) -> None:
        """Keep the reply; it is on the disk when this returns."""
        self._store.change("INSERT OR REPLACE INTO replies VALUES (?, ?)", (self._key(request), reply.dumps()))

    def _key(self, request: Request) -> str:
        asked = json.dumps([*self._address, dict(request.body), request.draw], sort_keys=True)
        return hashlib.sha256(asked.encode()).hexdigest()
