"""Trainings that are no longer worth their time end with a sentence, and leave nothing behind that looks whole."""

from collections.abc import Callable
from pathlib import Path

import pytest

from launch.cli import main
from trainer.run_folder import RunFolder

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
    assert run.published() == [0] and run.checkpoint() is None
