"""No command goes on with a split that has no questions: each says so, and why, before anything is played or lost."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.launch.test_new_folders import words

Refused = Callable[..., str]
ONE_STORY = "has no held-out questions: its questions are about one story"


def rows(stories: int, **changes: Any) -> list[dict[str, Any]]:
    return [
        {"id": str(n), "question": "where?", "answers": ["attic", "cellar"], "passage": f"story {n}", "correct": 0}
        | changes
        for n in range(stories)
    ]


def write(path: Path, lines: list[dict[str, Any]]) -> list[str]:
    path.write_text("".join(json.dumps(line) + "\n" for line in lines), "utf-8")
    return ["questions=jsonl", f"questions.path={path}"]


@pytest.fixture
def models(small: list[str]) -> list[str]:
    return [word for word in small if not word.startswith("questions.")]


@pytest.mark.parametrize("command", ["demo", "ablate", "judge adversarial"])
def test_what_is_begun_needs_held_out_questions(
    command: str, models: list[str], trained: Path, tmp_path: Path, refused: Refused
) -> None:
    questions = write(tmp_path / "one.jsonl", rows(1))
    assert ONE_STORY in refused(*words(command, tmp_path / "out", models, trained), *questions)
    assert {path.name for path in (tmp_path / "out").iterdir()} <= {".lock"}


@pytest.mark.parametrize("command", ["train", "plan", "demo", "judge train", "judge calibrate"])
def test_what_is_begun_needs_training_questions(
    command: str, models: list[str], trained: Path, tmp_path: Path, refused: Refused
) -> None:
    output = tmp_path / ("out.yaml" if command == "judge calibrate" else "out")
    questions = [*write(tmp_path / "four.jsonl", rows(4)), "questions.heldout_fraction=1"]
    said = refused(*words(command, output, models, trained), *questions)
    assert "has no training questions, as heldout_fraction=1 asks for" in said
    assert not output.is_file()


@pytest.mark.parametrize("command", ["evaluate", "tournament", "compare", "debate"])
@pytest.mark.parametrize("left", [0, 1])
def test_a_run_whose_questions_have_gone_is_not_tested_on_none(
    left: int, command: str, trained: Path, tmp_path: Path, refused: Refused
) -> None:
    run, path = Path(shutil.copytree(trained, tmp_path / "run")), tmp_path / "q.jsonl"
    write(path, rows(left))
    config = yaml.safe_load((run / "config.yaml").read_text("utf-8"))
    config["questions"] = {"kind": "jsonl", "path": str(path), "heldout_fraction": 0.5}
    (run / "config.yaml").write_text(yaml.safe_dump(config), "utf-8")
    out = tmp_path / "out"
    given = {
        "evaluate": [f"run={run}"],
        "tournament": [f"runs={run}", f"output={out}"],
        "debate": [f"a={run}"],
        "compare": [f"run={run}", f"output={out}", "arms=debate,consultancy"],
    }
    said = refused(command, *given[command])
    assert (ONE_STORY if left else f"{path}") in said
    assert not list(tmp_path.rglob("*.parquet")) and not (run / "evaluation").exists()


@pytest.mark.parametrize("command", ["train", "audit", "questions audit", "questions show"])
def test_filters_that_take_every_question_are_told(
    command: str, models: list[str], trained: Path, tmp_path: Path, refused: Refused
) -> None:
    path = tmp_path / "table.csv"
    path.write_text("q,a,b,key\nwhere?,N/A,attic,a\nwho?,cellar,All of the above,b\n", "utf-8")
    columns = [
        "questions=table",
        f"questions.path={path}",
        "questions.columns.question=q",
        "questions.columns.choices=[a,b]",
        "questions.columns.correct=key",
    ]
    own = [] if command.startswith("questions") else [*models, f"output={tmp_path}/out"]
    assert f"{path}" in refused(*command.split(), *own, *columns)
