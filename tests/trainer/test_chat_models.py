"""Whole runs with random chat models of five families: the engine serves what the learner has, row by row."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from rostrum.envs import transcripts
from rostrum.envs.questions.base import load_questions
from rostrum.envs.types import Transcript
from rostrum.trainer import setup
from rostrum.trainer.config import Config
from rostrum.trainer.engines import EngineError
from rostrum.trainer.rollouts.schedule import matchups_of, shards_of
from rostrum.trainer.store.run_folder import RunFolder, read_lines
from rostrum.trainer.train import train
from rostrum.trainer.types import Policy, Rollout
from tests.chat_models import FAMILIES, write_model

ARCHITECTURES = ["llama", "qwen3", "gemma3", "mistral", "gpt_neox"]
CHAT = (
    "questions=jsonl",
    "debater.prompts=chat",
    "judge.prompts=chat",
    "judge.choice=letter",
    "debater.max_tokens=12",
    "protocol.rounds=3",
    "algorithm.questions_per_iteration=2",
)


@pytest.fixture(scope="module")
def questions_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("questions") / "questions.jsonl"
    stories = [f"In story {i} the keeper lost a lamp.\n\nSomebody found it in cellar {i}." for i in range(12)]
    records = [
        {"id": str(i), "question": "Where was it?", "answers": [f"cellar {i}", "sea"], "passage": text, "correct": 0}
        for i, text in enumerate(stories)
    ]
    path.write_text("".join(json.dumps(record) + "\n" for record in records), "utf-8")
    return path


@pytest.fixture
def chat_run(configure: Callable[..., Config], questions_file: Path, tmp_path: Path) -> Callable[..., Config]:
    """The configuration of a run with models of a family."""

    def make(family: str, *overrides: str) -> Config:
        debater, judge = (write_model(tmp_path / name, family, seed) for seed, name in enumerate(("debater", "judge")))
        models = (f"debater.model={debater}", f"judge.model={judge}", f"questions.path={questions_file}")
        return configure(*CHAT, *models, *overrides)

    return make


@pytest.mark.parametrize("family", ARCHITECTURES)
def test_an_iteration_of_ppo(chat_run: Callable[..., Config], family: str) -> None:
    settings = chat_run(family, "algorithm=ppo" if family == "llama" else "algorithm=rloo")
    train(settings)
    (row,) = read_lines(RunFolder(settings.output).metrics)
    assert row["parity"] < 1e-4 and row["grad_norm"] > 0 and row["failed"] == row["invalid"] == 0
    assert row["debates"] == 8


@pytest.mark.parametrize("family", ["llama", "qwen3"])
def test_a_pair_per_branched_speech(chat_run: Callable[..., Config], family: str) -> None:
    settings = chat_run(
        family,
        "algorithm=dpo",
        "algorithm.min_gap=0",
        "algorithm.max_length=2048",
        "protocol=khan",
        "debater.lora.rank=4",
        "algorithm.questions_per_iteration=1",
        "algorithm.branches=2",
    )
    train(settings)
    (row,) = read_lines(RunFolder(settings.output).metrics)
    assert row["pairs"] == 4, "two seatings, and two sides that speak at the same turn"
    assert row["grad_norm"] > 0 and abs(row["margin"]) < 1e-4


@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize("rows", ["auto", "speech"])
def test_rows_hold_what_the_policy_saw(chat_run: Callable[..., Config], family: str, rows: str) -> None:
    """The model itself, given each row, finds every sampled token as likely as when it was sampled."""
    settings = chat_run(family, f"debater.rows={rows}", "protocol.scratchpad=true")
    apart = rows == "speech" or family == "qwen3"
    assert setup.rows_per_debate(settings) == (6 if apart else 2)
    assert setup.row_per_speech(settings) == apart
    workers = setup.rollout_workers(settings)
    policy = Policy("current", 0, settings.debater.model)
    questions = load_questions(settings.questions).questions("train")[:2]
    matchups = matchups_of(questions, settings.protocol, 1)
    ((_, finished),) = workers.play(shards_of(matchups, 8, 0), {"current": policy})
    for rollout in finished:
        assert isinstance(rollout, Rollout)
        for speaker, made in rollout.rows.items():
            assert len(made) == (3 if apart else 1)
            spoken = [s.token_ids for s in rollout.transcript.speeches if s.speaker == speaker]
            sampled = [t for row in made for t, own in zip(row.completion, row.mask, strict=True) if own]
            assert sampled == [token for tokens in spoken for token in tokens]
            for row in made:
                ((scored,),) = workers.logprobs([row.prompt + row.completion], policy)
                of_completion = scored[len(row.prompt) - 1 :]
                expected = [p * own for p, own in zip(of_completion, row.mask, strict=True)]
                assert row.logprobs == pytest.approx(expected, abs=1e-4)


def test_one_row_per_seat_cannot_be_had_from_a_template_that_drops_thoughts(chat_run: Callable[..., Config]) -> None:
    with pytest.raises(EngineError, match="debater.rows=speaker cannot be had.*use debater.rows=speech"):
        setup.row_per_speech(chat_run("qwen3", "debater.rows=speaker"))


def test_a_window_shows_a_part_and_quotes_are_checked_in_the_whole(chat_run: Callable[..., Config]) -> None:
    settings = chat_run("llama", "debater.window.tokens=40", "debater.window.keep=beginning")
    train(settings)
    for record in transcripts.read(RunFolder(settings.output).transcripts):
        assert isinstance(record, Transcript) and "Somebody found it" in record.question.passage


@pytest.mark.parametrize("algorithm", ["ppo", "dpo"])
@pytest.mark.parametrize("lora", [True, False])
def test_in_bfloat16_what_is_trained_is_kept_in_float32(
    chat_run: Callable[..., Config], algorithm: str, lora: bool
) -> None:
    """Steps of 1e-5 on weights of about 0.1 would be lost in bfloat16, which tells 0.1 from 0.1004."""
    adapter = ("debater.lora.rank=4",) if lora else ()
    pairs = ("algorithm.min_gap=0", "algorithm.max_length=2048") if algorithm == "dpo" else ()
    settings = chat_run(
        "chatml", f"algorithm={algorithm}", "debater.dtype=bfloat16", "algorithm.learning_rate=1e-5", *pairs, *adapter
    )
    train(settings)
    (row,) = read_lines(RunFolder(settings.output).metrics)
    # zero under a fresh adapter, where both sides do the same arithmetic (tests/launch/test_learner_and_engine.py)
    assert 0 <= row["parity"] < settings.parity_tolerance == 0.25
    name = "adapter_model.safetensors" if lora else "model.safetensors"
    before, after = (load_file(RunFolder(settings.output).policy(i) / name) for i in (0, 1))
    trained = [key for key in after if "lora_B" in key or (not lora and "proj" in key)]
    assert trained and all(after[key].dtype is torch.float32 for key in trained)
    assert all((before[key] != after[key]).float().mean() > 0.9 for key in trained)
