"""What a command begins needs a folder of its own: somebody's files are left as they are, and no link is followed."""

import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from rostrum.launch.cli import main

Refused = Callable[..., str]
NEW = (
    "train",
    "demo",
    "plan",
    "audit",
    "ablate",
    "compare",
    "tournament",
    "judge train",
    "judge adversarial",
    "export",
)


def words(command: str, output: Path, small: list[str], trained: Path) -> list[str]:
    """Overrides with which the command would begin something in that folder."""
    own = {
        "ablate": ["seed=1,2"],
        "compare": [f"run={trained}", "arms=debate,consultancy"],
        "tournament": [f"runs={trained}"],
        "export": [f"run={trained}"],
        "judge adversarial": ["adversarial.questions=2", "rounds=1"],
    }
    composed = [] if command in ("compare", "tournament", "export") else small
    return [*command.split(), *composed, *own.get(command, []), f"output={output}"]


@pytest.mark.parametrize("command", NEW)
def test_a_folder_with_somebodys_files_is_left_as_it_is(
    command: str, small: list[str], trained: Path, tmp_path: Path, refused: Refused
) -> None:
    output = tmp_path / "mine"
    output.mkdir()
    (output / "notes.txt").write_text("precious", "utf-8")
    assert f"{output} is not empty" in refused(*words(command, output, small, trained))
    assert (output / "notes.txt").read_text("utf-8") == "precious"
    assert {path.name for path in output.iterdir()} <= {"notes.txt", ".lock"}


def test_a_run_in_a_folder_that_is_none_is_not_evaluated(tmp_path: Path, refused: Refused) -> None:
    (tmp_path / "notes.txt").write_text("precious", "utf-8")
    for command in (["evaluate", f"run={tmp_path}"], ["train", f"resume={tmp_path}"], ["report", f"run={tmp_path}"]):
        assert "give the folder of a run" in refused(*command)
    assert [path.name for path in tmp_path.iterdir()] == ["notes.txt"]


def test_what_is_looked_at_writes_nothing(
    small: list[str], trained: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    before = {path: path.stat().st_mtime_ns for path in trained.rglob("*")}
    assert main(["questions", "show", "questions=testimony", "questions.train=2", "questions.heldout=2"]) == 0
    assert main(["debate", f"a={trained}", "questions.heldout=2"]) == 0
    assert not list(tmp_path.iterdir()) and before == {path: path.stat().st_mtime_ns for path in trained.rglob("*")}


@pytest.mark.parametrize(
    ("command", "name"),
    [("train resume=", name) for name in ("trainer", "policies", "metrics.jsonl", ".lock", "wandb")]
    + [("evaluate run=", "evaluation")],
)
def test_nothing_is_written_through_a_link_in_a_run(
    command: str, name: str, trained: Path, tmp_path: Path, refused: Refused
) -> None:
    run, away = Path(shutil.copytree(trained, tmp_path / "run")), tmp_path / "elsewhere" / name
    away.parent.mkdir()
    if (run / name).exists():
        (run / name).rename(away)
    elif "." in name:
        away.touch()
    else:
        away.mkdir()
    (run / name).symlink_to(away)
    before = {path: path.stat().st_mtime_ns for path in (away, *away.rglob("*"))}
    if name == "wandb":
        config = run / "config.yaml"
        config.write_text(config.read_text("utf-8").replace("mode: disabled", "mode: offline"), "utf-8")
    said = refused(*f"{command}{run}".split())
    assert f"{run / name} is a link" in said
    assert before == {path: path.stat().st_mtime_ns for path in (away, *away.rglob("*"))}


@pytest.mark.parametrize("command", ["demo", "ablate", "compare", "tournament", "export", "audit"])
def test_nothing_is_written_through_a_link_in_an_output(
    command: str, small: list[str], trained: Path, tmp_path: Path, refused: Refused, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("rostrum.launch.saved.check_new", lambda *_: None)  # which refuses most of them by itself
    planted = {
        "demo": "arms/debate",
        "ablate": "cells/seed=1",
        "compare": "arms",
        "tournament": "debate",
        "audit": "audit.yaml",
    }
    away, output = tmp_path / "elsewhere", tmp_path / "out"
    away.mkdir()
    link = output / planted[command] if command in planted else output
    link.parent.mkdir(parents=True, exist_ok=True)
    link.symlink_to(away / "new" if command == "audit" else away)
    said = refused(*words(command, output, small, trained))
    assert f"{link} is a link" in said
    assert not list(away.iterdir())


def test_a_folder_of_ours_in_the_working_folder_is_not_taken(tmp_path: Path) -> None:
    for name in ("trainer", "envs", "rewards", "datasets"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "__init__.py").write_text("print('STRANGE'); raise SystemExit(9)", "utf-8")
    script = Path(sys.executable).with_name("rostrum")
    commands = [[sys.executable, "-m", "rostrum"], *([[str(script)]] if script.exists() else [])]
    for command in commands:
        done = subprocess.run([*command, "report"], cwd=tmp_path, capture_output=True, text=True, env=dict(os.environ))
        assert done.returncode == 2 and "Name the run" in done.stderr and "STRANGE" not in done.stdout, done
