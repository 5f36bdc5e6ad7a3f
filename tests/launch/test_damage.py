"""Random damage to every file of a run, for every command that reads it: a sentence that names the file, or success."""

import gc
import os
import random
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from rostrum.launch import context
from rostrum.launch.cli import main
from rostrum.launch.commands import evaluate
from rostrum.launch.compose import load
from rostrum.trainer import model_checks
from rostrum.trainer.evaluation.summary import Summary
from rostrum.trainer.models import loading
from rostrum.trainer.weights import parity
from tests.launch.damage import copied, damage

SEED, PAIRS, TIMES = 11, 150, 4
"""In CI so many pairs of a file and a command; in the exhaustive test each pair so many times."""
READS = {
    "report": r"config.yaml|manifest.json|(metrics|watch|training_accuracy|attacks|debates).jsonl|verdicts.parquet",
    "verify": r"config.yaml|manifest.json|summary.json|verdicts.parquet|evaluation/config.yaml",
    "evaluate": r"config.yaml|manifest.json|transcripts.jsonl|evaluation/.*|policies/.*",
    "resume": r"config.yaml|manifest.json|(metrics|transcripts).jsonl|trainer/.*",
    "export": r"config.yaml|policies/iteration-0002/.*",
    "export-logs": r"config.yaml|manifest.json|verdicts.parquet|evaluation/.*transcripts.jsonl",
    "debate": r"config.yaml|policies/iteration-0002/.*",
    "tournament": r"config.yaml|policies/.*",
    "compare": r"config.yaml|policies/.*",
}
"""The files that a command reads, or may."""
SLOW = ("tournament", "compare")
"""They read what others read, and take seconds to play."""
COMMANDS = {
    "report": ["report", "run={run}"],
    "verify": ["verify", "run={run}"],
    "evaluate": ["evaluate", "run={run}", "evaluation=all", "questions.heldout=2"],
    "resume": ["train", "resume={run}"],
    "export": ["export", "run={run}", "output={out}"],
    "export-logs": ["export-logs", "run={run}", "output={out}"],
    "debate": ["debate", "a={run}", "b={run}"],
    "tournament": ["tournament", "runs={run}", "output={out}", "questions.heldout=2"],
    "compare": ["compare", "run={run}", "output={out}", "arms=debate,consultancy", "questions.heldout=2"],
}


@pytest.fixture(scope="module")
def evaluated(small: list[str], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two iterations, evaluated at both."""
    run = tmp_path_factory.mktemp("damage") / "run"
    assert main(["train", *small, f"output={run}"]) == 0
    assert main(["evaluate", f"run={run}", "evaluation=all", "questions.heldout=2"]) == 0
    return run


@pytest.fixture(scope="module", autouse=True)
def only_what_reads(evaluated: Path, tiny: Path) -> Iterator[None]:
    """Spare every command what no file of the run has a part in: what is found about the two tiny models is found once,
    an evaluation is not reported on (`report` and `verify` do that), and nothing waits for the disk."""
    gc.collect()
    gc.freeze()  # accelerate collects garbage, among all that pytest and torch hold, whenever a trainer ends
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(os, "fsync", lambda _: None)
        for module, name in ((loading, "load_tokenizer"), (loading, "end_tokens"), (model_checks, "check_model")):
            patch.setattr(module, name, _once(getattr(module, name), str(tiny)))
        rows = parity.rows_of(load([f"debater.model={tiny}/debater", f"output={evaluated}"]))
        patch.setattr(parity, "rows_of", lambda _: rows)
        patch.setattr(context, "check_context", lambda *_: None)
        patch.setattr("rostrum.trainer.learners.policy_gradient.check_deterministic", lambda *_: None)
        summary = Summary.read(evaluated / "summary.json")
        patch.setattr(evaluate, "write_report", lambda *_: (summary, None))
        yield
    gc.unfreeze()


def _once(function: Callable[..., Any], under: str) -> Callable[..., Any]:
    """Return a function that calls another once for the same arguments, where the first is a path under a folder."""
    found: dict[str, Any] = {}

    def remembered(*arguments: Any, **named: Any) -> Any:
        if not str(arguments[0]).startswith(under):
            return function(*arguments, **named)
        key = repr((arguments, named))
        if key not in found:
            found[key] = function(*arguments, **named)
        return found[key]

    return remembered


def files(run: Path) -> list[str]:
    """The files of a run that a command may read."""
    names = sorted(str(path.relative_to(run)) for path in run.rglob("*") if path.is_file())
    return [name for name in names if not name.endswith((".html", ".svg", ".csv", ".md", ".lock"))]


def drawn(run: Path, number: int) -> tuple[str, str]:
    """A file and a command that reads it."""
    draw = random.Random(SEED * 1000 + number)
    command = draw.choice([command for command in COMMANDS if command not in SLOW])
    return draw.choice([name for name in files(run) if re.fullmatch(READS[command], name)]), command


def check(run: Path, name: str, command: str, seed: int, tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    """One command on a copy of the run with one file damaged."""
    copy = copied(run, tmp_path)
    draw = random.Random(f"{name} {command} {seed}")
    kind = damage(copy / name, draw)
    capfd.readouterr()
    words = [word.format(run=copy, out=tmp_path / "out") for word in COMMANDS[command]]
    code = main(words)
    shown = capfd.readouterr()
    told = f"{name}, {kind}, {command}: {code}\n{shown.out[-2000:]}\n{shown.err[-2000:]}"
    assert "Traceback" not in shown.out + shown.err, told
    if code == 2:
        sentence = shown.err.splitlines()[-1]
        file = Path(name)
        named = file.name in sentence or str(file.parent) in sentence
        assert sentence.startswith("rostrum: ") and named, told
    else:
        assert code in ((0, 1) if command == "verify" else (0,)), told


@pytest.mark.parametrize("number", range(PAIRS))
def test_damage_is_told_in_a_sentence(
    number: int, evaluated: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    check(evaluated, *drawn(evaluated, number), number, tmp_path, capfd)


@pytest.mark.exhaustive
@pytest.mark.parametrize("command", COMMANDS)
def test_any_damage_to_any_file_is_told_in_a_sentence(
    command: str, evaluated: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    for seed in range(TIMES):
        for number, name in enumerate(files(evaluated)):
            place = tmp_path / f"{seed}-{number}"
            place.mkdir()
            check(evaluated, name, command, seed, place, capfd)
