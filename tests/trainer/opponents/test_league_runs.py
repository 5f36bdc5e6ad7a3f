"""Runs against a league, with models: what is learned from, what is on the disk, and that resuming changes nothing."""

import json
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from rostrum.trainer.config import Config
from rostrum.trainer.cost import OF_THE_MACHINE
from rostrum.trainer.session import Session
from rostrum.trainer.store.run_folder import RunFolder, read_lines
from rostrum.trainer.train import train

LEAGUE = (
    "opponent=league",
    "opponent.at_once=2",
    "iterations=3",
    "save_every=2",
    "algorithm.learning_rate=3e-3",
    "algorithm.questions_per_iteration=4",
)


class PowerCut(BaseException):
    """Nothing in the program may catch this."""


def metrics(settings: Config) -> list[dict[str, Any]]:
    rows = read_lines(RunFolder(settings.output).metrics)
    return [{key: value for key, value in row.items() if key not in OF_THE_MACHINE} for row in rows]


def spoken(settings: Config) -> list[tuple[int, str, int, int]]:
    """Iteration, policy, version and number of speeches, in order."""
    found: Counter[tuple[int, str, int]] = Counter()
    for line in read_lines(RunFolder(settings.output).transcripts):
        for speech in line["record"]["speeches"]:
            found[line["extra"]["iteration"], speech["policy"], speech["policy_version"]] += 1
    return [(*key, count) for key, count in sorted(found.items())]


def cut_after(iterations: int, settings: Config, monkeypatch: pytest.MonkeyPatch) -> None:
    """Trains until so many iterations are recorded, and is then cut off."""
    record = Session.record

    def fail(self: Session, learned: dict[str, Any], seconds: dict[str, float]) -> None:
        if len(read_lines(RunFolder(settings.output).metrics)) == iterations:
            raise PowerCut
        record(self, learned, seconds)

    with monkeypatch.context() as patch, pytest.raises(PowerCut):
        patch.setattr(Session, "record", fail)
        train(settings)


@pytest.mark.parametrize(
    "algorithm", [("debater.lora.rank=4",), ("algorithm=dpo", "algorithm.min_gap=0")], ids=["ppo-lora", "dpo"]
)
def test_a_league_resumed_equals_one_undisturbed(
    configure: Callable[..., Config], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, algorithm: tuple[str, ...]
) -> None:
    """Cut off in iteration 3, which is played against two snapshots, one of which is no checkpoint.

    The resumed process loads other opponents than the one that was cut off had left to load, and in the process of an
    adapter's learner: loading must not move the random numbers that the learner shuffles its rows by.
    """
    whole, broken = (configure(*algorithm, *LEAGUE, f"output={tmp_path}/{name}") for name in ("whole", "broken"))
    train(whole)
    cut_after(2, broken, monkeypatch)
    train(broken)
    assert metrics(broken) == metrics(whole) and spoken(broken) == spoken(whole)
    folder = RunFolder(broken.output)
    assert folder.published() == [0, 1, 2, 3], "snapshots stay, though only every second one is a checkpoint"
    checkpoint = folder.checkpoint()
    assert checkpoint is not None
    saved = dict(checkpoint[1]["opponents"]["win_rates"])
    assert json.dumps(saved) == json.dumps({int(k): v for k, v in metrics(whole)[-1]["league"].items()})
    by_policy = Counter()
    for iteration, policy, version, count in spoken(whole):
        by_policy[iteration, policy == "current"] += count
        assert version == iteration - 1 if policy == "current" else version < max(iteration - 1, 1)
    assert {by_policy[i, True] / by_policy[i, False] for i in (1, 2, 3)} == {3.0}, "half the questions, one side"
