"""Weights & Biases gets the metrics when it is asked for, without a network, and nothing otherwise."""

from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
import wandb

from rostrum.trainer.config import Config
from rostrum.trainer.config.stopping import TrackingError
from rostrum.trainer.evaluation.summary import ArmSummary
from rostrum.trainer.reading import DamagedError
from rostrum.trainer.run_context import RunContext
from rostrum.trainer.store.tracking import Tracker


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


class Service:
    """Stands for Weights & Biases: what it was started with, and the steps that each run was told."""

    def __init__(self) -> None:
        self.started: list[dict[str, Any]] = []
        self.steps: dict[str, list[int]] = {}
        self.summary: dict[str, Any] = {}

    def init(self, **named: Any) -> "Service":
        self.started.append(named)
        return self

    def log(self, row: dict[str, Any], step: int) -> None:
        self.steps.setdefault(self.started[-1]["id"], []).append(step)

    def finish(self) -> None:
        """There is nothing to flush."""


def test_what_an_evaluation_came_to_stands_beside_the_curves(
    configure: Callable[..., Config], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    service = Service()
    monkeypatch.setattr(wandb, "init", service.init)
    settings = configure("wandb.mode=offline", f"output={tmp_path}/run")
    figures = {"base": 0.6, "trained": 0.7, "change": 0.1, "low": 0.02, "high": 0.18}
    figures |= {"p": 0.01, "p_adjusted": 0.02, "headline": "raised"}
    rows = [{"judge": "weak-judge", **figures}, {"judge": "other", **figures, "trained": 0.5, "headline": "lowered"}]
    tracker = Tracker(settings)
    tracker.log({"iteration": 1})
    tracker.close()
    tracker = Tracker(settings)
    arm = ArmSummary.model_validate({"name": "run", "headline": "raised", "accuracy": rows})
    tracker.evaluated({**arm.flat(), "root_hash": "0" * 64})
    tracker.close()
    assert service.started[0]["id"] == service.started[1]["id"]
    assert service.summary["headline"] == "raised" and service.summary["root_hash"] == "0" * 64
    assert service.summary["judge_accuracy/weak-judge/trained"] == 0.7
    assert service.summary["judge_accuracy/other/trained"] == 0.5
    assert service.summary["judge_accuracy/other/headline"] == "lowered"


@pytest.mark.parametrize("mode", ["offline", "online"])
def test_a_resumed_run_goes_on_as_the_same_run_without_a_step_twice(
    configure: Callable[..., Config], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, mode: str
) -> None:
    service = Service()
    monkeypatch.setattr(wandb, "init", service.init)
    settings = configure(f"wandb.mode={mode}", f"output={tmp_path}/run")
    for iterations in ([1, 2, 3], [2, 3, 4], []):  # cut off after 3, its last checkpoint being after 1
        tracker = Tracker(settings)
        for iteration in iterations:
            tracker.log({"iteration": iteration, "reward": 0.5})
        tracker.close()
    assert list(service.steps.values()) == [[1, 2, 3, 4]]
    assert len(service.started) == 3
    assert {named["resume"] for named in service.started} == {"allow" if mode == "online" else None}
    other = Tracker(configure(f"wandb.mode={mode}", f"output={tmp_path}/other"))
    other.log({"iteration": 1})
    assert len(service.steps) == 2


def test_online_without_a_key_is_refused(
    configure: Callable[..., Config], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("WANDB_API_KEY", "WANDB_IDENTITY_TOKEN_FILE", "NETRC"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("WANDB_CONFIG_DIR", str(tmp_path))
    online = configure("wandb.mode=online")
    with pytest.raises(TrackingError, match="WANDB_API_KEY.*wandb.mode=offline"):
        online.wandb.check(RunContext(online))
    offline = configure("wandb.mode=offline")
    offline.wandb.check(RunContext(offline))
    host = urlsplit(wandb.Settings().base_url).netloc
    (tmp_path / ".netrc").write_text(f"machine {host} login user password {'k' * 40}\n", "utf-8")
    online.wandb.check(RunContext(online))
    (tmp_path / ".netrc").unlink()
    monkeypatch.setenv("WANDB_API_KEY", "too short")
    with pytest.raises(TrackingError, match="cannot use the API key that is there"):
        online.wandb.check(RunContext(online))
    monkeypatch.setenv("WANDB_API_KEY", "k" * 40)
    online.wandb.check(RunContext(online))


@pytest.mark.parametrize(
    "text",
    [
        "",
        "[]",
        "{",
        '{"id": 5}',
        '{"id": "../x"}',
        '{"id": null}',
        '{"logged": "x"}',
        '{"logged": -1}',
        f'{{"logged": 1{"0" * 400}}}',
        '{"logged": NaN}',
    ],
)
def test_a_damaged_record_is_named(text: str, configure: Callable[..., Config], tmp_path: Path) -> None:
    path = tmp_path / "run" / "wandb.json"
    path.parent.mkdir()
    path.write_text(text, "utf-8")
    with pytest.raises(DamagedError, match=f"{path} cannot be read"):
        Tracker(configure("wandb.mode=offline", f"output={path.parent}"))
    Tracker(configure("wandb.mode=disabled", f"output={path.parent}"))
