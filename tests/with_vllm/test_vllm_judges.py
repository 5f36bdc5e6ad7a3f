"""Judges that write with vLLM: the texts of transformers at temperature 0, samples that differ and come again."""

from collections.abc import Iterator

import pytest

from rostrum.envs.testimony.world import TestimonyWorld
from rostrum.envs.types import Protocol, Transcript
from rostrum.rewards.judges.verdict import Settings
from rostrum.rewards.types import Unscored, Writing
from rostrum.trainer import setup
from rostrum.trainer.engines import engine_settings
from rostrum.trainer.engines.transformers.causal import TransformersEngine
from rostrum.trainer.engines.vllm.engine import VllmEngine

QUESTIONS = TestimonyWorld(train=6, heldout=0).questions("train")
DEBATES = [Transcript(q, Protocol("expert", {}, 0, judge_sees_passage=True), q.answers, False) for q in QUESTIONS]
SETTINGS = Settings(
    kind="verdict", name="j", model="embedded/judge-writer", prompts="testimony", max_tokens=64, temperature=1.0
)


@pytest.fixture(scope="module")
def engine() -> Iterator[VllmEngine]:
    yield VllmEngine("embedded/judge-writer", engine_settings("vllm"))


@pytest.fixture(scope="module")
def prompts() -> list[str]:
    return [SETTINGS.judge_prompts().judge(debate) for debate in DEBATES]


def test_greedy_texts_equal_those_of_transformers(engine: VllmEngine, prompts: list[str]) -> None:
    theirs = TransformersEngine("embedded/judge-writer").write(prompts, Writing(64))
    assert engine.write(prompts, Writing(64)) == theirs and all("Verdict :" in str(text) for text in theirs)
    assert engine.usage.requests == len(prompts) and engine.usage.new_tokens > 0


def test_samples_differ_by_seed_and_come_again(engine: VllmEngine) -> None:
    """Without a story and without debaters: this judge is sure of what it has read."""
    silent = [Transcript(q, Protocol("naive", {}, 0), q.answers, False) for q in QUESTIONS]
    prompts = [SETTINGS.judge_prompts().judge(debate) for debate in silent]
    first, again, other = (engine.write(prompts, Writing(64, 1.5, seed)) for seed in (1, 1, 2))
    assert first == again != other


def test_a_prompt_without_room_for_the_text_is_unscored(engine: VllmEngine, prompts: list[str]) -> None:
    short, long = engine.write([prompts[0], "A " * 480], Writing(64))
    assert isinstance(short, str) and isinstance(long, Unscored)


def test_a_judge_on_vllm_gives_verdicts() -> None:
    judge = setup.judge(SETTINGS.model_copy(update={"engine": "vllm"}))
    verdicts = judge.judge(DEBATES)
    assert sum(verdict.valid for verdict in verdicts) >= len(DEBATES) - 1
