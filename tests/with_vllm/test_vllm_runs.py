"""Whole runs with vLLM debaters and judges, and the check that an adapter is served at all."""

import json
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from safetensors.torch import load_file, save_file

from rostrum.trainer.config import Config
from rostrum.trainer.rollouts.local import LocalRolloutWorkers
from rostrum.trainer.setup import rollout_workers
from rostrum.trainer.train import train
from rostrum.trainer.weights import parity
from rostrum.trainer.weights.publish import ParityError

pytestmark = pytest.mark.long

VLLM = (
    "debater.engine=vllm",
    "judge.engine=vllm",
    "debater.model=embedded/debater",
    "judge.model=embedded/judge",
    "evaluation.checkpoints=all",
)
LORA = ("debater.lora.rank=4", "debater.lora.alpha=8", "algorithm.learning_rate=1e-2")


@pytest.fixture(scope="module", autouse=True)
def warm(make_adapter: Callable[[Path, int], str], tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Keeps one base model for adapters running, so that each run need not start its own."""
    from rostrum.trainer.engines import engine_settings
    from rostrum.trainer.engines.vllm.engine import VllmEngine

    engine = VllmEngine(make_adapter(tmp_path_factory.mktemp("adapter") / "warm", 0), engine_settings("vllm"))
    yield
    del engine


def metrics(config: Config) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (config.output / "metrics.jsonl").read_text("utf-8").splitlines()]


def moved(config: Config, name: str) -> float:
    """How far the weights went from the first to the last published policy."""
    first, last = (load_file(config.output / "policies" / f"iteration-{i:04d}" / name) for i in (0, config.iterations))
    return max(float((first[key].float() - last[key].float()).abs().max()) for key in first)


@pytest.mark.parametrize(("lora", "weights"), [((), "model.safetensors"), (LORA, "adapter_model.safetensors")])
def test_two_iterations_of_ppo(configure: Callable[..., Config], lora: tuple[str, ...], weights: str) -> None:
    """The parity check of each publish compares what vLLM serves with the learner, after updates too."""
    config = configure("iterations=2", "algorithm.kl=0.01", *VLLM, *lora)
    train(config)
    rows = metrics(config)
    assert [row["iteration"] for row in rows] == [1, 2]
    assert all(row["parity"] < config.parity_tolerance and not row.get("failed") for row in rows)
    assert moved(config, weights) > 1e-5


def test_an_iteration_of_dpo(configure: Callable[..., Config]) -> None:
    config = configure("algorithm=dpo", "algorithm.min_gap=0", "algorithm.branches=2", *VLLM, *LORA)
    train(config)
    (row,) = metrics(config)
    assert row["pairs"] > 0 and row["parity"] < config.parity_tolerance
    assert moved(config, "adapter_model.safetensors") > 1e-5


def misname(folder: str) -> None:
    """Keys as of a model behind a multimodal wrapper: vLLM takes the adapter, matches no module and says nothing."""
    path = Path(folder) / "adapter_model.safetensors"
    state = {key.replace("model.layers", "model.language_model.layers"): v for key, v in load_file(path).items()}
    save_file(state, path, metadata={"format": "pt"})


def test_an_adapter_that_matches_nothing_stops_the_run(
    configure: Callable[..., Config], monkeypatch: pytest.MonkeyPatch
) -> None:
    written = parity._write_adapter

    def planted(settings: Config, folder: str, rows: Any) -> Any:
        scores = written(settings, folder, rows)
        misname(folder)
        return scores

    monkeypatch.setattr(parity, "_write_adapter", planted)
    config = configure(*VLLM, *LORA)
    with pytest.raises(ParityError, match="changes nothing in engine=vllm.*debater.lora=null"):
        train(config)
    assert not list(config.output.glob(".adapter-probe*")) and not (config.output / "policies").exists()


def test_an_adapter_that_is_served_passes(configure: Callable[..., Config]) -> None:
    config = configure(*VLLM, *LORA)
    played = rollout_workers(config)
    assert isinstance(played, LocalRolloutWorkers)
    parity.check_adapter(config, played, parity.rows_of(config))
    played.close()
    assert not played._worker._engines


def test_the_learner_does_not_import_vllm() -> None:
    """TRL would, for no use: it takes half a minute and changes torch and transformers under the learner."""
    learners = "rostrum.trainer.learners.policy_gradient, rostrum.trainer.learners.dpo_learner"
    code = f"import sys, rostrum.trainer.train, {learners}, rostrum.trainer.engines.vllm; print('vllm' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip().endswith("False")
