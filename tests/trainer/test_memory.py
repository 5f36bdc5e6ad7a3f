"""What saves the learner's memory does not change what it learns."""

from collections.abc import Callable

import pytest
import torch.utils.checkpoint
from pydantic import ValidationError

from trainer import setup
from trainer.config import Cluster, Config
from trainer.run_folder import RunFolder, read_lines
from trainer.train import train


@pytest.mark.parametrize(
    "how",
    [
        ("algorithm.credit=gae",),
        ("algorithm.credit=gae", "debater.lora.rank=4"),
        ("algorithm=dpo", "algorithm.min_gap=0", "debater.lora.rank=4"),
    ],
    ids=["ppo", "ppo-lora", "dpo-lora"],
)  # fmt: skip
def test_gradient_checkpointing_learns_the_same(
    configure: Callable[..., Config], tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch,
    how: tuple[str, ...],
) -> None:  # fmt: skip
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
