"""Judges that write and the judge with a head, on the embedded world: one word in the configuration is enough."""

from collections.abc import Callable, Sequence
from pathlib import Path

import pytest
import torch

from rostrum.launch import checks
from rostrum.launch.compose import load
from rostrum.rewards.types import Judge
from rostrum.trainer import setup
from rostrum.trainer.config import Config
from rostrum.trainer.models import loading
from rostrum.trainer.run_context import RunContext
from rostrum.trainer.store.run_folder import RunFolder, read_lines
from rostrum.trainer.testimony_models import checks as figures
from rostrum.trainer.testimony_models.base_debates import base_debates
from rostrum.trainer.testimony_models.corpora import DEBATE, Case
from rostrum.trainer.train import train

KINDS = ("verdict", "rating", "head")


@pytest.fixture(scope="module")
def debates() -> list[Case]:
    return base_debates(loading.EMBEDDED / "debater", DEBATE, range(950_000, 950_120), 0)


@pytest.fixture
def small(tmp_path: Path, tiny: Path) -> Callable[..., Config]:
    """A run of one iteration with two questions, the random debater and the embedded judge of a kind."""

    def make(kind: str, *overrides: str) -> Config:
        few = (
            "iterations=1",
            "save_every=1",
            "questions.train=4",
            "questions.heldout=2",
            "heldout_judges=none",
            "algorithm.questions_per_iteration=2",
            "algorithm.debates_per_seating=2",
            "algorithm.minibatches=1",
        )
        places = (f"output={tmp_path}/run", f"debater.model={tiny}/debater")
        return load(["experiment=demo", f"judge={kind}", *few, *places, *overrides])

    return make


def judge_of(kind: str, *overrides: str) -> Judge:
    return setup.judge(load([f"judge={kind}", *overrides]).judge)


@pytest.mark.parametrize("kind", KINDS)
def test_one_word_gives_the_reward(small: Callable[..., Config], kind: str) -> None:
    config = small(kind)
    checks.check(RunContext(config))
    train(config)
    (row,) = read_lines(RunFolder(config.output).metrics)
    assert row["debates"] == 8 and row["invalid"] <= 4
    verdicts = [line["extra"]["verdict"] for line in read_lines(RunFolder(config.output).transcripts)]
    assert {verdict["judge"] for verdict in verdicts} == {config.judge.name}


def test_the_head_is_weak_but_not_blind(debates: list[Case]) -> None:
    found = figures.figures_of(judge_of("head"), debates)
    assert found.invalid == 0 and 0.57 < found.both < 0.87 and abs(found.position_bias) < 0.1


@pytest.mark.parametrize("kind", ["verdict", "rating"])
def test_what_the_writer_writes_can_be_read_and_is_right_more_often_than_chance(kind: str, debates: list[Case]) -> None:
    found = figures.figures_of(judge_of(kind), debates)
    assert found.invalid <= 0.05 and abs(found.position_bias) < 0.1
    assert 0.54 < found.both < 0.85


def test_ratings_allow_ties_and_are_kept(debates: list[Case]) -> None:
    verdicts = judge_of("rating").judge([transcript for transcript, _ in debates])
    scores = [score for verdict in verdicts for score in verdict.scores]
    assert len(scores) == 2 * sum(verdict.valid for verdict in verdicts) and len(set(scores)) >= 5


def test_the_same_seed_writes_the_same_verdicts(debates: list[Case]) -> None:
    transcripts: Sequence = [transcript for transcript, _ in debates[:20]]
    first, second, other = (judge_of("verdict", f"judge.seed={seed}").judge(transcripts) for seed in (0, 0, 1))
    assert first == second and first != other


@pytest.mark.parametrize("kind", ["chat-verdict", "chat-rating"])
def test_judges_for_chat_models_need_a_model_and_nothing_else(kind: str) -> None:
    judge = load([f"judge={kind}", "judge.model=some/model"]).judge
    assert judge.kind == kind.removeprefix("chat-") and judge.judge_prompts()


def test_embedded_judges_are_half_precision_safetensors() -> None:
    for name in ("judge-writer", "judge-head"):
        loaded = loading.load_classifier if name == "judge-head" else loading.load_model
        assert loaded(f"embedded/{name}", torch.float16).dtype is torch.float16
        assert {f.suffix for f in (loading.EMBEDDED / name).iterdir()} <= {".json", ".safetensors", ".md"}
