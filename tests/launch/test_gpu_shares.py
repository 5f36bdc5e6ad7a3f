"""What an ablation's cells get of the GPUs. They are logical ones: Ray hands out as many as it is told there are."""

import os
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path

import pytest

from rostrum.launch import ray_cells
from rostrum.launch.arms import Arm
from rostrum.trainer.config import Ablation, Cluster

GPUS = 2
PATIENCE = 60.0


@pytest.fixture
def logical_gpus(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    import ray

    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)  # which hides GPUs that Ray is told of, too
    ray.init("local", num_cpus=4, num_gpus=GPUS, include_dashboard=False, log_to_driver=False)
    yield
    ray.shutdown()


def scripted(meeting: Path, together: int) -> Callable[..., None]:
    """In the place of a cell's work: notes which GPUs its child would see and stays until so many cells are there, or
    all that are to come have been."""

    def work(name: str, overrides: Sequence[str], folder: str, where: str, variables: Mapping[str, str]) -> None:
        seen = {**os.environ, **variables}.get("CUDA_VISIBLE_DEVICES", "all")
        here = meeting / f"{name} {seen}"
        here.touch()
        deadline = time.monotonic() + PATIENCE
        while len(list(meeting.iterdir())) < together and not (meeting / "met").exists():
            if time.monotonic() > deadline:
                raise RuntimeError(f"{name} waits in vain for others")
            time.sleep(0.02)
        (meeting / "met").touch()
        beside = sorted(path.name for path in meeting.iterdir() if path.name != "met")
        (meeting.parent / f"{name}.txt").write_text("\n".join([seen, *beside]), "utf-8")
        here.unlink()

    return work


def run(folder: Path, monkeypatch: pytest.MonkeyPatch, gpus: float, cells: int, together: int) -> list[list[str]]:
    """What each of the cells saw: its own GPUs, then the cells beside it with theirs."""
    meeting = folder / "meeting"
    meeting.mkdir(parents=True)
    monkeypatch.setattr(ray_cells, "work", scripted(meeting, together))
    arms = [Arm(f"cell{i}", ["iterations=1"], folder / f"run{i}") for i in range(cells)]
    assert ray_cells.finish(arms, Ablation(gpus=gpus), Cluster()) == {}
    return [(folder / f"{arm.name}.txt").read_text("utf-8").splitlines() for arm in arms]


def test_cells_get_the_gpus_they_ask_for(logical_gpus: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    halves = run(tmp_path / "halves", monkeypatch, gpus=0.5, cells=3, together=3)
    assert {own for own, *_ in halves} == {"0", "1"}
    assert sorted(own for own, *_ in halves) in (["0", "0", "1"], ["0", "1", "1"]), "three at once, so two share one"

    wholes = run(tmp_path / "wholes", monkeypatch, gpus=1, cells=3, together=2)
    for _, *beside in wholes:
        gpus = [cell.split()[1] for cell in beside]
        assert len(gpus) == len(set(gpus)) <= GPUS, beside
    assert {own for own, *_ in wholes} == {"0", "1"}

    (without,) = run(tmp_path / "none", monkeypatch, gpus=0, cells=1, together=1)
    assert without[0] == "", "0 hides all of them"
