"""Training two consultants who are judged apart: the reward is that of the averaged verdict, and zero-sum."""

from collections.abc import Callable

import pytest

from rostrum.envs import transcripts
from rostrum.envs.recasting import alone
from rostrum.envs.types import Side, Transcript
from rostrum.rewards.types import Verdict
from rostrum.trainer import setup
from rostrum.trainer.config import Config
from rostrum.trainer.store.run_folder import RunFolder
from rostrum.trainer.train import train


def mean(verdicts: list[Verdict], order: str) -> float:
    return sum(getattr(verdict, order) for verdict in verdicts) / len(verdicts)


def test_an_ensembled_consultancy_is_trained_on_the_averaged_verdict(configure: Callable[..., Config]) -> None:
    settings = configure("protocol=ensembled_consultancy")
    train(settings)
    judge, debates = setup.judge(settings.judge), 0
    for record, extra in transcripts.read_with_extra(RunFolder(settings.output).transcripts):
        assert isinstance(record, Transcript) and len(record.speeches) == 4
        parts = judge.judge([alone(record, side) for side in Side])
        for order in ("given", "swapped"):
            assert extra["verdict"][order] == pytest.approx(mean(parts, order), abs=1e-5)
        assert extra["rewards"]["A"] == pytest.approx(-extra["rewards"]["B"])
        debates += 1
    assert debates == 2 * 2 * settings.algorithm.questions_per_iteration
