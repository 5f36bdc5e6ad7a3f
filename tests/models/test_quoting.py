"""A real small model learns to quote from its own speeches, and a training starts from what it has become."""

from pathlib import Path

import pytest

from rostrum.launch.cli import main
from rostrum.trainer.reading import read_json_lines
from rostrum.trainer.store.run_folder import RunFolder, read_lines
from rostrum.trainer.warmstart.quoting import Round


@pytest.fixture
def words(models: dict[str, str], stories: Path) -> list[str]:
    """SmolLM2 on windows of 150 tokens; a quote of three words counts, so that a few speeches are enough."""
    model = models["smollm2"]
    settings = {
        "questions.path": stories,
        "debater.model": model,
        "judge.model": model,
        "judge.min_mass": 0,
        "debater.max_tokens": 48,
        "debater.window.tokens": 150,
        "debater.window.keep": "beginning",
        "debater.engine_options": "{prefix_cache_bytes: 1000000000}",
    }
    return ["experiment=smollm", *(f"{key}={value}" for key, value in settings.items())]


@pytest.mark.exhaustive
def test_a_warm_start_keeps_speeches_that_quote_and_is_trained_on(words: list[str], tmp_path: Path) -> None:
    warming = {"rounds": 1, "questions": 2, "heldout": 1, "candidates": 4, "min_words": 3, "most_quoted": 1}
    warm = [f"warmstart.{key}={value}" for key, value in warming.items()]
    assert main(["warmstart", *words, *warm, f"output={tmp_path}/warm"]) == 0
    before, after = read_json_lines(tmp_path / "warm" / "rounds.jsonl", Round)
    assert before.heldout.speeches == after.heldout.speeches == 4
    assert after.kept > 0 and after.written is not None and after.written.speeches == 8
    assert (tmp_path / "warm" / "policies" / "iteration-0001" / "adapter_model.safetensors").is_file()
    small = ["iterations=1", "algorithm.questions_per_iteration=1", "algorithm.debates_per_seating=1"]
    small += ["algorithm.epochs=1", "algorithm.minibatches=1", "limits.cut_speeches=off", "questions.heldout=2"]
    rest = [word for word in words if not word.startswith("debater.model")]
    run = ["train", *rest, *small, f"debater.model={tmp_path}/warm/model", f"output={tmp_path}/run"]
    assert main(run) == 0
    (row,) = read_lines(RunFolder(tmp_path / "run").metrics)
    assert row["failed"] == 0
