"""`--json`: what a command found, as one JSON object on standard output and nothing else there."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from rostrum.launch import figures
from rostrum.launch.cli import COMMANDS, main


@pytest.fixture
def found(capfd: pytest.CaptureFixture[str]) -> Callable[..., dict[str, Any]]:
    """Runs a command with --json; returns what it printed."""

    def run(*words: str, code: int = 0) -> dict[str, Any]:
        capfd.readouterr()
        assert main([*words, "--json"]) == code
        printed: dict[str, Any] = json.loads(capfd.readouterr().out)
        return printed

    return run


def test_an_evaluation_its_report_its_checks_and_its_listing(
    trained: Path, tmp_path: Path, found: Callable[..., dict[str, Any]]
) -> None:
    run = Path(shutil.copytree(trained, tmp_path / "runs" / "run"))
    evaluated = found("evaluate", f"run={run}", "questions.heldout=4")
    stored = json.loads((run / "summary.json").read_text("utf-8"))
    assert evaluated["summary"] == stored and len(evaluated["root_hash"]) == 64
    assert found("report", f"run={run}")["summary"] == stored
    checks = found("verify", f"run={run}")["checks"]
    assert checks and {check["result"] for check in checks} == {"matches"}
    (listed,) = found("runs", f"{tmp_path}/runs")["runs"]
    assert listed["folder"] == f"{run}" and listed["headline"]
    (run / "summary.json").write_text("{}", "utf-8")
    assert "differs" in {check["result"] for check in found("verify", f"run={run}", code=1)["checks"]}


def test_a_refusal_prints_no_figures(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    assert main(["report", f"run={tmp_path}/none", "--json"]) == 2
    printed = capfd.readouterr()
    assert printed.out == "" and printed.err.startswith("rostrum: ")


def test_only_commands_that_print_figures_take_it(capfd: pytest.CaptureFixture[str]) -> None:
    assert set(figures.COMMANDS) <= {command.name for command in COMMANDS}
    with pytest.raises(SystemExit):
        main(["train", "--json"])
    assert "--json" in capfd.readouterr().err


def test_nothing_is_kept_for_the_next_command() -> None:
    with figures.collected() as one:
        figures.keep("a", 1)
    figures.keep("b", float("nan"))
    with figures.collected() as two:
        figures.keep("c", float("nan"))
    assert one == {"a": 1} and json.loads(figures.printed(two)) == {"c": None}
