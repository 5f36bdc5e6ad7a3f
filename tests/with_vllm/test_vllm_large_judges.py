"""What makes large judges cheaper with vLLM: several GPUs, quantized weights, and a transcript that is read once."""

import os
import re
import subprocess
import sys
from typing import get_args

import pytest
from vllm.model_executor.layers.quantization import QuantizationMethods

from rostrum.trainer import setup
from rostrum.trainer.engines.vllm import QUANTIZATIONS
from rostrum.trainer.engines.vllm.served import ServerSetup
from rostrum.trainer.engines.vllm.server import arguments
from tests.chat_models import write_model
from tests.trainer.engines.test_second_reading import debate, settings, tokens_of


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> str:
    """A random chat model with heads that vLLM computes with on CPUs."""
    return str(write_model(tmp_path_factory.mktemp("judge") / "chatml", "chatml", context=8192, head_dim=32))


def test_the_quantizations_are_vllms() -> None:
    assert get_args(QuantizationMethods) == QUANTIZATIONS


def test_what_reaches_vllm() -> None:
    """This machine has no GPU, and vLLM quantizes no dense model on a CPU: what it is told is looked at."""
    setup = ServerSetup("m", 8, "bfloat16", 0.5, tensor_parallel=4, quantization="fp8")
    told, plain = arguments(setup), arguments(ServerSetup("m", 8, "float32", 0.5))
    assert (told["tensor_parallel_size"], told["quantization"]) == (4, "fp8")
    assert (plain["tensor_parallel_size"], plain["quantization"]) == (1, None)


SPLIT = """
from rostrum.trainer.engines import engine_settings
from rostrum.trainer.engines.vllm.engine import VllmEngine
engine = VllmEngine("embedded/judge", engine_settings("vllm", tensor_parallel=PARTS))
print("found", engine.choice_logprobs(["A says :", "attic verdict :"], [("attic", "kitchen")] * 2))
"""


def test_a_model_in_two_parts_gives_the_same() -> None:
    """Two processes on one CPU each, as two GPUs would be."""
    bound = {**os.environ, "VLLM_CPU_OMP_THREADS_BIND": "0|1"}
    found = []
    for parts in (2, 1):
        environment = bound if parts == 2 else dict(os.environ)
        command = [sys.executable, "-c", SPLIT.replace("PARTS", str(parts))]
        ended = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=900)
        (line,) = (line for line in ended.stdout.splitlines() if line.startswith("found "))
        found.append([float(number) for number in re.findall(r"-?\d+\.\d+", line)])
    assert len(found[0]) == 4 and found[0] == pytest.approx(found[1], abs=1e-3)


@pytest.mark.parametrize("kind", ["likelihood", "verdict"])
def test_nine_tenths_of_the_second_readings_are_found(kind: str, model: str) -> None:
    """Also of several debates that are read together, however the vLLM schedules them."""
    shown = [debate(number) for number in range(4)]
    own = {"likelihood": {"choice": "letter", "min_mass": 0.0}, "verdict": {"samples": 1, "max_tokens": 4}}[kind]
    found = dict[str, float]()
    for layout in ("transcript_first", "answers_first"):
        judge = settings(model, kind, layout, 0, engine="vllm", engine_options={}, **own)
        asked = setup.judge(judge)
        asked.judge(shown)
        second = sum(len(tokens_of(judge, transcript.swapped())) for transcript in shown)
        found[layout] = asked.base.scorer.prefix_cache[1] / second  # type: ignore[attr-defined]
    assert found["transcript_first"] >= 0.9 > found["answers_first"], found
