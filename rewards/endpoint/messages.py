"""What is sent to an endpoint and what it answers, for both of its interfaces (chat and completions)."""

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from rostrum.rewards.endpoint.config import Endpoint

_ROUNDING = 1e-2
MOST = 10**12
"""More tokens than any answer has."""


class NotAReply(ValueError):
    """An answer with status 200 that is no reply of the protocol's."""


@dataclass(frozen=True, slots=True)
class Reply:
    """What we read of an answer, and keep."""

    texts: tuple[str, ...]
    """One per sample, empty where there was no text."""
    listed: tuple[tuple[str, float], ...] = ()
    """The likeliest first tokens of the first sample with their log-probabilities (nats), as far as they were given."""
    token_logprobs: tuple[float | None, ...] = ()
    """Of the first sample's tokens, after those of the prompt if it was to be echoed; the very first has none."""
    prompt_tokens: int | None = None
    """As the server counted them; None if it did not say."""
    new_tokens: int | None = None
    finish: str = ""
    """Why the first sample ended, in the server's words: "stop", "length", "content_filter", …"""

    def dumps(self) -> str:
        """Return it as JSON."""
        about = [self.prompt_tokens, self.new_tokens, self.finish]
        return json.dumps([self.texts, self.listed, self.token_logprobs, *about])

    @staticmethod
    def loads(text: str) -> "Reply":
        """Return what `dumps` was given; replies that were kept before `finish` was have none.

        Raises:
            NotAReply: it is something else.
        """
        try:
            texts, listed, token_logprobs, *about = json.loads(text)
            kept = Reply(tuple(texts), tuple((token, value) for token, value in listed), tuple(token_logprobs), *about)
        except (ValueError, TypeError, RecursionError):
            raise NotAReply("what was kept is no reply") from None
        if not kept._is_one():
            raise NotAReply("what was kept is no reply")
        return kept

    def _is_one(self) -> bool:
        """Return whether everything is of its kind."""
        words = [self.finish, *self.texts, *(token for token, _ in self.listed)]
        values = [*(value for _, value in self.listed), *(value for value in self.token_logprobs if value is not None)]
        counts = [count for count in (self.prompt_tokens, self.new_tokens) if count is not None]
        return (
            all(isinstance(word, str) for word in words)
            and all(isinstance(value, float) for value in values)
            and all(_is_count(count) for count in counts)
        )


@dataclass(frozen=True, slots=True)
class Request:
    """One request, its body as it is sent. `draw` tells samples apart that are otherwise asked for alike."""

    body: Mapping[str, Any]
    draw: str = ""

    @property
    def most_new_tokens(self) -> int:
        """The most tokens that the answer can have."""
        return int(self.body.get("max_completion_tokens") or self.body["max_tokens"]) * int(self.body.get("n", 1))

    @property
    def characters(self) -> int:
        """Of the prompt."""
        return len(_text(self.body))

    @property
    def bytes(self) -> int:
        """Of the prompt in UTF-8: the most tokens that any tokenizer makes of it."""
        return len(_text(self.body).encode("utf-8", "surrogatepass"))


def _text(body: Mapping[str, Any]) -> str:
    return str(body["messages"][0]["content"] if "messages" in body else body["prompt"])


def request(
    endpoint: Endpoint,
    model: str,
    prompt: str,
    max_tokens: int,
    temperature: float,
    *,
    top: int = 0,
    samples: int = 1,
    seed: int | None = None,
    draw: str = "",
    echo: bool = False,
) -> Request:
    """Return a request for `samples` replies to the prompt, with the log-probabilities of the `top` likeliest first
    tokens.

    `echo` (completions only) asks for the log-probabilities of the prompt's own tokens as well.
    """
    body: dict[str, Any] = {"model": model, "max_tokens": max_tokens, "temperature": temperature}
    if endpoint.api == "chat":
        body["messages"] = [{"role": "user", "content": prompt.strip()}]
    else:
        body["prompt"] = prompt
    if top:
        body |= {"logprobs": True, "top_logprobs": top} if endpoint.api == "chat" else {"logprobs": top}
    if echo:
        body |= {"logprobs": 1, "echo": True}
    if samples > 1:
        body["n"] = samples
    if seed is not None:
        body["seed"] = seed
    return Request({key: value for key, value in {**body, **endpoint.body}.items() if value is not None}, draw)


def path(endpoint: Endpoint) -> str:
    """Return the address that requests are sent to."""
    return f"{endpoint.base_url.rstrip('/')}/{'chat/completions' if endpoint.api == 'chat' else 'completions'}"


def read(endpoint: Endpoint, text: str) -> Reply:
    """Return the reply in an answer's text.

    Raises:
        NotAReply: it is none.
    """
    try:
        answer = json.loads(text)
        choices = answer["choices"]
        logprobs, usage = choices[0].get("logprobs") or {}, answer.get("usage") or {}
        return Reply(
            tuple(_said(endpoint, choice) for choice in choices),
            tuple(_listed(logprobs)),
            tuple(None if value is None else float(value) for value in logprobs.get("token_logprobs") or ()),
            _count(usage, "prompt_tokens"),
            _count(usage, "completion_tokens"),
            str(choices[0].get("finish_reason") or ""),
        )
    except (ValueError, TypeError, KeyError, IndexError, AttributeError, RecursionError):
        raise NotAReply("the endpoint's answer is not in the form of OpenAI's") from None


def _said(endpoint: Endpoint, choice: Mapping[str, Any]) -> str:
    """Return the text of a choice. A model that only thought, or refused, sends none: that is an empty one."""
    said = (choice["message"] or {}).get("content") if endpoint.api == "chat" else choice.get("text")
    if isinstance(said, list):
        said = "".join(map(_part, said))
    if not isinstance(said, str | None):
        raise NotAReply
    return said or ""


def _part(part: Any) -> str:
    """Return the text of a part of a message; nothing where the part is a thought or a picture."""
    if isinstance(part, str):
        return part
    return str(part.get("text") or "") if part.get("type", "text") in ("text", "output_text") else ""


def _listed(logprobs: Mapping[str, Any]) -> list[tuple[str, float]]:
    """Return the likeliest first tokens in either interface's form: some servers answer chats in that of completions.

    Entries without a number, which some servers send for probability 0, are left out. A positive number is no
    log-probability.
    """
    if entries := logprobs.get("content"):
        first = [(_token(entry), entry["logprob"]) for entry in entries[0].get("top_logprobs") or []]
    else:
        first = list(((logprobs.get("top_logprobs") or [{}])[0] or {}).items())
    known = [(str(token), float(value)) for token, value in first if value is not None and math.isfinite(value)]
    if any(value > _ROUNDING for _, value in known):
        raise NotAReply
    return known


def _token(entry: Mapping[str, Any]) -> str:
    """Return what a token spells: its bytes where they are given and whole, for its name may be written otherwise."""
    given = entry.get("bytes")
    try:
        return bytes(given).decode() if isinstance(given, list) and given else str(entry["token"])
    except ValueError:  # a part of a letter
        return str(entry["token"])


def _count(usage: Mapping[str, Any], name: str) -> int | None:
    value = usage.get(name)
    return value if _is_count(value) else None


def _is_count(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and 0 <= value <= MOST


def estimated_tokens(characters: int) -> int:
    """Return about how many tokens a text has where nobody has counted them: a quarter of its characters, rounded
    up."""
    return -(-characters // 4)
