"""`evaluate questions.seed=N`: checkpoints are tested on questions that no earlier look has worn out."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pandas as pd
import pytest

from rostrum.launch import saved
from rostrum.launch.cli import main
from rostrum.trainer.store.provenance import question_hashes


@pytest.fixture
def run(trained: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(trained, tmp_path / "run"))


def test_checkpoints_are_tested_on_fresh_questions(run: Path) -> None:
    assert main(["evaluate", f"run={run}", "questions.heldout=4"]) == 0
    before = pd.read_parquet(run / "verdicts.parquet")
    learned = (run / "training_accuracy.jsonl").read_bytes()
    assert main(["evaluate", f"run={run}", "questions.heldout=4", "questions.seed=7"]) == 0
    table = pd.read_parquet(run / "verdicts.parquet")
    assert set(table["question_id"]) == {f"heldout-7-{i}" for i in range(4)}
    assert not set(table["story_id"]) & set(before["story_id"])
    assert (run / "training_accuracy.jsonl").read_bytes() == learned, "they are judged by their own key"
    record = json.loads((run / "manifest.json").read_text("utf-8"))
    fresh = saved.run_config(run).questions.model_copy(update={"seed": 7, "heldout": 4})
    assert record["evaluated"]["questions"] == question_hashes(fresh)["heldout"]
    assert main(["verify", f"run={run}"]) == 0


def test_a_plan_names_the_fresh_questions(small: list[str], tmp_path: Path) -> None:
    words = ["plan", *small, "evaluation.questions_seed=7", f"output={tmp_path}/planned"]
    assert main(words) == 0
    lock = json.loads((tmp_path / "planned" / "protocol.lock").read_text("utf-8"))
    from rostrum.launch import compose

    config = compose.load(["experiment=demo", *small])
    declared = lock["entries"][0]["declared"]["questions"]
    assert declared["train"] == question_hashes(config.questions)["train"]
    assert declared["heldout"] == question_hashes(config.questions.model_copy(update={"seed": 7}))["heldout"]
    assert declared["heldout"] != question_hashes(config.questions)["heldout"]


def test_stories_that_were_learned_from_are_not_fresh(
    small: list[str], tmp_path: Path, refused: Callable[..., str]
) -> None:
    """A stored set is only divided anew by another seed."""
    lines = [
        {
            "id": f"q{i}",
            "story_id": f"s{i}",
            "question": "where is the key ?",
            "answers": ["kitchen", "office"],
            "passage": f"in the kitchen anna saw it {i} times .",
            "correct": i % 2,
        }
        for i in range(24)
    ]
    (tmp_path / "q.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    own = [word for word in small if not word.startswith("questions.")]
    questions = ("questions=jsonl", f"questions.path={tmp_path}/q.jsonl", "evaluation.questions_seed=3")
    error = refused("train", *questions, *own, f"output={tmp_path}/run")
    assert "that the run learns from among the held-out ones" in error
