"""Requests over HTTP: several at a time, each kept, paid for within the cap, and repeated if it failed for now."""

import asyncio
import random
import ssl
from collections.abc import Awaitable, Callable, Sequence
from functools import cache
from typing import TypeVar, cast

import httpx2

from rostrum.rewards.endpoint import messages
from rostrum.rewards.endpoint.answers import Later, Refused, read_answer
from rostrum.rewards.endpoint.config import Endpoint, EndpointError
from rostrum.rewards.endpoint.key import Key
from rostrum.rewards.endpoint.ledger import Ledger
from rostrum.rewards.endpoint.messages import Reply, Request
from rostrum.rewards.endpoint.replies import Replies
from rostrum.rewards.types import Unscored, Usage

T = TypeVar("T")
FIRST_WAIT, LONGEST_WAIT = 0.5, 120.0
"""Seconds between attempts: the first, which is then doubled, and the most, also where the server asks for more."""
TEMPLATE = 1024
"""Tokens that a chat template may add to a prompt, for the worst case that is estimated before a request is sent."""


class SpendCapReached(EndpointError):
    """The next request could cost more than is left."""


class Client:
    """Sends requests to one endpoint. `usage` is what they have cost so far."""

    def __init__(
        self,
        endpoint: Endpoint,
        key: Key,
        ledger: Ledger,
        replies: Replies | None,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        self._endpoint, self._key, self._ledger, self._replies = endpoint, key, ledger, replies
        self._sleep, self._draw = sleep, random.Random()
        self.usage = Usage()

    def together(self, jobs: Sequence[Callable[[], Awaitable[T]]]) -> list[T]:
        """Run jobs that call `ask`, and return their results in order.

        When one of them meets an error that concerns all, requests that are under way are finished (and kept), others
        are not sent, and the error is raised.
        """
        return asyncio.run(self._together(jobs))

    async def _together(self, jobs: Sequence[Callable[[], Awaitable[T]]]) -> list[T]:
        self._slots, self._settled = asyncio.Semaphore(self._endpoint.concurrency), asyncio.Condition()
        self._under_way, self._fatal = 0, cast("EndpointError | None", None)
        headers, certificates = self._key.headers, _certificates()
        async with httpx2.AsyncClient(headers=headers, verify=certificates, timeout=None) as self._http:
            done = await asyncio.gather(*(job() for job in jobs), return_exceptions=True)
        for result in done:
            if isinstance(result, BaseException):
                raise result
        return [result for result in done if not isinstance(result, BaseException)]

    async def ask(self, request: Request, anew: bool = False) -> Reply | Refused | Unscored:
        """Return the reply, or why there is none. `anew` asks the server even if its reply is known.

        Raises:
            EndpointError: this endpoint will answer no request, or the cap leaves no room for this one.
        """
        kept = None if self._replies is None or anew else self._replies.get(request)
        if kept is not None:
            self.usage += Usage(cached=1)
            return kept
        async with self._slots:
            try:
                outcome = await self._attempts(request)
            except EndpointError as error:
                self._fatal = error
                raise
        if isinstance(outcome, Reply) and self._replies is not None:
            self._replies.keep(request, outcome)
        return outcome

    async def _attempts(self, request: Request) -> Reply | Refused | Unscored:
        wait = FIRST_WAIT
        for _ in range(self._endpoint.retries):
            outcome = await self._attempt(request)
            if not isinstance(outcome, Later):
                return outcome
            await self._sleep(min(LONGEST_WAIT, max(outcome.wait, wait * self._draw.uniform(0.5, 1))))
            wait *= 2
        outcome = await self._attempt(request)
        if isinstance(outcome, Later):
            return Unscored(f"{outcome.reason}, {self._endpoint.retries + 1} times")
        return outcome

    async def _attempt(self, request: Request) -> Reply | Refused | Later:
        """Send one request. It stays charged in full if it is not known what it cost."""
        cost = worst = self._worst(request)
        await self._reserve(worst)
        try:
            outcome = await self._post(request)
            cost = self._cost(outcome, worst)
        finally:
            self.usage += Usage(dollars=cost)
            self._ledger.give_back(worst - cost)
            async with self._settled:
                self._under_way -= 1
                self._settled.notify_all()
        if isinstance(outcome, Reply):
            self.usage += self._tokens(request, outcome)
        return outcome

    def _worst(self, request: Request) -> float:
        """Return the most that the request can cost: no tokenizer makes more tokens of a text than it has bytes."""
        return self._endpoint.dollars(request.bytes + TEMPLATE, request.most_new_tokens)

    def _cost(self, outcome: Reply | Refused | Later, worst: float) -> float:
        if isinstance(outcome, Reply):
            known = outcome.prompt_tokens is not None and outcome.new_tokens is not None
            return self._endpoint.dollars(outcome.prompt_tokens or 0, outcome.new_tokens or 0) if known else worst
        return worst if isinstance(outcome, Later) and outcome.may_be_charged else 0.0

    def _tokens(self, request: Request, reply: Reply) -> Usage:
        read, written = reply.prompt_tokens, reply.new_tokens
        estimated = messages.estimated_tokens(request.characters)
        return Usage(1, estimated if read is None else read, request.most_new_tokens if written is None else written)

    async def _reserve(self, worst: float) -> None:
        """Charge the worst case, once what is under way leaves room for it."""
        async with self._settled:
            while self._fatal is None and not self._ledger.charge(worst):
                if not self._under_way:
                    raise SpendCapReached(
                        f"The endpoint {self._endpoint.base_url} has cost ${self._ledger.spent:.4f} and the next "
                        f"request could exceed the cap of ${self._endpoint.spend_cap}: go on with a higher "
                        "endpoint.spend_cap (rostrum train resume=RUN judge.endpoint.spend_cap=DOLLARS); what is in "
                        "the cache is not paid for again."
                    )
                await self._settled.wait()
            if self._fatal is not None:
                raise self._fatal
            self._under_way += 1

    async def _post(self, request: Request) -> Reply | Refused | Later:
        try:
            async with asyncio.timeout(self._endpoint.timeout):
                answer = await self._http.post(messages.path(self._endpoint), json=dict(request.body))
        except TimeoutError:
            return Later(f"the endpoint gave no answer within {self._endpoint.timeout:g} s", may_be_charged=True)
        except httpx2.ConnectError:
            return Later(f"nothing answers at {self._endpoint.base_url}")
        except httpx2.TransportError as error:
            return Later(f"the connection to the endpoint broke ({type(error).__name__})", may_be_charged=True)
        return read_answer(self._endpoint, self._key, answer.status_code, answer.headers, answer.text)


@cache
def _certificates() -> ssl.SSLContext:
    """Return the certificates that servers are trusted by; reading them takes longer than a request to a server on this
    machine."""
    return httpx2.create_ssl_context()
