"""What saves the learner's memory does not change what it learns."""

from collections.abc import Callable

import pytest
import torch.utils.checkpoint
from pydantic import ValidationError

from rostrum.trainer import setup
from rostrum.trainer.config import Cluster, Config
from rostrum.trainer.engines import sleeping
from rostrum.trainer.store.run_folder import RunFolder, read_lines
from rostrum.trainer.train import train


@pytest.mark.parametrize(
    "how",
    [
        ("algorithm=ppo",),
        ("algorithm=ppo", "debater.lora.rank=4"),
        ("algorithm=dpo", "algorithm.min_gap=0", "debater.lora.rank=4"),
    ],
    ids=["ppo", "ppo-lora", "dpo-lora"],
)
def test_gradient_checkpointing_learns_the_same(
    configure: Callable[..., Config],
    tmp_path_factory: pytest.TempPathFactory,
    monkeypatch: pytest.MonkeyPatch,
    how: tuple[str, ...],
) -> None:
    recomputed = []
    checkpoint = torch.utils.checkpoint.checkpoint

    def counted(*arguments: object, **named: object) -> object:
        recomputed.append(1)
        return checkpoint(*arguments, **named)  # type: ignore[arg-type]

    monkeypatch.setattr("transformers.modeling_utils.checkpoint", counted)
    rows = []
    for on in (False, True):
        output = tmp_path_factory.mktemp("checkpointing") / str(on)
        run = configure(*how, f"debater.gradient_checkpointing={on}", f"output={output}")
        train(run)
        assert bool(recomputed) is on, "layers are computed twice only if that is asked for"
        rows += read_lines(RunFolder(run.output).metrics)
    assert rows[0]["grad_norm"] > 0
    for key in rows[0].keys() & {"loss", "grad_norm", "value_loss", "kl", "margin"}:
        assert rows[1][key] == pytest.approx(rows[0][key], rel=1e-5, abs=1e-7), key


def test_offload_names_what_goes_to_the_memory_of_the_cpu() -> None:
    def zero(stage: str, offload: str) -> dict[str, object]:
        return dict(setup.deepspeed_config(stage, offload)["zero_optimization"])  # type: ignore[index, call-overload]

    assert not {"offload_optimizer", "offload_param"} & zero("zero3", "none").keys()
    optimizer = zero("zero2", "optimizer")
    assert optimizer["offload_optimizer"] == {"device": "cpu", "pin_memory": False} and "offload_param" not in optimizer
    assert {"offload_optimizer", "offload_param"} <= zero("zero3", "all").keys()


@pytest.mark.parametrize(("offload", "stage"), [("optimizer", None), ("all", "zero2")])
def test_offload_without_the_stage_it_needs_is_refused(offload: str, stage: str | None) -> None:
    with pytest.raises(ValidationError, match="cluster.deepspeed"):
        Cluster(offload=offload, deepspeed=stage)


APART = {"rollout_workers": 2, "gpus_per_worker": 1}


@pytest.mark.parametrize(
    ("cluster", "debater", "transport"),
    [
        ({}, ("debater.engine=vllm",), "disk"),
        (APART, ("debater.engine=vllm",), "nccl"),
        (APART, ("debater.engine=vllm", "debater.lora.rank=4"), "disk"),
        (APART, (), "disk"),
        ({**APART, "gpus_per_worker": 0.5}, ("debater.engine=vllm",), "disk"),
        ({**APART, "gpus_per_learner": 0.5}, ("debater.engine=vllm",), "disk"),
        ({**APART, "weight_transfer": "disk"}, ("debater.engine=vllm",), "disk"),
        ({"weight_transfer": "gloo"}, ("debater.engine=vllm",), "gloo"),
    ],
)
def test_full_weights_go_over_nccl_where_every_engine_has_a_gpu_of_its_own(
    configure: Callable[..., Config], cluster: dict[str, object], debater: tuple[str, ...], transport: str
) -> None:
    config = configure(*debater, *(f"cluster.{key}={value}" for key, value in cluster.items()))
    assert setup.weight_transfer(config) == transport
    assert setup.debater_engine(config).weight_transfer == transport


def test_nccl_between_processes_that_share_a_gpu_is_refused() -> None:
    with pytest.raises(ValidationError, match="GPU of their own"):
        Cluster(weight_transfer="nccl", rollout_workers=2, gpus_per_worker=0.5)


class Sleeper:
    """Something that counts how often it is put to rest."""

    rests = 0

    def sleep(self) -> None:
        self.rests += 1


def test_what_is_still_in_use_rests() -> None:
    kept, dropped = Sleeper(), Sleeper()
    sleeping.register(kept)
    sleeping.register(dropped)
    del dropped
    sleeping.all_sleep()
    sleeping.all_sleep()
    assert kept.rests == 2


def test_what_was_closed_is_not_asked_to_rest_again() -> None:
    """On Ray the question alone would start a cluster anew, and wait for it."""
    closed = Sleeper()
    sleeping.register(closed)
    sleeping.unregister(closed)
    sleeping.unregister(closed)
    sleeping.all_sleep()
    assert closed.rests == 0
