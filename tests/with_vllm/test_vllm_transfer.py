"""Full weights from the learner's memory into vLLM, over gloo, and engines that rest while the learner works."""

import json
from collections.abc import Callable, Iterator
from itertools import islice
from typing import Any

import pytest
import torch

from rostrum.trainer.config import Config
from rostrum.trainer.cost import OF_THE_MACHINE
from rostrum.trainer.engines.errors import TransferError
from rostrum.trainer.engines.vllm.process import VllmProcess
from rostrum.trainer.train import train
from rostrum.trainer.types import Policy

pytestmark = pytest.mark.long

FULL = (
    "iterations=3",
    "algorithm.kl=0.01",
    "debater.engine=vllm",
    "debater.model=embedded/debater",
    "judge.model=embedded/judge",
)


def metrics(config: Config) -> list[dict[str, Any]]:
    rows = [json.loads(line) for line in (config.output / "metrics.jsonl").read_text("utf-8").splitlines()]
    return [{key: value for key, value in row.items() if key not in OF_THE_MACHINE} for row in rows]


@pytest.fixture
def calls(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """What the vLLM processes are asked for."""
    made, call = list[str](), VllmProcess.call

    def noted(process: VllmProcess, method: str, *arguments: Any) -> Any:
        made.append(arguments[0] if method == "transfer" else method)
        return call(process, method, *arguments)

    monkeypatch.setattr(VllmProcess, "call", noted)
    return made


@pytest.fixture
def cut_off(monkeypatch: pytest.MonkeyPatch) -> None:
    """The second transfer breaks off after three tensors, when the engine has half of the new weights."""
    from rostrum.trainer.engines.vllm.transfer import _Weights

    rounds, stream = iter(range(9)), _Weights.__iter__

    def broken(weights: _Weights) -> Iterator[tuple[str, torch.Tensor]]:
        tensors = stream(weights)
        if next(rounds) != 1:
            yield from tensors
        else:
            yield from islice(tensors, 3)
            raise RuntimeError("the cable was pulled")

    monkeypatch.setattr(_Weights, "__iter__", broken)


def test_a_run_is_the_same_over_gloo(
    configure: Callable[..., Config], calls: list[str], cut_off: None, capfd: pytest.CaptureFixture[str]
) -> None:
    """Where no transfer fails the folder is not read; where one does, an engine that reads it takes the place. Engines
    that rest in between wake up when they are needed."""
    disk = configure(*FULL, "cluster.weight_transfer=disk")
    train(disk)
    assert calls.count("reload") == 2 and "update_weights" not in calls and "sleep" not in calls
    calls.clear()
    sent = configure(*FULL, "cluster.weight_transfer=gloo", "cluster.sleep=true", f"output={disk.output}-sent")
    train(sent)
    assert "reload" not in calls and calls.count("update_weights") == 4 and calls.count("finish_weight_update") == 3
    assert calls.count("init_weight_transfer_engine") == 2, "the new engine is met, and stays"
    assert calls.count("sleep") == 3
    assert "the weights did not reach every engine (the cable was pulled)" in capfd.readouterr().err
    assert metrics(disk) == metrics(sent)


def test_engines_that_cannot_be_met_stop_the_run(monkeypatch: pytest.MonkeyPatch) -> None:
    from rostrum.trainer.engines.vllm.transfer import WeightSender

    def unmet(*_: Any, **__: Any) -> None:
        raise RuntimeError("no route to host")

    monkeypatch.setattr("rostrum.trainer.engines.vllm.transfer.WeightTransferTrainerFactory.trainer_init", unmet)
    sender = WeightSender(Nobody(), "gloo", "127.0.0.1")  # type: ignore[arg-type]
    with pytest.raises(TransferError, match="1 engines.*no route to host.*weight_transfer=disk"):
        sender.send(Policy("current", 0, "."), {})


class Nobody:
    """Rollouts with an engine that does not answer."""

    def receivers(self, policy: Policy) -> list[str]:
        return ["nowhere:1"]
