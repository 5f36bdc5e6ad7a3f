"""Real pretrained models debate stories and are trained: every pair of model, format, algorithm, weights, engine and
judge in some run. With `-m ""` all combinations are tried.

The weights are those of 4-bit files, so no figure here is one of the models as published.
"""

import itertools
import math
import shutil
from pathlib import Path
from typing import Any, NamedTuple

import pytest
import torch
from safetensors.torch import load_file
from transformers import AutoModelForCausalLM, AutoTokenizer

from rostrum.launch.cli import main
from rostrum.trainer.cost import OF_THE_MACHINE
from rostrum.trainer.engines import engine_settings
from rostrum.trainer.engines.errors import EngineError
from rostrum.trainer.evaluation.summary import Summary
from rostrum.trainer.store.run_folder import RunFolder, read_lines


class Chosen(NamedTuple):
    """What one run is made of."""

    debater: str
    format: str
    algorithm: str
    weights: str
    engine: str
    judge: str


CHOICES = Chosen(
    ("smollm2", "gemma"),
    ("chat", "plain"),
    ("ppo", "rloo", "dpo"),
    ("lora", "full"),
    ("transformers", "vllm"),
    ("itself", "other"),
)
COVERING = [
    Chosen("gemma", "plain", "rloo", "full", "transformers", "itself"),
    Chosen("smollm2", "chat", "rloo", "lora", "vllm", "other"),
    Chosen("gemma", "plain", "dpo", "full", "vllm", "other"),
    Chosen("smollm2", "chat", "ppo", "full", "transformers", "itself"),
    Chosen("gemma", "plain", "ppo", "lora", "transformers", "other"),
    Chosen("smollm2", "chat", "dpo", "lora", "transformers", "itself"),
    Chosen("smollm2", "plain", "ppo", "lora", "vllm", "itself"),
]
"""Runs that have every pair of two choices that can be had together: Gemma 3 270M has no chat template."""
ALL = [run for run in itertools.starmap(Chosen, itertools.product(*CHOICES)) if run[:2] != ("gemma", "chat")]
RESUMED, REPORTED, REHEARSED = (COVERING[3], COVERING[5]), COVERING[3], COVERING[5]


def pairs(run: Chosen) -> set[tuple[Any, ...]]:
    return set(itertools.combinations(run._asdict().items(), 2))


def test_the_runs_cover_every_pair() -> None:
    assert set().union(*map(pairs, COVERING)) == set().union(*map(pairs, ALL))


def settings_of(run: Chosen, models: dict[str, str], stories: Path, output: Path) -> list[str]:
    """Two questions, two speeches of 24 tokens about windows of 200."""
    debater = models[run.debater]
    judge = debater if run.judge == "itself" else next(path for path in models.values() if path != debater)
    choices = {
        "algorithm": run.algorithm,
        "algorithm.questions_per_iteration": 1,
        "questions": "quality",
        "questions.path": stories,
        "questions.heldout": 2,
        "protocol": "debate",
        "protocol.rounds": 1,
        "protocol.max_words": 20,
        "debater": "chat",
        "debater.model": debater,
        "debater.format": run.format,
        "debater.engine": run.engine,
        "debater.max_tokens": 24,
        "debater.window.tokens": 200,
        "judge": "chat",
        "judge.model": judge,
        "judge.min_mass": 0,
        "heldout_judges": "none",
        "limits.cut_speeches": "off",
        "evaluation.attacks": 0,
        "iterations": 2,
        "save_every": 1,
        "rehearse": "always" if run == REHEARSED else "never",
        "output": output,
    }
    if run.weights == "full":
        choices |= {"debater.lora": "null"}
    if run.algorithm == "dpo":
        choices |= {"algorithm.min_gap": 0, "algorithm.max_length": 600}
    else:
        choices |= {"algorithm.epochs": 1, "algorithm.minibatches": 1, "algorithm.debates_per_seating": 1}
    if run.algorithm == "rloo":
        choices |= {"algorithm.debates_per_seating": 2}
    return [f"{key}={value}" for key, value in choices.items()]


def train(run: Chosen, models: dict[str, str], stories: Path, output: Path) -> RunFolder:
    try:
        engine_settings(run.engine).check()
    except EngineError as error:
        pytest.skip(str(error))
    assert main(["train", *settings_of(run, models, stories, output)]) == 0
    return RunFolder(output)


def weights_of(policy: Path) -> dict[str, torch.Tensor]:
    return {name: tensor for file in policy.glob("*.safetensors") for name, tensor in load_file(file).items()}


def metrics(folder: RunFolder) -> list[dict[str, Any]]:
    rows = read_lines(folder.metrics)
    return [{key: value for key, value in row.items() if key not in OF_THE_MACHINE} for row in rows]


def check_resumed(folder: RunFolder, copy: Path) -> None:
    """A copy that was cut off in the second iteration goes on to the same end."""
    shutil.copytree(folder.path, copy, ignore=shutil.ignore_patterns("iteration-0002"))
    whole, cut = folder, RunFolder(copy)
    assert main(["train", f"resume={copy}"]) == 0
    assert metrics(cut) == metrics(whole)
    for name, tensor in weights_of(whole.policy(2)).items():
        assert torch.equal(tensor, weights_of(cut.policy(2))[name]), name


def check_exported(folder: RunFolder, output: Path) -> None:
    """Anybody's transformers can load what is exported, and continue a text with it."""
    assert main(["export", f"run={folder.path}", f"output={output}"]) == 0
    tokenizer, model = AutoTokenizer.from_pretrained(output), AutoModelForCausalLM.from_pretrained(output)
    logits = model(**tokenizer("The gate was open", return_tensors="pt")).logits
    assert logits.isfinite().all()


def check_reported(folder: RunFolder) -> None:
    assert main(["evaluate", f"run={folder.path}"]) == 0
    assert Summary.read(folder.path / "summary.json").arms
    assert (folder.path / "report.html").stat().st_size > 10_000


@pytest.mark.parametrize(
    "run",
    [pytest.param(run, marks=() if run in COVERING else pytest.mark.exhaustive, id="-".join(run)) for run in ALL],
)
def test_training(run: Chosen, models: dict[str, str], stories: Path, tmp_path: Path) -> None:
    folder = train(run, models, stories, tmp_path / "run")
    rows = read_lines(folder.metrics)
    assert [row["iteration"] for row in rows] == [1, 2] and not any(row.get("failed") for row in rows)
    assert all(math.isfinite(row["loss"]) for row in rows if "loss" in row)
    first, last = weights_of(folder.policy(0)), weights_of(folder.policy(2))
    assert first.keys() == last.keys() and any(not torch.equal(first[name], last[name]) for name in first)
    assert (folder.path / "estimate.json").exists() is (run == REHEARSED)
    check_exported(folder, tmp_path / "exported")
    if run in RESUMED:
        check_resumed(folder, tmp_path / "resumed")
    if run == REPORTED:
        check_reported(folder)
