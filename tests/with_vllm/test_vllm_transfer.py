"""Full weights from the learner's memory into vLLM, over gloo, and engines that rest while the learner works."""

import json
from collections.abc import Callable
from typing import Any

import pytest

from trainer.config import Config
from trainer.engines.vllm_process import VllmProcess
from trainer.train import train

FULL = ("iterations=3", "algorithm.kl=0.01", "debater.engine=vllm", "debater.model=embedded/debater",
        "judge.model=embedded/judge")  # fmt: skip


def metrics(config: Config) -> list[dict[str, Any]]:
    rows = [json.loads(line) for line in (config.output / "metrics.jsonl").read_text("utf-8").splitlines()]
    return [{key: value for key, value in row.items() if "second" not in key} for row in rows]


@pytest.fixture
def calls(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """What the vLLM processes are asked for."""
    made, call = list[str](), VllmProcess.call

    def noted(process: VllmProcess, method: str, *arguments: Any) -> Any:
        made.append(arguments[0] if method == "transfer" else method)
        return call(process, method, *arguments)

    monkeypatch.setattr(VllmProcess, "call", noted)
    return made


def test_a_run_is_the_same_over_gloo_and_with_rests(configure: Callable[..., Config], calls: list[str]) -> None:
    """The folder is read once, when the engine starts; the parity check of each publish would see old weights."""
    disk = configure(*FULL, "cluster.weight_transfer=disk")
    train(disk)
    assert "reload" in calls and "update_weights" not in calls and "sleep" not in calls
    calls.clear()
    sent = configure(*FULL, "cluster.weight_transfer=gloo", "cluster.sleep=true", f"output={disk.output}-gloo")
    train(sent)
    assert "reload" not in calls and calls.count("update_weights") == 4 and calls.count("sleep") == 3
    assert calls.count("init_weight_transfer_engine") == 1
    assert metrics(disk) == metrics(sent)
