"""Weights & Biases gets the metrics when it is asked for, without a network, and nothing otherwise."""

from collections.abc import Callable
from pathlib import Path

import pytest
import wandb

from trainer.config import Config
from trainer.tracking import Tracker


@pytest.mark.parametrize(("mode", "logs"), [("offline", 1), ("disabled", 0)])
def test_an_offline_run_is_written_only_when_asked_for(
    configure: Callable[..., Config], tmp_path: Path, mode: str, logs: int
) -> None:
    tracker = Tracker(configure(f"wandb.mode={mode}", "wandb.group=siblings", f"output={tmp_path}/run"))
    assert getattr(wandb.run, "group", None) == ("siblings" if logs else None)
    tracker.log({"iteration": 1, "reward": 0.25})
    tracker.alert("title", "text")
    tracker.close()
    assert len(list(tmp_path.rglob("*.wandb"))) == logs
