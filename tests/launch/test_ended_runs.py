"""Trainings that are no longer worth their time end with a sentence, and leave nothing behind that looks whole."""

from collections.abc import Callable
from pathlib import Path

import pytest

from rostrum.launch import compose
from rostrum.launch.cli import main
from rostrum.trainer.learners import limits
from rostrum.trainer.learners.limits import LimitError
from rostrum.trainer.store.run_folder import RunFolder, read_lines

Ended = Callable[..., str]


@pytest.fixture
def ended(capfd: pytest.CaptureFixture[str]) -> Ended:
    """Runs a command that must end with exit code 2 and a sentence, the last line on standard error."""

    def run(*arguments: str) -> str:
        assert main(arguments) == 2
        error = capfd.readouterr().err
        assert "Traceback" not in error
        last = error.splitlines()[-1]
        assert last.startswith("rostrum: "), error
        return last

    return run


def test_an_update_that_leaves_no_numbers_is_neither_published_nor_kept(
    small: list[str], tmp_path: Path, ended: Ended
) -> None:
    run = RunFolder(tmp_path / "run")
    error = ended("train", *small, f"output={run.path}", "algorithm.learning_rate=1e39")
    assert "Since the update of iteration 1" in error and "algorithm.learning_rate" in error
    assert run.published() == [0] and run.checkpoint() is None and not run.metrics.exists()


def test_speeches_that_are_all_cut_end_a_run_which_can_go_on_without_the_limit(
    small: list[str], tmp_path: Path, ended: Ended
) -> None:
    run = RunFolder(tmp_path / "run")
    error = ended("train", *small, f"output={run.path}", "debater.max_tokens=1", "iterations=1")
    assert "In iteration 1 all of the speeches were cut" in error and "raise debater.max_tokens (now 1)" in error
    assert "limits.cut_speeches=off" in error
    assert main(["train", f"resume={run.path}", "limits.cut_speeches=off"]) == 0
    (row,) = read_lines(run.metrics)
    assert row["cut_speeches"] == 1


def test_speeches_that_are_all_cut_in_an_evaluation_are_told(
    small: list[str], tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    words = (*small, "iterations=1", "questions.heldout=2", "debater.max_tokens=1", "limits.cut_speeches=off")
    assert main(["train", *words, f"output={tmp_path}/run"]) == 0
    capfd.readouterr()
    assert main(["evaluate", f"run={tmp_path}/run", "evaluation.checkpoints=[1]"]) == 0
    told = [line for line in capfd.readouterr().err.splitlines() if "were cut at their last token" in line]
    assert [line.partition(":")[0] for line in told] == [
        "base against self",
        "iteration-0001 against self",
        "iteration-0001 against base",
        "iteration-0001 against base",
    ]
    assert "all of the speeches of checkpoint were cut" in told[1] and "raise debater.max_tokens (now 1)" in told[1]
    assert "all of the speeches of base were cut" in told[2]


def test_a_policy_that_has_gone_too_far_ends_a_run(small: list[str], tmp_path: Path, ended: Ended) -> None:
    error = ended("train", *small, f"output={tmp_path}/run", "limits.kl=1e-12")
    assert "In iteration 1 the policy's KL divergence" in error and "limits.kl=off lets it go on" in error


@pytest.mark.parametrize(
    ("figures", "said"),
    [
        ({"empty_speeches": 1.0}, "all of the speeches say nothing"),
        ({"entropy": 0.0}, "entropy is 0 nats"),
        ({"entropy": float("nan")}, "entropy is nan nats"),
        ({"cut_speeches": 0.97}, None),
        ({"entropy": 0.1, "cut_speeches": 0.5, "empty_speeches": 0.99}, None),
    ],
)
def test_figures_of_debates(figures: dict[str, float], said: str | None, small: list[str]) -> None:
    config = compose.load(small)
    off = compose.load(
        [*small, *(f"limits.{name}=off" for name in ("kl", "entropy", "empty_speeches", "cut_speeches"))]
    )
    row = {"iteration": 3, **figures}
    if said is None:
        told = limits.check_speeches(row, config)
        assert len(told) == (figures["cut_speeches"] > 0.9)
        assert all("97% of the speeches were cut" in one and "max_tokens" in one for one in told)
    else:
        with pytest.raises(LimitError, match=f"In iteration 3.*{said}"):
            limits.check_speeches(row, config)
    limits.check_speeches(row, off)


@pytest.mark.parametrize("kl", [11.0, float("inf"), float("nan")])
def test_figures_of_learning(kl: float, small: list[str]) -> None:
    with pytest.raises(LimitError, match="KL divergence"):
        limits.check_learned({"iteration": 3, "kl": kl}, compose.load(small))
    limits.check_learned({"iteration": 3, "kl": kl}, compose.load([*small, "limits.kl=off"]))
    limits.check_learned({"iteration": 3, "kl": 9.0}, compose.load(small))
    limits.check_learned({"iteration": 3}, compose.load(small))


def test_a_key_for_weights_and_biases_is_asked_for_beforehand(
    small: list[str], tmp_path: Path, ended: Ended, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("WANDB_API_KEY", "WANDB_IDENTITY_TOKEN_FILE", "NETRC"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HOME", str(tmp_path))
    assert "WANDB_API_KEY" in ended("train", *small, f"output={tmp_path}/run", "wandb.mode=online")
    assert not (tmp_path / "run" / "config.yaml").exists()
