"""Answers as servers of many makes have been seen to give them: what each of them means."""

import json
import math
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from rostrum.rewards.endpoint.config import Endpoint, EndpointError
from rostrum.rewards.endpoint.ledger import Ledger
from rostrum.rewards.endpoint.scorer import EndpointScorer
from rostrum.rewards.types import Unscored, Writing
from tests.fake_endpoint import PROMPT_TOKENS, Answer, FakeEndpoint, error, in_turn, reply, serving

AB = ("A", "B")
KEY = "sk-planted-0123456789abcdefXYZ"
Make = Callable[..., EndpointScorer]
GOOD = {"A": -0.3, "B": -1.4, "The": -5.0}


@pytest.fixture
def server() -> Iterator[FakeEndpoint]:
    with serving() as endpoint:
        yield endpoint


@pytest.fixture
def scorer(server: FakeEndpoint, tmp_path: Path) -> Make:
    """Makes a scorer on the server whose waits take no time."""

    async def sleep(seconds: float) -> None:
        return

    def make(say: Callable[[str], None] = lambda text: None, **settings: Any) -> EndpointScorer:
        endpoint = Endpoint(**{"base_url": server.base_url, "cache": None, "samples": 4, **settings})
        return EndpointScorer(endpoint, "model", "judge", tmp_path / "spending.sqlite", say, sleep)

    return make


def ok(**answer: Any) -> Answer:
    return 200, {}, json.dumps(answer)


def said(message: Any, finish: str = "stop", **choice: Any) -> Answer:
    """A chat reply with this message, which took 40 tokens and 7 new ones."""
    usage = {"prompt_tokens": PROMPT_TOKENS, "completion_tokens": 7}
    return ok(choices=[{"index": 0, "message": message, "finish_reason": finish, **choice}], usage=usage)


def after_the_probe(answer: Answer | Callable[[dict[str, Any]], Answer]) -> Callable[[dict[str, Any]], Answer]:
    def script(body: dict[str, Any]) -> Answer:
        if "alphabet" in json.dumps(body):
            return reply(body)
        return answer(body) if callable(answer) else answer

    return script


def scored(judge: EndpointScorer) -> Any:
    return judge.choice_logprobs(["debate"], [AB])[0]


def outcome(found: Any) -> tuple[str, str]:
    assert isinstance(found, Unscored), found
    return found.reason, found.cause


# The answer to the probe is read


def listing(tokens: dict[str, float], text: str | None = "A") -> Callable[[dict[str, Any]], Answer]:
    return lambda body: reply(body, tokens, (text or "",))


@pytest.mark.parametrize(
    ("script", "problem"),
    [
        (listing({"<think>": -0.0001, "Okay": -9.0, "Hmm": -10.0}), "neither of A and B is among the 3 likeliest"),
        (listing({"Based": -0.01, "The": -5.0, "A": -7.5, "B": -8.5}), "hold only 0.00076 of the probability"),
        (listing({"A": -1.4, "B": -0.3}), "it answered B"),
        (lambda body: reply(body, None, ("B",)), "it answered B"),
        (lambda body: reply(body, None, ("A", "Based on", "The", "I")), "hold only 0.4 of the probability"),
        (lambda body: said({"content": None, "reasoning_content": "Which letter"}, "length"), "finish reason: length"),
        (lambda body: said({"reasoning": "Which letter"}, "length"), "finish reason: length"),
        (lambda body: said({"content": None, "refusal": "I can't."}), "none of 1 samples was A or B"),
        (lambda body: said({"content": [{"type": "thinking", "thinking": "A"}]}, "length"), "finish reason: length"),
    ],
)
def test_a_server_that_does_not_say_what_comes_first_is_refused(
    script: Any, problem: str, server: FakeEndpoint, scorer: Make
) -> None:
    server.script = script
    with pytest.raises(EndpointError, match="asked which of the letters A and B comes first") as told:
        scorer().check(0.01)
    assert problem in str(told.value) and "endpoint.probe=warn" in str(told.value)
    notes: list[str] = []
    scorer(notes.append, probe="warn").check(0.01)
    assert problem in notes[0]
    scorer().check(None), "judges that are asked for no letter are not held to it"


@pytest.mark.parametrize(
    "script",
    [
        listing(GOOD),
        listing({"\u0120A": -0.3, "\u0120B": -1.4, "\u0120The": -5.0}),
        listing({"\u2581A": -0.3, "\u2581B": -1.4, "\u2581The": -5.0}),
        listing({"<0x41>": -0.3, "<0x42>": -1.4, "<0x0A>": -5.0}),
        listing({"\u010a\u0120A": -0.3, " B": -1.4, "The": -5.0}),
        lambda body: reply(body, GOOD) if body.get("top_logprobs", 0) <= 5 else error(400, "at most 5"),
        lambda body: error(400, "n must be 1") if body.get("n", 1) > 1 or body.get("logprobs") else reply(body, None),
        lambda body: said({"content": [{"type": "text", "text": "A"}]}),
        lambda body: said({"content": "<think>\n\n</think>\n\nA"}),
        lambda body: said({"content": "A", "refusal": None}, logprobs={"content": None}),
        lambda body: said({"content": "A"}, logprobs={"content": [{"token": "A", "logprob": -0.3}]}),
        lambda body: said({"content": "A"}, logprobs={"content": [{"token": "A", "top_logprobs": None}]}),
    ],
)
def test_a_server_that_does_is_not(script: Any, server: FakeEndpoint, scorer: Make) -> None:
    server.script = script
    judge = scorer()
    judge.check(0.01)
    of_a, of_b = scored(judge)
    assert of_a > of_b


def test_a_judge_that_is_refused_a_parameter_is_told_the_way_out(server: FakeEndpoint, scorer: Make) -> None:
    server.script = lambda body: error(400, "'max_tokens' is not supported. Use 'max_completion_tokens' instead.")
    with pytest.raises(EndpointError, match="max_completion_tokens: NUMBER"):
        scorer().check()


# Tokens in whatever way they are written


def entry(token: str, value: float | None, given: list[int] | None = None) -> dict[str, Any]:
    return {"token": token, "logprob": value, "bytes": given}


@pytest.mark.parametrize(
    ("entries", "of_b"),
    [
        ([entry("\u0120A", -0.5), entry("\u0120B", -1.5)], -1.5),
        ([entry("token_id:32", -0.5, [32, 65]), entry("token_id:33", -1.5, [66])], -1.5),
        ([entry("A", -0.5, [65]), entry("\u2581B", -1.5, None)], -1.5),
        ([entry("A", -0.5, []), entry("B", -1.5, [0xE2, 0x96])], -1.5),
        ([entry("A", -0.5), entry("B", None), entry("C", -3.0)], -3.0),
        ([entry("A", -0.5), entry("B", -math.inf), entry("C", -3.0)], -3.0),
    ],
)
def test_tokens_are_read_by_their_bytes_and_without_marks_of_blanks(
    entries: list[dict[str, Any]], of_b: float, server: FakeEndpoint, scorer: Make
) -> None:
    """A letter without a number may have what the least likely one has that is listed."""
    first = {"token": "A", "logprob": -0.5, "top_logprobs": entries}
    server.script = after_the_probe(said({"content": "A"}, logprobs={"content": [first]}))
    assert scored(scorer()) == pytest.approx((-0.5, of_b))


def test_chats_that_are_answered_in_the_form_of_completions(server: FakeEndpoint, scorer: Make) -> None:
    logprobs = {"tokens": ["A"], "token_logprobs": [-0.3], "top_logprobs": [{"A": -0.3, "B": -1.4, "The": -5.0}]}
    server.script = lambda body: said({"content": "A"}, logprobs=logprobs if body.get("logprobs") else None)
    judge = scorer()
    judge.check()
    assert scored(judge) == (-0.3, -1.4)


def test_probabilities_are_not_taken_for_their_logarithms(server: FakeEndpoint, scorer: Make) -> None:
    server.script = after_the_probe(listing({"A": 0.7, "B": 0.2}))  # type: ignore[arg-type]
    assert "not in the form of OpenAI's" in outcome(scored(scorer(retries=0)))[0]


# Replies without a text


@pytest.mark.parametrize(
    "message",
    [
        {},
        None,
        {"content": None},
        {"content": ""},
        {"content": []},
        {"reasoning": "The debate says"},
        {"content": None, "reasoning_content": "B quotes", "refusal": None},
    ],
)
def test_a_reply_without_a_text_is_an_empty_text_at_its_real_cost(
    message: Any, server: FakeEndpoint, scorer: Make, tmp_path: Path
) -> None:
    server.script = after_the_probe(said(message, "length"))
    judge = scorer(price_in=1e6, price_out=1e6)
    found = judge.write(["one"], Writing(500))[0]
    assert outcome(found) == ("the endpoint's reply has no text (empty, finish reason: length)", "speech")
    assert len(server.bodies) == 1, "it is no failure that may pass"
    assert judge.usage.new_tokens == 7 and Ledger(tmp_path / "spending.sqlite", "judge", None).spent == 47
    assert "finish reason: length" in outcome(scored(scorer(logprobs="never")))[0]


def test_a_debate_about_which_the_model_says_nothing(server: FakeEndpoint, scorer: Make) -> None:
    refusal = said({"content": None, "refusal": "No."}, logprobs={"content": None, "refusal": []})
    server.script = after_the_probe(refusal)
    reason, cause = outcome(scored(scorer()))
    assert "no log-probabilities (empty, finish reason: stop)" in reason and cause == "speech"


def test_parts_of_a_text_are_joined_without_thoughts(server: FakeEndpoint, scorer: Make) -> None:
    parts = [{"type": "thinking", "thinking": "hm"}, {"type": "text", "text": "Verdict:"}, " ", {"text": "A"}]
    server.script = lambda body: said({"content": parts})
    assert scorer().write(["one"], Writing(9)) == ["Verdict: A"]


# Errors inside an answer with status 200, in lists, in the first choice


def in_choice(told: Any) -> dict[str, Any]:
    return {"choices": [{"index": 0, "message": {"content": ""}, "finish_reason": "error", "error": told}]}


BALANCE = {"message": "Provider returned error: this account has a negative balance", "code": 402}


@pytest.mark.parametrize(
    ("answer", "said"),
    [
        ({"error": BALANCE, "user_id": "u"}, "nothing left to spend"),
        ([{"error": BALANCE}], "nothing left to spend"),
        (in_choice(BALANCE), "nothing left to spend"),
        ({"error": {"message": "no", "code": "402"}}, "nothing left to spend"),
        ({"error": {"message": "no", "type": "insufficient_quota"}}, "nothing left to spend"),
        ({"error": {"message": "User not found.", "code": 401}}, "asks for a key"),
        ({"error": {"message": "no", "code": "invalid_api_key"}}, "asks for a key"),
        ({"error": {"message": "no", "code": "model_not_found"}}, "knows no such model"),
        ({"object": "error", "message": "no", "code": 404}, "knows no such model"),
    ],
)
def test_an_error_inside_an_answer_with_status_200_is_that_error(
    answer: Any, said: str, server: FakeEndpoint, scorer: Make
) -> None:
    """At the start, and in the middle of a run."""
    for script in (lambda body: (200, {}, json.dumps(answer)), after_the_probe((200, {}, json.dumps(answer)))):
        server.script = script
        judge = scorer(key_variable="ROSTRUM_TEST_KEY")
        with pytest.raises(EndpointError, match=said):
            judge.check()
            scored(judge)


@pytest.mark.parametrize(
    "answer",
    [
        {"error": {"message": "Rate limit exceeded: free-models-per-min", "code": 429}},
        {"error": {"message": "slow down", "code": "rate_limit_exceeded"}},
        {"error": {"message": "overloaded", "type": "overloaded_error"}},
        {"error": "model is loading"},
        {"detail": "upstream timed out"},
        in_choice({"message": "Provider disconnected", "code": 502}),
        [{"error": {"message": "quota", "status": "RESOURCE_EXHAUSTED"}}],
    ],
)
def test_one_that_may_pass_is_tried_again(answer: Any, server: FakeEndpoint, scorer: Make) -> None:
    failed = (200, {}, json.dumps(answer))
    server.script = after_the_probe(in_turn(failed, failed, reply))
    assert scored(scorer(retries=2)) == (-0.5, -1.5)
    server.script = after_the_probe(failed)
    reason, cause = outcome(scored(scorer(retries=1)))
    assert "2 times" in reason and cause == "failure"


def test_an_error_in_a_list_is_repeated_in_its_own_words(
    server: FakeEndpoint, scorer: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", KEY)
    told = [{"error": {"code": 400, "message": f"API key {KEY} not valid.\x1b[2J", "status": "INVALID_ARGUMENT"}}]
    server.script = lambda body: (400, {}, json.dumps(told))
    with pytest.raises(EndpointError, match=r"status 400: API key \[key\] not valid") as found:
        scorer().check()
    assert KEY not in str(found.value) and "\x1b" not in str(found.value)


def test_a_field_for_errors_that_holds_none_is_no_error(server: FakeEndpoint, scorer: Make) -> None:
    answer = {"error": None, "choices": [{"message": {"content": "fine"}, "error": None}], "message": "ok"}
    server.script = lambda body: ok(**answer)
    assert scorer().write(["one"], Writing(5)) == ["fine"]


@pytest.mark.parametrize(
    "text",
    ['data: {"choices": []}\n\ndata: [DONE]', "<html>504", "OK", '{"choices": null}', '{"id": "x"}', "{", "[" * 9**5],
)
def test_what_is_no_reply_is_told_by_how_it_begins(text: str, server: FakeEndpoint, scorer: Make) -> None:
    server.script = after_the_probe((200, {}, text))
    reason, cause = outcome(scored(scorer(retries=0)))
    assert reason == f"the endpoint's answer {text[:40].strip()!r} was not in the form of OpenAI's, 1 times".replace(
        "\\n\\n", " "
    )
    assert cause == "failure"


# Whose doing it is


@pytest.mark.parametrize(
    ("answer", "cause"),
    [
        (error(400, "This model's maximum context length is 8192 tokens."), "speech"),
        (error(400, "no", "context_length_exceeded"), "speech"),
        (error(400, "prompt is too long: 210000 tokens > 200000 maximum"), "speech"),
        (error(400, "The input token count (9000) exceeds the maximum number of tokens allowed (8000)."), "speech"),
        (error(413, "Request Entity Too Large"), "speech"),
        (error(422, "Input validation error: `inputs` tokens + `max_new_tokens` must be <= 4096"), "speech"),
        (error(400, "The response was filtered due to the prompt triggering the content management policy"), "speech"),
        (error(403, "Your chosen model requires moderation and your input was flagged for harassment"), "speech"),
        ((200, {}, json.dumps({"error": {"message": "input flagged by moderation", "code": 403}})), "speech"),
        (error(400, "temperature must be at least 0.01"), "failure"),
        (error(422, "seed is not supported"), "failure"),
        (error(400, "max_tokens is too large: 40000."), "failure"),
        (error(400, "Request payload is too large"), "speech"),
        (error(500, "context length"), "failure"),
        (error(504, "upstream too long"), "failure"),
    ],
)
def test_what_a_server_says_of_the_speeches_is_their_doing_and_nothing_else_is(
    answer: Answer, cause: str, server: FakeEndpoint, scorer: Make
) -> None:
    server.script = after_the_probe(answer)
    assert outcome(scored(scorer(retries=0)))[1] == cause


def test_letters_that_are_not_among_the_likeliest_are_the_speeches_doing(server: FakeEndpoint, scorer: Make) -> None:
    server.script = after_the_probe(listing({"Both": -0.1, "I": -3.0}))  # type: ignore[arg-type]
    assert outcome(scored(scorer()))[1] == "speech"
    server.script = after_the_probe(lambda body: reply(body, None, ("Both",)))
    assert outcome(scored(scorer(logprobs="never")))[1] == "speech"
