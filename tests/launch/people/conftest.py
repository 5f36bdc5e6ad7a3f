"""A tiny run that was evaluated, for studies of its debates."""

import shutil
from pathlib import Path

import pytest

from rostrum.launch.cli import main


@pytest.fixture(scope="session")
def evaluated(trained: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    run = shutil.copytree(trained, tmp_path_factory.mktemp("people") / "run")
    assert main(["evaluate", f"run={run}", "questions.heldout=40", "evaluation.attacks=0"]) == 0
    return run
