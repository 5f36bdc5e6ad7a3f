"""What is sent to an endpoint and what it answers, for both of its interfaces (chat and completions)."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from rewards.endpoint.settings import Endpoint


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

    def dumps(self) -> str:
        """JSON."""
        return json.dumps([self.texts, self.listed, self.token_logprobs, self.prompt_tokens, self.new_tokens])

    @staticmethod
    def loads(text: str) -> "Reply":
        """The reverse of `dumps`."""
        texts, listed, token_logprobs, *counts = json.loads(text)
        return Reply(tuple(texts), tuple((token, value) for token, value in listed), tuple(token_logprobs), *counts)


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
    endpoint: Endpoint, model: str, prompt: str, max_tokens: int, temperature: float, *, top: int = 0, samples: int = 1,
    seed: int | None = None, draw: str = "", echo: bool = False,
) -> Request:  # fmt: skip
    """A request for `samples` replies to the prompt, with the log-probabilities of the `top` likeliest first tokens.

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
    """The address that requests are sent to."""
    return f"{endpoint.base_url.rstrip('/')}/{'chat/completions' if endpoint.api == 'chat' else 'completions'}"


def read(endpoint: Endpoint, text: str) -> Reply:
    """The reply in an answer's text.

    Raises:
        NotAReply: it is none.
    """
    try:
        answer = json.loads(text)
        choices = answer["choices"]
        logprobs, usage = choices[0].get("logprobs") or {}, answer.get("usage") or {}
        return Reply(
            tuple(_said(endpoint, choice) for choice in choices), tuple(_listed(endpoint, logprobs)),
            tuple(None if value is None else float(value) for value in logprobs.get("token_logprobs") or ()),
            _count(usage, "prompt_tokens"), _count(usage, "completion_tokens"),
        )  # fmt: skip
    except (ValueError, TypeError, KeyError, IndexError, AttributeError):
        raise NotAReply("the endpoint's answer is not in the form of OpenAI's") from None


def _said(endpoint: Endpoint, choice: Mapping[str, Any]) -> str:
    said = choice["message"]["content"] if endpoint.api == "chat" else choice["text"]
    if not isinstance(said, str | None):
        raise NotAReply
    return said or ""


def _listed(endpoint: Endpoint, logprobs: Mapping[str, Any]) -> list[tuple[str, float]]:
    if endpoint.api == "chat":
        first = (logprobs.get("content") or [{}])[0]
        return [(str(entry["token"]), float(entry["logprob"])) for entry in first.get("top_logprobs") or []]
    first = (logprobs.get("top_logprobs") or [{}])[0] or {}
    return [(str(token), float(value)) for token, value in first.items()]


def _count(usage: Mapping[str, Any], name: str) -> int | None:
    value = usage.get(name)
    return value if isinstance(value, int) and not isinstance(value, bool) and value >= 0 else None


def estimated_tokens(characters: int) -> int:
    """About how many tokens a text has, where nobody has counted them: a quarter of its characters, rounded up."""
    return -(-characters // 4)
