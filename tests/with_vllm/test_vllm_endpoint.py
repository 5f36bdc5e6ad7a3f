"""Judges behind a real server: `vllm serve` on this machine's CPU, in float32, against the transformers engine."""

import math
import os
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.error import URLError

import pytest
import torch
from safetensors.torch import load_file, save_file

from rostrum.rewards.endpoint.config import Endpoint, EndpointError
from rostrum.rewards.endpoint.scorer import EndpointScorer
from rostrum.rewards.types import Unscored, Writing
from rostrum.trainer.engines import engine_settings
from rostrum.trainer.engines.transformers.causal import TransformersEngine
from tests.chat_models import write_model

PATIENCE = 400
"""Seconds in which a server on a busy machine is up."""
CONTEXT = 256
PROMPTS = ["Which answer is right?", "the judge reads what was said", "question answer A or B"]


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> str:
    """A random chat model that likes to begin with A, and B half as much."""
    # vLLM has no kernel for smaller heads on CPUs.
    folder = write_model(tmp_path_factory.mktemp("model"), "chatml", context=CONTEXT, head_dim=32)
    engine = TransformersEngine(str(folder), engine_settings(format="chat"))
    with torch.inference_mode():
        inner = engine._model.model(torch.tensor([engine.format.open([PROMPTS[0]])])).last_hidden_state[0, -1]
    weights = load_file(folder / "model.safetensors")
    for letter, logit in (("A", 6.0), ("B", 5.0)):
        (token,) = engine.format.choice(letter)
        weights["lm_head.weight"][token] = logit * inner / inner.square().sum()
    save_file(weights, folder / "model.safetensors", metadata={"format": "pt"})
    return str(folder)


@pytest.fixture(scope="module")
def base_url(model: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The server, on a free port."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    log = tmp_path_factory.mktemp("server") / "log.txt"
    words = [
        "--port",
        str(port),
        "--host",
        "127.0.0.1",
        "--served-model-name",
        "judge",
        "--dtype",
        "float32",
        "--enforce-eager",
        "--max-num-seqs",
        "16",
        "--generation-config",
        "vllm",
    ]
    environment = {
        **os.environ,
        "VLLM_CPU_KVCACHE_SPACE": "1",
        "VLLM_NO_USAGE_STATS": "1",
        "VLLM_ENABLE_V1_MULTIPROCESSING": "0",
    }  # the model is in the engine's own process
    with log.open("wb") as output:
        server = subprocess.Popen(
            [sys.executable, "-m", "vllm.entrypoints.openai.api_server", "--model", model, *words],
            stdout=output,
            stderr=output,
            env=environment,
            start_new_session=True,
        )
    try:
        _wait(server, f"http://127.0.0.1:{port}/health", log)
        yield f"http://127.0.0.1:{port}/v1"
    finally:
        os.killpg(server.pid, signal.SIGKILL)
        server.wait()


def _wait(server: "subprocess.Popen[bytes]", address: str, log: Path) -> None:
    for _ in range(PATIENCE):
        assert server.poll() is None, log.read_text("utf-8")[-3000:]
        try:
            urllib.request.urlopen(address).close()
            return
        except URLError:
            time.sleep(1)
    raise AssertionError(log.read_text("utf-8")[-3000:])


def scorer(base_url: str, **settings: Any) -> EndpointScorer:
    return EndpointScorer(Endpoint(base_url=base_url, cache=None, **settings), "judge", "judge")


def first_token(model: str, kind: str, prompt: str) -> tuple[float, float]:
    """Log-probabilities of A and B as the first token, from the logits of the transformers engine's model."""
    engine = TransformersEngine(model, engine_settings(format=kind))
    with torch.inference_mode():
        logprobs = engine._model(torch.tensor([engine.format.open([prompt])])).logits[0, -1].log_softmax(-1)
    a, b = (engine.tokenizer.convert_tokens_to_ids(letter) for letter in "AB")
    return float(logprobs[a]), float(logprobs[b])


def test_letters_in_chat_equal_those_of_transformers(base_url: str, model: str) -> None:
    judge, engine = scorer(base_url), TransformersEngine(model, engine_settings(format="chat"))
    ours = judge.choice_logprobs(PROMPTS, [("A", "B")] * 3)
    theirs = engine.choice_logprobs(PROMPTS, [("A", "B")] * 3)
    assert all(sum(map(math.exp, pair)) > 0.2 for pair in theirs), "both letters are likely enough to be listed"
    for mine, expected in zip(ours, theirs, strict=True):
        assert mine == pytest.approx(expected, abs=1e-3)
    probe = judge.usage.prompt_tokens - engine.usage.prompt_tokens
    assert (judge.usage.requests, judge.usage.new_tokens) == (4, 4) and probe > 0
    once_more = scorer(base_url)
    once_more.choice_logprobs(PROMPTS[:1], [("A", "B")])
    assert once_more.usage.prompt_tokens == probe + len(engine.format.open(PROMPTS[:1]))


def test_letters_after_running_text(base_url: str, model: str) -> None:
    found = scorer(base_url, api="completions").choice_logprobs(PROMPTS, [("A", "B")] * 3)
    seen = [
        (mine, first_token(model, "plain", prompt))
        for mine, prompt in zip(found, PROMPTS, strict=True)
        if not isinstance(mine, Unscored)
    ]
    assert seen
    for mine, expected in seen:
        assert mine == pytest.approx(expected, abs=1e-3)


def test_longer_choices_equal_those_of_transformers(base_url: str, model: str) -> None:
    judge, engine = scorer(base_url, api="completions"), TransformersEngine(model, engine_settings(format="plain"))
    judge.check_echo()
    choices = [("the debater", "a judge"), ("what was said", "the passage quotes"), ("A", "B B")]
    ours, theirs = judge.choice_logprobs(PROMPTS, choices), engine.choice_logprobs(PROMPTS, choices)
    for mine, expected in zip(ours, theirs, strict=True):
        assert mine == pytest.approx(expected, abs=1e-3)


def test_samples_have_the_frequencies_of_the_logprobs(base_url: str, model: str) -> None:
    """1,000 samples; within four standard errors."""
    samples, prompt = 1000, PROMPTS[0]
    judge = scorer(base_url, api="completions", logprobs="never", samples=samples)
    (found,) = judge.choice_logprobs([prompt], [("A", "B")])
    assert not isinstance(found, Unscored)
    for mine, expected in zip(found, first_token(model, "plain", prompt), strict=True):
        p = math.exp(expected)
        assert abs(math.exp(mine) - p) <= 4 * math.sqrt(p * (1 - p) / samples) + 1 / samples
    assert judge.usage.new_tokens == 2 * samples


def test_texts_and_prompts_that_are_too_long(base_url: str, model: str) -> None:
    judge, engine = scorer(base_url), TransformersEngine(model, engine_settings(format="chat"))
    long = "long " * CONTEXT
    texts = judge.write([PROMPTS[0], long], Writing(8))
    assert texts[0] == engine.write(PROMPTS[:1], Writing(8))[0]
    assert isinstance(texts[1], Unscored) and "status 400" in texts[1].reason
    assert isinstance(judge.choice_logprobs([long], [("A", "B")])[0], Unscored)
    sampled = [judge.write([PROMPTS[0]] * 4, Writing(8, 1.0, seed=5)) for _ in range(2)]
    assert sampled[0] == sampled[1] and len(set(sampled[0])) > 1


def test_a_model_that_is_not_served(base_url: str) -> None:
    other = EndpointScorer(Endpoint(base_url=base_url, cache=None), "another", "judge")
    with pytest.raises(EndpointError, match="knows no such model"):
        other.check()
