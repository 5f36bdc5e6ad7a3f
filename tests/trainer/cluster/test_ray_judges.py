"""Judges on Ray score what a judge in this process scores; one that is late or dead costs verdicts, not the run."""

import math
import os
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest

from rostrum.rewards.judges.likelihood import Settings
from rostrum.rewards.types import Usage, Writing
from rostrum.trainer.cluster import judges as ray_judges
from rostrum.trainer.cluster.judges import RayClassifier, RayScorer
from rostrum.trainer.config import Cluster, Config
from rostrum.trainer.engines import engine_settings
from rostrum.trainer.engines.transformers.causal import TransformersEngine
from rostrum.trainer.engines.transformers.classifier import TransformersClassifier
from rostrum.trainer.store.run_folder import RunFolder, read_lines
from rostrum.trainer.train import train
from tests.trainer.engines.test_classifier import write_head

pytestmark = pytest.mark.long

PROMPTS = ["A says : kitchen", "B says : attic kitchen", "A says :", "attic", "B says : office", "kitchen attic"]
CHOICES: list[tuple[str, ...]] = [("kitchen", "attic")] * len(PROMPTS)


@pytest.fixture(scope="module", autouse=True)
def ray_runtime() -> Iterator[None]:
    import ray

    ray.init("local", num_cpus=2, include_dashboard=False, log_to_driver=False)
    yield
    ray.shutdown()


@pytest.fixture
def settings(tiny: Path) -> Settings:
    return Settings(kind="likelihood", name="judge", model=f"{tiny}/judge", prompts="testimony")


def planted(monkeypatch: pytest.MonkeyPatch, trouble: Callable[[Sequence[str]], None]) -> None:
    """Puts a scorer without a model into the actors: it meets with trouble, or says -len(prompt) for every choice."""

    class Planted:
        def __init__(self, *_: Any) -> None:
            pass

        def answer(self, batch: Any) -> Any:
            prompts, choices = batch.columns
            trouble(prompts)
            scores = [(-float(len(prompt)),) * len(words) for prompt, words in zip(prompts, choices, strict=True)]
            return scores, Usage(len(prompts))

    monkeypatch.setattr(ray_judges, "JudgeWorker", Planted)


def test_two_actors_score_what_is_scored_here(settings: Settings) -> None:
    scorer = RayScorer(settings.model, engine_settings(), Cluster(judge_workers=2))
    here = TransformersEngine(settings.model).choice_logprobs(PROMPTS, CHOICES)
    for there, mine in zip(scorer.choice_logprobs(PROMPTS, CHOICES), here, strict=True):
        assert there == pytest.approx(mine, abs=1e-5)
    assert scorer.choice_logprobs(PROMPTS[:1], CHOICES[:1])[0] == pytest.approx(here[0], abs=1e-5)
    assert scorer.choice_logprobs([], []) == []
    local = TransformersEngine(settings.model)
    written = local.write(PROMPTS, Writing(4))
    assert scorer.write(PROMPTS, Writing(4)) == written and any(written)
    local.choice_logprobs([*PROMPTS, PROMPTS[0]], [*CHOICES, CHOICES[0]])
    assert scorer.usage == local.usage and local.usage.requests == 2 * len(PROMPTS) + 1


def test_a_head_in_an_actor_gives_what_is_given_here(tmp_path: Path) -> None:
    folder = write_head(tmp_path)
    there, here = RayClassifier(folder, engine_settings(), Cluster(judge_workers=1)), TransformersClassifier(folder)
    assert there.outputs == here.outputs == 2
    for found, expected in zip(there.logits(PROMPTS), here.logits(PROMPTS), strict=True):
        assert found == pytest.approx(expected, abs=1e-5)
    assert there.usage == here.usage


def test_a_late_actor_is_asked_once_more(settings: Settings, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """The actor that reads about the attic first hangs, and its successor answers."""

    def trouble(prompts: Sequence[str]) -> None:
        if "attic" in prompts and not (tmp_path / "once").exists():
            (tmp_path / "once").touch()
            time.sleep(3600)

    planted(monkeypatch, trouble)
    scorer = RayScorer(settings.model, engine_settings(), Cluster(judge_workers=2, judge_timeout=5))
    hung = scorer.actors[1]
    assert scorer.choice_logprobs(PROMPTS, CHOICES) == [(-float(len(prompt)),) * 2 for prompt in PROMPTS]
    assert (tmp_path / "once").exists() and scorer.actors[1] is not hung


def test_prompts_that_nobody_answers_are_unscored_and_the_others_are_not(
    settings: Settings, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    def trouble(prompts: Sequence[str]) -> None:
        if "attic" in prompts:
            with (tmp_path / "deaths").open("a") as deaths:
                deaths.write("x")
            os._exit(1)

    planted(monkeypatch, trouble)
    scores = RayScorer(settings.model, engine_settings(), Cluster(judge_workers=2)).choice_logprobs(PROMPTS, CHOICES)
    assert scores[:3] == [(-float(len(prompt)),) * 2 for prompt in PROMPTS[:3]]
    assert all("the judge's process died" in score.reason for score in scores[3:])
    assert (tmp_path / "deaths").read_text() == "xx"


def test_a_run_counts_what_its_judge_was_too_late_for(
    configure: Callable[..., Config], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Two shards; the judge answers for the first and for nothing after it."""

    def trouble(prompts: Sequence[str]) -> None:
        time.sleep(3600 if (tmp_path / "first").exists() else 0)
        (tmp_path / "first").touch()

    planted(monkeypatch, trouble)
    run = configure("cluster.judge_workers=1", "cluster.judge_timeout=5", "cluster.shard_size=4", "iterations=1")
    train(run)
    (row,) = read_lines(RunFolder(run.output).metrics)
    assert (row["debates"], row["invalid"]) == (8, 4) and math.isfinite(row["loss"])
    verdicts = [line["extra"]["verdict"] for line in read_lines(RunFolder(run.output).transcripts)]
    assert [v["valid"] for v in verdicts] == [True] * 4 + [False] * 4
    assert all("timed out: cluster.judge_timeout=5" in v["reason"] for v in verdicts if not v["valid"])
