"""The GPU benchmark at a shape that a CPU can do: every figure is there, and little has to be installed for it."""

import json
import math
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

from benchmarks.gpu import main
from benchmarks.phases import flops_of
from benchmarks.shapes import SHAPES, questions, word_tokenizer, write_model
from rostrum.trainer.models.loading import load_model

ABSENT = ("ray", "vllm", "deepspeed", "hydra", "omegaconf", "wandb", "statsmodels", "scipy")
WITHOUT = """
import sys

class Without:
    def __init__(self, finder):
        self.finder = finder

    def find_spec(self, name, path=None, target=None):
        return None if name.partition(".")[0] in {absent} else self.finder.find_spec(name, path, target)

    def __getattr__(self, name):
        return getattr(self.finder, name)

sys.meta_path[:] = [Without(finder) for finder in sys.meta_path]
try:
    import ray
except ModuleNotFoundError:
    pass
else:
    sys.exit("nothing is kept from being imported")
from benchmarks.gpu import main
sys.exit(main({arguments}))
"""


def numbers(value: Any) -> Iterator[float]:
    if isinstance(value, dict | list):
        for item in value.values() if isinstance(value, dict) else value:
            yield from numbers(item)
    elif isinstance(value, int | float):
        yield value


@pytest.mark.exhaustive
def test_everything_is_measured_where_only_the_learners_packages_are_installed(tmp_path: Path) -> None:
    output = tmp_path / "results" / "tiny.json"
    arguments = ["--shape", "tiny", "--peak-tflops", "0.1", "--bandwidth", "0.01", "--output", str(output)]
    code = WITHOUT.format(absent=ABSENT, arguments=arguments)
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    figures = json.loads(output.read_text("utf-8"))
    assert json.loads(done.stdout) == figures
    assert all(math.isfinite(number) for number in numbers(figures))
    rates = (
        "generated_tokens_per_s",
        "prefill_tokens_per_s",
        "debates_per_gpu_hour",
        "judge_readings_per_s",
        "learner_tokens_per_s",
        "learner_mfu",
        "learner_mfu_with_preparation",
        "publish_adapter_write_s",
        "publish_full_write_s",
        "engine_over_bare_generate_ratio",
        "learner_over_bare_steps_ratio",
        "play_cached_generated_tokens_per_s",
        "learner_effective_mfu",
        "step_padded_mfu",
        "step_shared_mfu",
        "prefill_limit_s",
        "decode_limit_s",
        "step_over_padded_ratio",
    )
    assert all(figures[rate] > 0 for rate in rates)
    # zero where both sides hold the same bfloat16 and do the same arithmetic (tests/launch/test_learner_and_engine.py)
    assert all(0 <= figures[f"parity_{kind}_max_nats"] < 0.1 for kind in ("adapter", "full"))
    assert 0.8 < figures["generated_tokens"] / (8 * 6 * 6) <= 1, "eight debates of six speeches, few of them cut short"
    assert figures["judge_readings"] == 8 * 2 and figures["step_rows"] == 16
    assert figures["step_apart_mean_nats"] < 0.1 and figures["step_tokens_computed"] < figures["step_tokens"]
    assert figures["learner_tokens_computed"] == figures["learner_tokens"], "60 tokens are not worth while"
    assert set(figures["step_padded_seconds_by_rows_at_once"]) == {"1", "2", "4", "8"}
    assert set(figures["peak_memory_gib"]) >= {"play", "judge", "learn", "publish_adapter", "publish_full"}


@pytest.mark.parametrize(
    ("arguments", "says"), [(["--shape", "8b"], "no CUDA device"), (["--shape", "tiny", "--debates", "6"], "multiple")]
)
def test_what_cannot_be_measured_is_said_in_a_sentence(
    arguments: list[str], says: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(arguments) == 2
    error = capsys.readouterr().err
    assert says in error and error.count("\n") == 1


@pytest.mark.parametrize("tied", [True, False])
def test_the_weights_that_flops_are_counted_with_are_those_of_the_model(tied: bool, tmp_path: Path) -> None:
    shape = replace(SHAPES["tiny"], tied=tied)
    count = write_model(shape, tmp_path, torch.bfloat16, "cpu")
    norms = shape.hidden * (2 * shape.layers + 1)
    assert count == shape.body + shape.head * (1 if tied else 2) + norms
    assert next(load_model(str(tmp_path), torch.bfloat16).parameters()).dtype is torch.bfloat16


@pytest.mark.parametrize(("name", "billions"), [("1b", 1.24), ("3b", 3.21), ("8b", 8.03)])
def test_the_shapes_are_as_large_as_they_are_called(name: str, billions: float) -> None:
    shape = SHAPES[name]
    assert shape.body + shape.head * (1 if shape.tied else 2) == pytest.approx(billions * 1e9, rel=0.01)


def test_flops_of_a_row_by_hand() -> None:
    """Ten tokens, three of them scored, through two layers of four heads of 16: 4 P T + 12 L d T², and 2 P T + 4 L d T²
    for reading alone."""
    shape = SHAPES["tiny"]
    body, head = 2 * (64 * 16 * 2 * (4 + 2) + 3 * 64 * 128), 64 * 4096
    assert shape.lora_flops(10, 3, 100) == 4 * (body * 10 + head * 3) + 12 * 2 * 64 * 100
    assert shape.reading_flops(10) == 2 * body * 10 + 4 * 2 * 64 * 100
    assert shape.token_bytes == 2 * 2 * 2 * 2 * 16 and shape.step_bytes == 2 * (body + head)


def test_flops_of_rows_that_share_a_prefix_by_hand() -> None:
    """Two rows of six and five tokens, four of them the same: a token sees itself, its prefix and its branch."""
    shape, rows = SHAPES["tiny"], [[1, 2, 3, 4, 5, 6], [1, 2, 3, 4, 7]]
    assert flops_of(shape, rows, [2, 2], shared=True) == (7, shape.lora_flops(7, 4, 16 + 2 * 6 + 1 * 5))
    assert flops_of(shape, rows, [2, 2], shared=False) == (11, shape.lora_flops(11, 4, 36 + 25))


def test_a_sampled_token_is_one_token_for_whoever_reads_it() -> None:
    tokenizer = word_tokenizer(50)
    ids = list(range(3, 50))
    assert len(tokenizer) == 50 and tokenizer.encode(tokenizer.decode(ids)) == ids
    (question,) = questions(1, passage_tokens=40, vocabulary=50)
    assert len(tokenizer.encode(question.passage)) == 40
