"""What an iteration costs."""

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch

from benchmarks.shapes import SHAPES, write_model
from rostrum.trainer.config import Config
from rostrum.trainer.cost import OF_THE_MACHINE, Gpus, ModelSize, Tokens, figures, gpus_of
from rostrum.trainer.models.loading import load_model
from rostrum.trainer.train import train
from rostrum.trainer.types import TokenRow, Trajectory


def row(prompt: int, completion: int) -> Trajectory:
    """A row of so many tokens."""
    tokens = TokenRow((1,) * prompt, (2,) * completion, (1,) * completion, (-1.0,) * completion, ())
    return SimpleNamespace(row=tokens)  # type: ignore[return-value]


def test_figures_are_counts_over_the_seconds_of_their_part() -> None:
    seconds = {"playing": 4.0, "judging": 2.0, "learning": 10.0, "publishing": 0.5, "iteration": 18.0}
    found = figures(seconds, Tokens(sampled=400, judged=0, learned=5000), Gpus(held=2.5, learning=2), tflops=1)
    assert (found["sampled_tokens_per_second"], found["learned_tokens_per_second"]) == (100, 500)
    assert "judged_tokens_per_second" not in found, "the judge does not count"
    assert found["gpu_hours"] == pytest.approx(2.5 * 18 / 3600)
    assert found.keys() <= OF_THE_MACHINE


def test_mfu_is_of_the_gpus_that_learn(monkeypatch: pytest.MonkeyPatch) -> None:
    """10 s of two H100s could have been 2 × 10 × 989 TFLOPs."""
    monkeypatch.setattr("torch.cuda.is_available", lambda: True)
    monkeypatch.setattr("torch.cuda.max_memory_allocated", lambda: 3e9)
    monkeypatch.setattr("torch.cuda.reset_peak_memory_stats", lambda: None)
    monkeypatch.setattr("torch.cuda.get_device_name", lambda: "NVIDIA H100 80GB HBM3")
    seconds = {"learning": 10.0, "iteration": 20.0}
    found = figures(seconds, Tokens(0, 0, 0), Gpus(held=3, learning=2), tflops=1978)
    assert found["mfu"] == pytest.approx(0.1) and found["peak_gpu_memory_gb"] == 3
    monkeypatch.setattr("torch.cuda.get_device_name", lambda: "Another card")
    assert "mfu" not in figures(seconds, Tokens(0, 0, 0), Gpus(3, 2), tflops=1978)


def test_flops_are_those_of_the_benchmark() -> None:
    """By hand for one layer: body 2 · 3 · 4 matrices, d = 8."""
    size = ModelSize(body=24, head=100, attention=8, trained=False)
    assert size.tflops([row(6, 4)], passes=2) * 1e12 == 2 * (4 * (24 * 10 + 100 * 4) + 12 * 8 * 100)
    assert ModelSize(24, 100, 8, True).tflops([row(6, 4)], 1) * 1e12 == 6 * (24 * 10 + 100 * 4) + 12 * 8 * 100
    shared = size.tflops([row(6, 4)], 1, computed=0.5) * 1e12
    assert shared == 4 * (24 * 5 + 100 * 4) + 12 * 8 * 50
    shape = SHAPES["tiny"]
    as_shape = ModelSize(shape.body, shape.head, shape.layers * shape.heads * shape.head_size, False)
    assert as_shape.tflops([row(60, 4)], 1) * 1e12 == pytest.approx(shape.lora_flops(64, 4, 64**2))


def test_a_model_is_measured_by_its_matrices(tmp_path: Path) -> None:
    from peft import LoraConfig, get_peft_model

    shape = SHAPES["tiny"]
    write_model(shape, tmp_path, torch.float32, "cpu")
    model = load_model(str(tmp_path))
    wanted = ModelSize(shape.body, shape.head, shape.layers * shape.heads * shape.head_size, True)
    assert ModelSize.of(model, adapted=False) == wanted
    adapted = get_peft_model(model, LoraConfig(r=4, target_modules="all-linear", task_type="CAUSAL_LM"))
    assert ModelSize.of(adapted, adapted=True) == replace(wanted, trained=False)


@pytest.mark.parametrize(
    ("words", "gpus"),
    [
        ((), Gpus(0, 0)),
        (
            (
                "cluster.learners=2",
                "cluster.gpus_per_learner=1",
                "cluster.rollout_workers=4",
                "cluster.gpus_per_worker=0.5",
            ),
            Gpus(4, 2),
        ),
        (("cluster.judge_workers=2", "cluster.gpus_per_judge=1"), Gpus(2, 0)),
    ],
)
def test_gpus_are_counted_as_the_configuration_asks_for_them(
    configure: Callable[..., Config], words: tuple[str, ...], gpus: Gpus
) -> None:
    machine = SimpleNamespace(has_gpu=False, ranks=1)
    assert gpus_of(configure(*words), machine) == gpus  # type: ignore[arg-type]


@pytest.mark.parametrize("algorithm", ["rloo", "dpo"])
def test_a_run_says_what_it_cost(configure: Callable[..., Config], algorithm: str) -> None:
    config = configure(f"algorithm={algorithm}", "iterations=1")
    train(config)
    (line,) = [json.loads(line) for line in (config.output / "metrics.jsonl").read_text("utf-8").splitlines()]
    parts = [line[f"{part}_seconds"] for part in ("publishing", "playing", "judging", "learning")]
    assert all(seconds > 0 for seconds in parts) and sum(parts) <= line["iteration_seconds"] * 1.001
    assert line["sampled_tokens_per_second"] > 0 and line["learned_tokens_per_second"] > 0
    assert ("update_tflops" in line) is (algorithm == "rloo") and "gpu_hours" not in line
