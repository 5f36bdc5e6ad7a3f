"""Base models are read and trained with the token that begins their texts, as often as once, whoever reads."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from tokenizers import processors
from transformers import AutoTokenizer, GemmaTokenizer

from rostrum.launch.cli import main
from rostrum.trainer.engines.formats import make_format
from rostrum.trainer.engines.transformers.causal import TransformersEngine
from rostrum.trainer.learners.policy_gradient import PolicyGradient
from rostrum.trainer.models import loading
from rostrum.trainer.models.model_folders import finish
from rostrum.trainer.store.run_folder import read_lines
from rostrum.trainer.types import Policy, Trajectory
from tests.chat_models import tokenizer, write_model


def test_engine_learner_and_judge_begin_a_text_alike(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    model, words = write_model(tmp_path / "model", "mistral"), tokenizer("mistral")
    first = words.bos_token_id
    file = json.loads((model / "tokenizer.json").read_text("utf-8"))
    own = processors.TemplateProcessing(single="<s> $A", special_tokens=[("<s>", first)])
    file["post_processor"] = json.loads(own.__getstate__())
    (model / "tokenizer.json").write_text(json.dumps(file), "utf-8")
    seen: dict[str, list[Sequence[int]]] = {"engine": [], "learner": []}
    pad, learn = TransformersEngine._pad, PolicyGradient.update

    def padded(self: TransformersEngine, rows: Sequence[Sequence[int]]) -> Any:
        seen["engine"] += rows
        return pad(self, rows)

    def learned(self: PolicyGradient, rows: Sequence[Trajectory], policy: Policy) -> dict[str, float]:
        seen["learner"] += [trajectory.row.prompt for trajectory in rows]
        return learn(self, rows, policy)

    monkeypatch.setattr(TransformersEngine, "_pad", padded)
    monkeypatch.setattr(PolicyGradient, "update", learned)
    arguments = [
        f"debater.model={model}",
        f"judge.model={model}",
        "debater.format=plain",
        "judge.format=plain",
        "judge.min_mass=0",
        "heldout_judges=none",
        "questions.train=12",
        "questions.heldout=2",
        "iterations=1",
        "algorithm=rloo",
        "algorithm.questions_per_iteration=2",
        "algorithm.debates_per_seating=2",
        "algorithm.minibatches=1",
        "limits.cut_speeches=off",
        f"output={tmp_path}/run",
    ]
    assert main(["train", *arguments]) == 0
    for rows in seen.values():
        assert rows and all(row[0] == first and row[1] != first for row in rows)
    (row,) = read_lines(tmp_path / "run" / "metrics.jsonl")
    assert row["engine_gap_max"] < 1e-3


def test_gemma_begins_its_texts(tmp_path: Path) -> None:
    """Its class promises it, and does not do so where tokenizer.json was written without."""
    marks = {mark: index for index, mark in enumerate(("<pad>", "<eos>", "<bos>", "<unk>", "<mask>"))}
    folder = write_model(tmp_path / "model", "gemma3")
    letters = {letter: len(marks) + i for i, letter in enumerate("▁abcdefghijklmnopqrstuvwxyz")}
    words = GemmaTokenizer(vocab={**marks, **letters})
    words.save_pretrained(folder)
    assert marks["<bos>"] not in AutoTokenizer.from_pretrained(folder).encode("told")
    check_beginning(folder, marks["<bos>"])


def test_a_folder_that_declares_a_beginning_gets_it(tmp_path: Path) -> None:
    """transformers 5 passes over `add_bos_token` where there is a tokenizer.json."""
    folder, first = write_model(tmp_path / "model", "mistral"), tokenizer("mistral").bos_token_id
    path = folder / "tokenizer_config.json"
    path.write_text(json.dumps({**json.loads(path.read_text("utf-8")), "add_bos_token": True}), "utf-8")
    assert first not in AutoTokenizer.from_pretrained(folder).encode("told")
    check_beginning(folder, first)


def check_beginning(folder: Path, first: int) -> None:
    """Prompts begin once, and do so also with the tokenizer as it is published and exported, for whoever loads it."""
    words = loading.load_tokenizer(str(folder))
    opened = make_format(words, [words.eos_token_id], "plain").open(["told", "said", "told again"])
    assert opened[0] == first and opened.count(first) == 1
    words.save_pretrained(folder)
    finish(folder)
    again = loading.load_tokenizer(str(folder))
    assert make_format(again, [again.eos_token_id], "plain").open(["told", "said", "told again"]) == opened
    assert AutoTokenizer.from_pretrained(folder).encode("told")[0] == first
