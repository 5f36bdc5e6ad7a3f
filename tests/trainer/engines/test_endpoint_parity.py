"""Replies that a real server gave (`vllm serve` 0.32.0 with the embedded judge) against the transformers engine.

tests/with_vllm/ asks such a server; these replies are written down so that every machine reads them.
"""

import json

import pytest

from rostrum.rewards.endpoint import messages
from rostrum.rewards.endpoint.choices import from_listed
from rostrum.rewards.endpoint.config import Endpoint
from rostrum.trainer.engines import engine_settings
from rostrum.trainer.engines.transformers.causal import TransformersEngine

ENDPOINT = Endpoint(base_url="http://localhost/v1", api="completions")
PROMPT = "question : where is the coin ? A : attic B : kitchen verdict :"
LISTED = {
    "attic": -0.3686765432357788,
    "kitchen": -1.2187150716781616,
    "garage": -5.62616491317749,
    "hallway": -5.930313587188721,
    "cellar": -6.131378173828125,
    "library": -6.265053749084473,
    "office": -7.144842147827148,
    "garden": -7.28057336807251,
    "saw": -9.067143440246582,
    "<eos>": -9.793644905090332,
}
ECHOED = [
    None,
    -6.644859790802002,
    -7.017906188964844,
    -7.267397403717041,
    -4.884224891662598,
    -9.897383689880371,
    -10.449301719665527,
    -9.445784568786621,
    -9.443526268005371,
    -1.587024450302124,
    -5.622053146362305,
    -5.059195518493652,
    -6.919050216674805,
    -5.969084739685059,
    -5.924773693084717,
    -0.3686765432357788,
]
USAGE = {"prompt_tokens": 15, "total_tokens": 16, "completion_tokens": 1, "prompt_tokens_details": None}


@pytest.fixture(scope="module")
def engine() -> TransformersEngine:
    return TransformersEngine("embedded/judge", engine_settings())


def reply(logprobs: object) -> messages.Reply:
    choice = {"index": 0, "text": " attic", "logprobs": logprobs, "finish_reason": "length", "prompt_logprobs": None}
    return messages.read(ENDPOINT, json.dumps({"object": "text_completion", "choices": [choice], "usage": USAGE}))


def test_listed_tokens(engine: TransformersEngine) -> None:
    found = reply(
        {"text_offset": [0], "token_logprobs": [LISTED["attic"]], "tokens": ["attic"], "top_logprobs": [LISTED]}
    )
    (expected,) = engine.choice_logprobs([PROMPT], [("attic", "kitchen")])
    assert from_listed(found.listed, ("attic", "kitchen")) == pytest.approx(expected, abs=1e-3)
    assert found.prompt_tokens == len(engine.format.open([PROMPT])) and found.new_tokens == 1


def test_echoed_tokens(engine: TransformersEngine) -> None:
    found = reply({"token_logprobs": ECHOED, "top_logprobs": [None, *[{"x": value} for value in ECHOED[1:]]]})
    (expected,) = engine.logprobs([engine.format.open([PROMPT])])
    assert found.token_logprobs[1:15] == pytest.approx(expected, abs=1e-3) and not found.listed
