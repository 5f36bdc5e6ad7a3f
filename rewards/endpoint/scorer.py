"""A judge's language model behind an endpoint."""

import asyncio
import hashlib
import math
from collections import Counter
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

from rostrum.rewards.endpoint.choices import from_listed, from_samples
from rostrum.rewards.endpoint.client import Client
from rostrum.rewards.endpoint.config import Endpoint, EndpointError
from rostrum.rewards.endpoint.key import key_of
from rostrum.rewards.endpoint.ledger import Ledger
from rostrum.rewards.endpoint.messages import Reply, Request, request
from rostrum.rewards.endpoint.replies import Replies
from rostrum.rewards.types import Cause, Unscored, Usage, Writing

TOPS = (20, 5)
"""How many of the likeliest tokens are asked for: the most that servers usually list, and what older interfaces do."""
PROBE = "Which of the letters A and B comes first in the alphabet? Reply with the letter and nothing else."
LEDGER = "spending.sqlite"
T = TypeVar("T")
LETTERS = ("A", "B")
SPOKEN = 0.5
"""Share of the sampled answers to the probe that must be one of the letters."""
Scores = tuple[float, ...] | Unscored


@dataclass(frozen=True, slots=True)
class Way:
    """How choices are read from a server."""

    top: int
    """Likeliest tokens that it lists with their log-probabilities; 0: none, so that samples are counted."""
    at_once: int
    """Samples that it gives for one request."""
    probe: Scores
    """What it answered to `PROBE`."""


class EndpointScorer:
    """A `Scorer` that asks an endpoint. `account` is the name under which `ledger` (a file, or none) counts the cost.

    Choices are read from the log-probabilities of the first token of the reply or, where the server gives none, from
    samples; `say` is told which, once.
    """

    def __init__(
        self,
        endpoint: Endpoint,
        model: str,
        account: str,
        ledger: Path | None = None,
        say: Callable[[str], None] = lambda text: None,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        self._endpoint, self._model, self._name, self._say = endpoint, model, account, say
        replies = None if endpoint.cache is None else Replies(endpoint.cache, endpoint)
        cost = Ledger(ledger, account, endpoint.spend_cap)
        self._client = Client(endpoint, key_of(endpoint), cost, replies, sleep)
        self._way: Way | None = None

    @property
    def usage(self) -> Usage:
        """What was asked of the endpoint so far; what was found in the cache is counted as such."""
        return self._client.usage

    def check(self, least: float | None = 0.0) -> Way:
        """Ask the server which of two letters comes first, whatever is in the cache, and read the answer.

        `least` is the probability that the two letters must hold together; None does not read the answer, which is for
        judges that are not asked for letters.

        Raises:
            EndpointError: it gives no reply, or not the right one and the endpoint's `probe` is "refuse".
        """
        (way,) = self._client.together([partial(self._find_way, anew=True)])
        if isinstance(way, Unscored):
            raise EndpointError(
                f"The endpoint {self._endpoint.base_url} cannot be used ({way.reason}): {_remedy(way.reason)}."
            )
        if least is not None and (problem := _misread(way, least)):
            self._misunderstood(problem)
        return way

    def _misunderstood(self, problem: str) -> None:
        said = f"{self._endpoint.base_url} was asked which of the letters A and B comes first, and {problem}"
        if self._endpoint.probe == "warn":
            self._say(f"{self._name}: {said}")
            return
        raise EndpointError(
            f"The endpoint {said}, so its verdicts would mean nothing: take another judge.model, turn its thinking off "
            "(endpoint.body={chat_template_kwargs: {enable_thinking: false}}), or set endpoint.probe=warn for a judge "
            "that was taught to read debates alone."
        )

    def check_echo(self) -> None:
        """Ask the server for the log-probabilities of a text that it is given, whatever is in the cache.

        Raises:
            EndpointError: it does not give them.
        """
        (reply,) = self._client.together([partial(self._client.ask, self._request(PROBE, 1, 0, echo=True), True)])
        if not isinstance(reply, Reply) or not _of_the_end(reply, 1):
            raise EndpointError(
                f"The endpoint {self._endpoint.base_url} does not give the log-probabilities of texts that it is sent: "
                "set the judge's choice=letter."
            )

    def choice_logprobs(self, prompts: Sequence[str], choices: Sequence[tuple[str, ...]]) -> list[Scores]:
        """Return the log-probability (nats) of each choice as the reply to its prompt: letters as its first token,
        longer choices as the sum over their tokens, which takes a server that echoes running text.

        Raises:
            EndpointError: the endpoint cannot score longer choices, or it answers nobody.
        """
        asked = list(dict.fromkeys(zip(prompts, choices, strict=True)))
        read = self._scores
        if any(len(choice) != 1 for _, alternatives in asked for choice in alternatives):
            if self._endpoint.api == "chat":
                raise EndpointError("A chat interface gives log-probabilities of single tokens: set choice=letter.")
            read = self._echoed
        elif self._way is None and asked:
            (way,) = self._client.together([self._find_way])
            if isinstance(way, Unscored):
                return [way] * len(prompts)
            self._way = way
            self._say(f"{self._name}: {self._in_words(way)}")
        scores = self._client.together([partial(read, *pair) for pair in asked])
        found = dict(zip(asked, scores, strict=True))
        return [found[pair] for pair in zip(prompts, choices, strict=True)]

    def write(self, prompts: Sequence[str], writing: Writing) -> list[str | Unscored]:
        """Return a text for each prompt. Copies of a prompt are sampled apart."""
        copies, jobs = Counter[str](), list[Callable[[], Awaitable[str | Unscored]]]()
        for prompt in prompts:
            jobs.append(partial(self._text, prompt, writing, copies[prompt]))
            copies[prompt] += writing.temperature > 0
        return self._client.together(jobs)

    async def _find_way(self, anew: bool = False) -> Way | Unscored:
        """Ask for log-probabilities of fewer and fewer tokens, then for samples, until the server complies."""
        for top in TOPS if self._endpoint.logprobs == "auto" else ():
            reply = await self._client.ask(self._letter(PROBE, top), anew)
            if isinstance(reply, Unscored):
                return reply
            if isinstance(reply, Reply) and len(reply.listed) > 1:
                return Way(top, 1, from_listed(reply.listed, LETTERS))
        for at_once in sorted({self._endpoint.samples, 1}, reverse=True):
            reply = await self._client.ask(self._sample(PROBE, at_once, 0), anew)
            if isinstance(reply, Reply) and len(reply.texts) == at_once:
                return Way(0, at_once, _ended(from_samples(reply.texts, LETTERS, at_once), [reply]))
        return Unscored(reply.reason if not isinstance(reply, Reply) else "it gave no sample")

    def _in_words(self, way: Way) -> str:
        if way.top:
            return f"{self._endpoint.base_url} gives log-probabilities: read from its {way.top} likeliest first tokens"
        return f"{self._endpoint.base_url} gives no log-probabilities: each reading is {self._endpoint.samples} samples"

    async def _scores(self, prompt: str, choices: tuple[str, ...]) -> Scores:
        assert self._way is not None
        if not self._way.top:
            return await self._sampled(prompt, choices, self._way.at_once)
        reply = await self._client.ask(self._letter(prompt, self._way.top))
        if not isinstance(reply, Reply):
            return Unscored(reply.reason, reply.cause)
        if not reply.listed:
            cause: Cause = "failure" if any(reply.texts) else "speech"
            return _ended(Unscored("the endpoint gave no log-probabilities", cause), [reply])
        return from_listed(reply.listed, choices)

    async def _echoed(self, prompt: str, choices: tuple[str, ...]) -> Scores:
        """Ask for the prompt alone and with each choice: the former tells how many of the tokens are the prompt's."""
        requests = [self._request(prompt, 1, 0), *(self._request(f"{prompt} {c}", 1, 0, echo=True) for c in choices)]
        replies = await asyncio.gather(*map(self._client.ask, requests))
        for reply in replies:
            if not isinstance(reply, Reply):
                return Unscored(reply.reason, reply.cause)
        alone, *whole = [reply for reply in replies if isinstance(reply, Reply)]
        found = [_of_the_end(reply, alone.prompt_tokens) for reply in whole]
        if not all(found):
            return Unscored("the endpoint gave no log-probabilities of the answers")
        return tuple(sum(values) for values in found)

    async def _sampled(self, prompt: str, choices: tuple[str, ...], at_once: int) -> Scores:
        wanted = self._endpoint.samples
        asked = [self._client.ask(self._sample(prompt, at_once, draw)) for draw in range(wanted // at_once)]
        replies = await asyncio.gather(*asked)
        for reply in replies:
            if not isinstance(reply, Reply):
                return Unscored(reply.reason, reply.cause)
        given = [reply for reply in replies if isinstance(reply, Reply)]
        return _ended(from_samples([text for reply in given for text in reply.texts], choices, wanted), given)

    async def _text(self, prompt: str, writing: Writing, copy: int) -> str | Unscored:
        drawn = {"seed": _seed(writing.seed, copy), "draw": f"{writing.seed}:{copy}"} if writing.temperature else {}
        reply = await self._client.ask(self._request(prompt, writing.max_tokens, writing.temperature, **drawn))
        if not isinstance(reply, Reply):
            return Unscored(reply.reason, reply.cause)
        return reply.texts[0].strip() or _ended(Unscored("the endpoint's reply has no text", "speech"), [reply])

    def _letter(self, prompt: str, top: int) -> Request:
        return self._request(prompt, 1, 0, top=top)

    def _sample(self, prompt: str, samples: int, draw: int) -> Request:
        tokens = self._endpoint.sample_tokens
        return self._request(prompt, tokens, 1, samples=samples, seed=_seed(0, draw), draw=f"0:{draw}")

    def _request(self, prompt: str, max_tokens: int, temperature: float, **more: Any) -> Request:
        return request(self._endpoint, self._model, prompt, max_tokens, temperature, **more)


def _ended(scores: T | Unscored, replies: Sequence[Reply]) -> T | Unscored:
    """Return the scores; where there are none because every reply is empty, say why they ended."""
    if not isinstance(scores, Unscored) or any(text.strip() for reply in replies for text in reply.texts):
        return scores
    reasons = ", ".join(sorted({reply.finish for reply in replies if reply.finish})) or "unknown"
    return Unscored(f"{scores.reason} (empty, finish reason: {reasons})", scores.cause)


def _misread(way: Way, least: float) -> str:
    """Return what is wrong with the answer to the probe; empty if nothing is. A tie is not wrong."""
    if isinstance(way.probe, Unscored):
        return f"{way.probe.reason} in its answer"
    of_a, of_b = way.probe
    mass = math.exp(of_a) + math.exp(of_b)
    if mass < (least if way.top else SPOKEN):
        return f"A and B hold only {mass:.2g} of the probability of its answer"
    return "it answered B" if of_b > of_a else ""


def _remedy(reason: str) -> str:
    if "max_completion_tokens" in reason:
        return "set endpoint.body={max_tokens: null, max_completion_tokens: NUMBER}"
    return "check that the server runs, and endpoint.base_url, endpoint.api and judge.model"


def _of_the_end(reply: Reply, start: int | None) -> list[float]:
    """Return the log-probabilities of an echoed prompt's tokens from `start` on; none if the server did not give and
    count all."""
    end = reply.prompt_tokens
    if start is None or end is None or not start < end <= len(reply.token_logprobs):
        return []
    values = [value for value in reply.token_logprobs[start:end] if value is not None]
    return values if len(values) == end - start else []


def _seed(seed: int, draw: int) -> int:
    """Return a seed for one of several samples; 31 bits, as every server takes them."""
    return int.from_bytes(hashlib.sha256(f"{seed}:{draw}".encode()).digest()[:4], "big") >> 1
