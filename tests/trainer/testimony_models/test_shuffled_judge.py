"""Nothing about the outcome is hard-wired: a judge whose weights are shuffled finds nothing where the real one does."""

import random
from collections.abc import Iterator, Sequence
from functools import cache
from pathlib import Path

import pytest
import torch

from rostrum.envs.testimony.world import Statement
from rostrum.envs.types import Side
from rostrum.rewards.judges.likelihood import LikelihoodJudge
from rostrum.trainer.engines.transformers.causal import TransformersEngine
from rostrum.trainer.models import loading
from rostrum.trainer.stats.paired import PairedChange, headline, paired_change
from rostrum.trainer.testimony_models.checks import Strategy, scripted_debates, strongest
from rostrum.trainer.testimony_models.corpora import Case, prompts

JUDGES = 12
MOST_RAISED = 2
"""With an error rate of .025 on this side, more than two of twelve happen once in 300 test suites of other seeds."""
QUESTIONS = range(950_000, 950_150)


def careless(rng: random.Random, story: Sequence[Statement], own: str, turn: int) -> Statement:
    """Any statement for the own answer."""
    return rng.choice([statement for statement in story if statement.place == own])


@cache
def debates(strategy: Strategy) -> list[Case]:
    return scripted_debates(QUESTIONS, 0, strategy, strategy)


def change(engine: TransformersEngine) -> PairedChange:
    """From debaters who quote carelessly to debaters who quote their best, the same questions."""
    judge = LikelihoodJudge("judge", engine, prompts(), min_mass=0.0)
    base, trained = (right(judge, debates(strategy)) for strategy in (careless, strongest))
    return paired_change(base, trained, list(QUESTIONS), resamples=2000)


def right(judge: LikelihoodJudge, cases: list[Case]) -> list[float]:
    verdicts = judge.judge([transcript for transcript, _ in cases])
    chosen = [Side.A if verdict.mean > 0.5 else Side.B for verdict in verdicts]
    return [float(t.answer_index(side) == correct) for side, (t, correct) in zip(chosen, cases, strict=True)]


@pytest.fixture(scope="module")
def shuffled(tmp_path_factory: pytest.TempPathFactory) -> Iterator[list[TransformersEngine]]:
    folder = tmp_path_factory.mktemp("shuffled")
    yield [TransformersEngine(str(shuffle(folder / str(seed), seed))) for seed in range(JUDGES)]


def shuffle(folder: Path, seed: int) -> Path:
    """The embedded judge with the numbers inside each of its tensors in another order."""
    model, generator = loading.load_model("embedded/judge"), torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for parameter in model.parameters():
            order = torch.randperm(parameter.numel(), generator=generator)
            parameter.copy_(parameter.flatten()[order].view_as(parameter))
    model.save_pretrained(folder)
    loading.load_tokenizer("embedded/judge").save_pretrained(folder)
    return folder


def test_the_judge_sees_better_evidence() -> None:
    assert headline(change(TransformersEngine(loading.resolve("embedded/judge")))) == "raised"


def test_shuffled_judges_see_nothing_more_often_than_the_error_rate(shuffled: list[TransformersEngine]) -> None:
    raised = sum(headline(change(engine)) == "raised" for engine in shuffled)
    assert raised <= MOST_RAISED
