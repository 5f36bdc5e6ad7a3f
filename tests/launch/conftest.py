"""Overrides that keep a run tiny, and a finished run to work with."""

import re
from collections.abc import Callable
from pathlib import Path

import pytest

from rostrum.launch.cli import main

SIGN_OF_LIFE = re.compile(r" \(\d+ s\)$", re.MULTILINE)
"""How a line ends that says what takes long: on a slow machine there are some."""


@pytest.fixture(scope="session")
def small(tiny: Path) -> list[str]:
    """Two iterations of two questions on random models, twelve held-out questions."""
    return [
        f"debater.model={tiny}/debater",
        f"judge.model={tiny}/judge",
        "judge.min_mass=0",
        "heldout_judges=none",
        "questions.train=12",
        "questions.heldout=12",
        "algorithm.questions_per_iteration=2",
        "algorithm.debates_per_seating=2",
        "algorithm.minibatches=1",
        "iterations=2",
        "save_every=1",
    ]


@pytest.fixture(scope="session")
def trained(small: list[str], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run of one iteration, trained and not evaluated. Tests that change it work on a copy."""
    folder = tmp_path_factory.mktemp("trained") / "run"
    assert main(["train", *small, "iterations=1", f"output={folder}"]) == 0
    return folder


@pytest.fixture
def refused(capfd: pytest.CaptureFixture[str]) -> Callable[..., str]:
    """Runs a command that must be refused: exit code 2 and one sentence on standard error, which is returned."""

    def run(*arguments: str) -> str:
        assert main(arguments) == 2
        lines = capfd.readouterr().err.splitlines(keepends=True)
        error = "".join(line for line in lines if not SIGN_OF_LIFE.search(line))
        assert error.startswith("rostrum: ") and error.count("\n") == 1, error
        assert "Traceback" not in error
        return error

    return run
