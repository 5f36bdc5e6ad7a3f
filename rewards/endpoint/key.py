"""The key of an endpoint: where it comes from, and how it is kept out of everything that is written."""

import os
import re

from rostrum.rewards.endpoint.config import Endpoint, EndpointError

HIDDEN = "[key]"
_WORD = re.compile(r"[^\s\"'<>(){}\[\],;]+")
_PIECE = 6
"""A word that has so many characters on end in common with the key is taken for a part of it."""


class Key:
    """A key that shows in no representation of itself."""

    def __init__(self, variable: str | None, value: str) -> None:
        self._variable, self._value = variable, value

    @property
    def headers(self) -> dict[str, str]:
        """What a request says to identify itself; nothing if there is no key."""
        return {"Authorization": f"Bearer {self._value}"} if self._value else {}

    def hide(self, text: str) -> str:
        """Return the text without the key."""
        return text.replace(self._value, HIDDEN) if self._value else text

    def hide_pieces(self, text: str) -> str:
        """Return the text without the key, and without words that hold a part of it or asterisks (as abbreviated keys
        do)."""
        pieces = {self._value[i : i + _PIECE] for i in range(len(self._value) - _PIECE + 1)}
        return _WORD.sub(lambda word: HIDDEN if _shows(word[0], pieces) else word[0], self.hide(text))

    def __repr__(self) -> str:
        return f"Key(from {self._variable})"


def _shows(word: str, pieces: set[str]) -> bool:
    return "**" in word or any(piece in word for piece in pieces)


def key_of(endpoint: Endpoint) -> Key:
    """Return the key from the environment, empty if its variable is not set.

    Raises:
        EndpointError: it cannot be sent.
    """
    value = os.environ.get(endpoint.key_variable, "").strip() if endpoint.key_variable else ""
    if not (value.isascii() and value.isprintable()) or " " in value:
        raise EndpointError(
            f"The environment variable {endpoint.key_variable} holds no key: it has characters that no key has."
        )
    return Key(endpoint.key_variable, value)
