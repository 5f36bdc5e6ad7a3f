"""A judge's model behind an endpoint, against a server that a script drives."""

import asyncio
import email.utils
import json
import math
import sqlite3
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from rostrum.rewards.endpoint.client import TEMPLATE, SpendCapReached
from rostrum.rewards.endpoint.config import Endpoint, EndpointError
from rostrum.rewards.endpoint.ledger import Ledger
from rostrum.rewards.endpoint.messages import Request
from rostrum.rewards.endpoint.scorer import EndpointScorer
from rostrum.rewards.types import Unscored, Writing
from tests.fake_endpoint import PROMPT_TOKENS, Answer, FakeEndpoint, error, in_turn, reply, serving

AB = ("A", "B")
KEY = "sk-planted-0123456789abcdefXYZ"
Make = Callable[..., EndpointScorer]


@pytest.fixture
def server() -> Iterator[FakeEndpoint]:
    with serving() as endpoint:
        yield endpoint


@pytest.fixture
def waits() -> list[float]:
    """The seconds that were slept between attempts, which nobody really sleeps."""
    return []


@pytest.fixture
def scorer(server: FakeEndpoint, waits: list[float], tmp_path: Path) -> Make:
    """Makes a scorer on the server, with the cache and the ledger of this test."""

    async def sleep(seconds: float) -> None:
        waits.append(seconds)
        await asyncio.sleep(0)

    def make(say: Callable[[str], None] = lambda text: None, **settings: Any) -> EndpointScorer:
        endpoint = Endpoint(**{"base_url": server.base_url, "cache": tmp_path / "cache", **settings})
        return EndpointScorer(endpoint, "model", "judge", tmp_path / "spending.sqlite", say, sleep)

    return make


def is_probe(body: dict[str, Any]) -> bool:
    return "alphabet" in (body["messages"][0]["content"] if "messages" in body else body["prompt"])


def after_the_probe(script: Callable[[dict[str, Any]], Answer]) -> Callable[[dict[str, Any]], Answer]:
    """The probe is answered as it should be, debates by the script."""
    return lambda body: reply(body) if is_probe(body) else script(body)


def scored(judge: EndpointScorer, prompt: str = "debate") -> Any:
    return judge.choice_logprobs([prompt], [AB])[0]


def reason(outcome: Any) -> str:
    assert isinstance(outcome, Unscored), outcome
    return outcome.reason


# What is asked, and how it is read


def test_letters_are_read_from_the_listed_tokens(server: FakeEndpoint, scorer: Make) -> None:
    said: list[str] = []
    judge = scorer(said.append)
    assert judge.choice_logprobs(["one", "two"], [AB, ("B", "A")]) == [(-0.5, -1.5), (-1.5, -0.5)]
    scored(judge, "three")
    assert said == [f"judge: {server.base_url} gives log-probabilities: read from its 20 likeliest first tokens"]
    assert server.bodies[-1] == {
        "model": "model",
        "messages": [{"role": "user", "content": "three"}],
        "max_tokens": 1,
        "temperature": 0,
        "logprobs": True,
        "top_logprobs": 20,
    }
    assert set(server.paths) == {"/v1/chat/completions"}


def test_running_text_goes_to_the_other_interface(server: FakeEndpoint, scorer: Make) -> None:
    assert scorer(api="completions").choice_logprobs(["verdict :"], [AB]) == [(-0.5, -1.5)]
    assert server.paths[-1] == "/v1/completions"
    assert server.bodies[-1] == {
        "model": "model",
        "prompt": "verdict :",
        "max_tokens": 1,
        "temperature": 0,
        "logprobs": 20,
    }


def test_a_server_that_lists_fewer_tokens_is_asked_for_fewer(server: FakeEndpoint, scorer: Make) -> None:
    server.script = lambda body: reply(body) if body.get("top_logprobs", 0) <= 5 else error(400, "at most 5")
    assert scored(scorer()) == (-0.5, -1.5)
    assert [body["top_logprobs"] for body in server.bodies] == [20, 5, 5]


def test_samples_where_there_are_no_logprobs(server: FakeEndpoint, scorer: Make) -> None:
    """Three of four samples are A: (3 + 1/2) / 5 and (1 + 1/2) / 5."""
    server.script = lambda body: reply(body, None, ("A", "B", " A.", "**A**"))
    said: list[str] = []
    judge = scorer(said.append, samples=4)
    assert scored(judge) == pytest.approx((math.log(3.5 / 5), math.log(1.5 / 5)))
    assert said == [f"judge: {server.base_url} gives no log-probabilities: each reading is 4 samples"]
    body = server.bodies[-1]
    assert (body["n"], body["temperature"]) == (4, 1) and "logprobs" not in body


@pytest.mark.parametrize("refuses", [True, False])
def test_samples_one_by_one_where_a_server_gives_no_more(refuses: bool, server: FakeEndpoint, scorer: Make) -> None:
    texts = iter(["A", "B", "A"])

    def script(body: dict[str, Any]) -> Answer:
        if body.get("n", 1) > 1 and refuses:
            return error(400, "n must be 1")
        return reply({**body, "n": 1}, None, ("A",) if is_probe(body) else (next(texts),))

    server.script = script
    judge = scorer(samples=3, concurrency=1)
    assert scored(judge) == pytest.approx((math.log(2.5 / 4), math.log(1.5 / 4)))
    seeds = [body["seed"] for body in server.bodies if not is_probe(body)]
    assert len(set(seeds)) == 3, "each sample has a seed of its own"
    again = scorer(samples=3)
    assert scored(again) == scored(judge) and again.usage.requests == 0


def test_samples_by_request_even_if_there_are_logprobs(server: FakeEndpoint, scorer: Make) -> None:
    assert scored(scorer(logprobs="never", samples=1)) == pytest.approx((math.log(1.5 / 2), math.log(0.5 / 2)))
    assert not any("logprobs" in body for body in server.bodies)


def echoing(body: dict[str, Any]) -> Answer:
    """One token for each word; the log-probability of the i-th is minus i plus a tenth of its length."""
    words = body["prompt"].split()
    values = [None, *(-i - len(word) / 10 for i, word in enumerate(words[1:], 1)), -9.0]
    logprobs = {"top_logprobs": None, "token_logprobs": values if body.get("echo") else values[-1:]}
    usage = {"prompt_tokens": len(words), "completion_tokens": 1}
    return 200, {}, json.dumps({"choices": [{"text": "x", "logprobs": logprobs}], "usage": usage})


def test_longer_choices_are_summed_over_their_tokens(server: FakeEndpoint, scorer: Make) -> None:
    """After a prompt of three words, "attic" is the fourth and "the kitchen" the fourth and the fifth."""
    server.script = echoing
    judge = scorer(api="completions")
    judge.check_echo()
    assert judge.choice_logprobs(["it was in"], [("attic", "the kitchen")]) == [(-3.5, pytest.approx(-3.3 - 4.7))]
    assert {body["max_tokens"] for body in server.bodies} == {1} and judge.usage.requests == 4


def test_longer_choices_where_nothing_is_echoed(server: FakeEndpoint, scorer: Make) -> None:
    judge = scorer(api="completions")
    with pytest.raises(EndpointError, match="choice=letter"):
        judge.check_echo()
    (found,) = judge.choice_logprobs(["it was in"], [("attic", "the kitchen")])
    assert reason(found) == "the endpoint gave no log-probabilities of the answers"
    with pytest.raises(EndpointError, match="choice=letter"):
        scorer().choice_logprobs(["debate"], [("the attic", "the kitchen")])


def test_nothing_asked_nothing_answered(server: FakeEndpoint, scorer: Make) -> None:
    assert scorer().choice_logprobs([], []) == [] and scorer().write([], Writing(5)) == []
    assert not server.bodies


def test_texts(server: FakeEndpoint, scorer: Make) -> None:
    server.script = lambda body: reply(body, texts=(f" {body['messages'][0]['content']}! ",))
    assert scorer().write(["one", "two"], Writing(7, seed=3)) == ["one!", "two!"]
    assert [(body["max_tokens"], body["temperature"]) for body in server.bodies] == [(7, 0), (7, 0)]
    assert "seed" not in server.bodies[0]


def test_copies_of_a_prompt_and_other_seeds_are_sampled_apart(server: FakeEndpoint, scorer: Make) -> None:
    judge = scorer()
    judge.write(["same"] * 3, Writing(7, 0.7, seed=1))
    judge.write(["same"], Writing(7, 0.7, seed=2))
    judge.write(["same"] * 3, Writing(7, 0.7, seed=1))
    assert len({body["seed"] for body in server.bodies}) == len(server.bodies) == 4
    assert judge.usage.cached == 3


def test_samples_are_kept_apart_also_without_seeds(server: FakeEndpoint, scorer: Make) -> None:
    texts = iter("abcd")
    server.script = lambda body: reply(body, texts=(next(texts),))
    first, again = (scorer(body={"seed": None}).write(["same"] * 3, Writing(7, 0.7)) for _ in range(2))
    assert sorted(first) == ["a", "b", "c"] and first == again and "seed" not in server.bodies[0]


def test_a_reply_without_text(server: FakeEndpoint, scorer: Make) -> None:
    server.script = lambda body: (200, {}, json.dumps({"choices": [{"message": {"content": None}}]}))
    assert "no text" in reason(scorer().write(["one"], Writing(5))[0])


def test_further_fields_of_the_body(server: FakeEndpoint, scorer: Make) -> None:
    scored(scorer(body={"max_tokens": None, "max_completion_tokens": 3, "reasoning_effort": "none"}))
    body = server.bodies[-1]
    assert body["max_completion_tokens"] == 3 and body["reasoning_effort"] == "none" and "max_tokens" not in body


# Failures


def test_it_waits_as_long_as_it_is_told_and_tries_again(server: FakeEndpoint, scorer: Make, waits: list[float]) -> None:
    server.script = after_the_probe(in_turn(error(429, retry_after="7"), error(429, retry_after="999999"), reply))
    judge = scorer()
    assert scored(judge) == (-0.5, -1.5)
    assert waits == [7, 120] and judge.usage.requests == 2, "the probe and the debate"


def test_a_date_to_try_again_at(server: FakeEndpoint, scorer: Make, waits: list[float]) -> None:
    date = email.utils.formatdate(time.time() + 60, usegmt=True)
    server.script = after_the_probe(in_turn(error(503, retry_after=date), error(503, retry_after="soon"), reply))
    assert scored(scorer()) == (-0.5, -1.5)
    assert 30 < waits[0] <= 60 and waits[1] <= 1


def test_waits_double_and_then_the_debate_is_unscored(server: FakeEndpoint, scorer: Make, waits: list[float]) -> None:
    server.script = after_the_probe(lambda body: error(500, "out of order"))
    judge = scorer(retries=3)
    assert reason(scored(judge)) == "the endpoint answered with status 500: out of order, 4 times"
    assert all(0.25 * 2**i <= wait <= 0.5 * 2**i for i, wait in enumerate(waits)) and len(waits) == 3
    assert judge.usage.requests == 1, "the probe"


@pytest.mark.parametrize(
    "text",
    [
        "",
        "<html>",
        "[]",
        "null",
        '{"choices": []}',
        '{"choices": [{"message": {"content": 3}}]}',
        '{"choices": [{"message": {"content": "A"}, "logprobs": {"content": [{"top_logprobs": [{"token": "A"}]}]}}]}',
    ],
)
def test_an_answer_that_is_none(text: str, server: FakeEndpoint, scorer: Make) -> None:
    server.script = after_the_probe(lambda body: (200, {}, text))
    assert "not in the form of OpenAI's, 2 times" in reason(scored(scorer(retries=1)))


def test_a_server_that_hangs(server: FakeEndpoint, scorer: Make) -> None:
    hanging = threading.Event()

    def hang(body: dict[str, Any]) -> Answer:
        hanging.wait(30)
        return reply(body)

    server.script = after_the_probe(hang)
    scorer().check()
    assert reason(scored(scorer(retries=1, timeout=0.3))) == "the endpoint gave no answer within 0.3 s, 2 times"
    hanging.set()


def test_a_prompt_that_is_too_long_is_unscored_and_not_repeated(
    server: FakeEndpoint, scorer: Make, waits: list[float]
) -> None:
    server.script = lambda body: error(400, "maximum context length is 512") if len(str(body)) > 300 else reply(body)
    scores = scorer().choice_logprobs(["long " * 100, "short"], [AB, AB])
    assert "status 400: maximum context length is 512" in reason(scores[0]) and scores[1] == (-0.5, -1.5)
    assert not waits


@pytest.mark.parametrize(
    ("answer", "said"),
    [
        (error(401), "asks for a key: put one into the environment variable ROSTRUM_TEST_KEY"),
        (error(403), "asks for a key"),
        (error(404), "knows no such model"),
        (error(402), "nothing left to spend"),
        (error(429, code="insufficient_quota"), "nothing left to spend"),
        (error(301), "has moved"),
    ],
)
def test_what_concerns_every_request_is_an_error_at_once(
    answer: Answer, said: str, server: FakeEndpoint, scorer: Make, waits: list[float]
) -> None:
    server.script = lambda body: answer
    judge = scorer(key_variable="ROSTRUM_TEST_KEY", concurrency=1)
    for ask in (judge.check, lambda: scored(judge), lambda: judge.write(["one", "two"], Writing(5))):
        with pytest.raises(EndpointError, match=said):
            ask()
    assert len(server.bodies) == 3 and not waits, "nobody asks on after that"


def test_a_key_that_is_not_accepted(server: FakeEndpoint, scorer: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", KEY)
    server.script = lambda body: error(401, f"Incorrect API key provided: {KEY}")
    with pytest.raises(EndpointError, match="does not accept the key in .* OPENAI_API_KEY") as told:
        scorer().check()
    assert KEY not in str(told.value) and server.headers[0]["Authorization"] == f"Bearer {KEY}"


def test_nobody_there(scorer: Make) -> None:
    with pytest.raises(EndpointError, match="cannot be used .nothing answers at http://127.0.0.1:9/v1, 1 times"):
        scorer(base_url="http://127.0.0.1:9/v1", retries=0).check()


def test_a_server_that_is_down_when_it_is_first_asked_is_asked_again_later(server: FakeEndpoint, scorer: Make) -> None:
    server.script = in_turn(error(500), reply)
    judge = scorer(retries=0)
    assert reason(scored(judge)) == "the endpoint answered with status 500: no, 1 times"
    assert scored(judge) == (-0.5, -1.5)


def test_no_more_at_a_time_than_allowed(scorer: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    """Counted where requests are sent, with every one under way for as long as others can come to it."""
    judge, under_way, most = scorer(concurrency=3), 0, 0
    post = judge._client._post

    async def counted(request: Request) -> Any:
        nonlocal under_way, most
        under_way += 1
        most = max(most, under_way)
        for _ in range(100):
            await asyncio.sleep(0)
        under_way -= 1
        return await post(request)

    monkeypatch.setattr(judge._client, "_post", counted)
    assert judge.choice_logprobs([f"debate {i}" for i in range(9)], [AB] * 9) == [(-0.5, -1.5)] * 9
    assert most == 3


# The cache


def test_what_was_answered_is_not_asked_again(server: FakeEndpoint, scorer: Make, tmp_path: Path) -> None:
    first, second = scorer(price_in=1), scorer(price_in=1)
    prompts = ["one", "two", "one"]
    assert first.choice_logprobs(prompts, [AB] * 3) == second.choice_logprobs(prompts, [AB] * 3)
    assert len(server.bodies) == 3, "the probe and two prompts"
    assert (first.usage.requests, first.usage.cached) == (3, 0)
    assert (second.usage.requests, second.usage.cached, second.usage.dollars) == (0, 3, 0)
    scored(scorer(cache=None), "one")
    assert len(server.bodies) == 5


@pytest.mark.parametrize("change", [{"api": "completions"}, {"body": {"top_p": 0.5}}])
def test_another_request_is_another_reply(change: dict[str, Any], server: FakeEndpoint, scorer: Make) -> None:
    scored(scorer())
    scored(scorer(**change))
    assert len(server.bodies) == 4


def test_failures_are_not_kept(server: FakeEndpoint, scorer: Make) -> None:
    server.script = after_the_probe(in_turn(error(400), reply))
    assert isinstance(scored(scorer()), Unscored) and scored(scorer()) == (-0.5, -1.5)


def test_several_processes_may_share_the_cache(scorer: Make, tmp_path: Path) -> None:
    """While another holds the database, a reply waits for its turn."""
    scored(scorer())
    other = sqlite3.connect(tmp_path / "cache" / "replies.sqlite", check_same_thread=False)
    other.execute("BEGIN IMMEDIATE")
    threading.Timer(0.2, other.rollback).start()
    assert scored(scorer(), "another") == (-0.5, -1.5)
    assert other.execute("SELECT count(*) FROM replies").fetchone() == (3,)


# What it costs


def test_tokens_and_dollars_are_those_that_the_server_counts(scorer: Make, tmp_path: Path) -> None:
    judge = scorer(price_in=2, price_out=10)
    judge.choice_logprobs(["one", "two"], [AB] * 2)
    usage = judge.usage
    assert (usage.requests, usage.prompt_tokens, usage.new_tokens) == (3, 3 * PROMPT_TOKENS, 3)
    assert usage.dollars == pytest.approx(3 * (PROMPT_TOKENS * 2 + 10) / 1e6)
    assert Ledger(tmp_path / "spending.sqlite", "judge", None).spent == pytest.approx(usage.dollars)


def test_what_is_lost_stays_charged_in_full_and_an_error_costs_nothing(
    server: FakeEndpoint, scorer: Make, tmp_path: Path
) -> None:
    server.script = lambda body: (200, {}, "not JSON") if body["max_tokens"] == 5 else error(500)
    judge = scorer(price_in=1, price_out=1, retries=0)
    judge.write(["1234"], Writing(5))
    assert judge.usage.dollars == pytest.approx((4 + TEMPLATE + 5) / 1e6) and judge.usage.requests == 0
    judge.write(["1234"], Writing(6))
    assert Ledger(tmp_path / "spending.sqlite", "judge", None).spent == pytest.approx((4 + TEMPLATE + 5) / 1e6)


def test_a_server_that_does_not_count(server: FakeEndpoint, scorer: Make) -> None:
    """Tokens are then estimated, and the worst case is what is charged."""
    server.script = lambda body: (200, {}, json.dumps({"choices": [{"message": {"content": "A"}}]}))
    judge = scorer(price_in=1)
    judge.write(["12345678"], Writing(5))
    assert (judge.usage.prompt_tokens, judge.usage.new_tokens) == (2, 5)
    assert judge.usage.dollars == pytest.approx((8 + TEMPLATE) / 1e6)


def worst(prompt: str) -> float:
    """Dollars that are set aside for a prompt at a dollar per million tokens read."""
    return (len(prompt) + TEMPLATE) / 1e6


@pytest.mark.parametrize("concurrency", [1, 16])
def test_the_cap_is_never_exceeded_and_used_up(
    concurrency: int, server: FakeEndpoint, scorer: Make, tmp_path: Path
) -> None:
    """However many are under way, requests are sent as long as their worst case fits into what is left."""
    prompts = [f"debate {i:03d}" for i in range(60)]
    cap = worst(prompts[0]) + 20 * PROMPT_TOKENS / 1e6 + 1e-9
    judge = scorer(price_in=1, spend_cap=cap, concurrency=concurrency)
    with pytest.raises(SpendCapReached, match="higher endpoint.spend_cap"):
        judge.choice_logprobs(prompts, [AB] * 60)
    assert judge.usage.requests == 21, "twenty fill the cap up to the worst case of one more"
    assert judge.usage.dollars <= cap and len(server.bodies) == 21
    with pytest.raises(SpendCapReached):
        scorer(price_in=1, spend_cap=cap).choice_logprobs(prompts, [AB] * 60)
    assert len(server.bodies) == 21, "the next process knows what was spent"
    raised = scorer(price_in=1, spend_cap=1)
    raised.choice_logprobs(prompts, [AB] * 60)
    assert len(server.bodies) == 61 and raised.usage.cached == 21, "nothing is asked, or paid for, twice"


def test_the_first_request_can_be_too_dear(server: FakeEndpoint, scorer: Make) -> None:
    with pytest.raises(SpendCapReached):
        scorer(price_in=1, spend_cap=1e-6).check()
    assert not server.bodies


def test_a_process_that_is_killed_leaves_its_requests_charged(tmp_path: Path) -> None:
    assert Ledger(tmp_path / "spending.sqlite", "judge", 1.0).charge(0.75)
    other = Ledger(tmp_path / "spending.sqlite", "judge", 1.0)
    assert other.spent == 0.75 and not other.charge(0.5) and other.charge(0.25)
    assert Ledger(tmp_path / "spending.sqlite", "another judge", 1.0).spent == 0
