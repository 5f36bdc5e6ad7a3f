"""Question sets from the command line: the audit, every choice of the group, and a kind that is added by two files."""

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from rostrum.envs.questions import settings_by_kind
from rostrum.envs.testimony.world import TestimonyWorld
from rostrum.launch import compose, saved
from rostrum.launch.cli import main

ROOT = Path(__file__).parents[2]
CHOICES = sorted(path.stem for path in (ROOT / "configs" / "questions").glob("*.yaml"))
QUALITY = ("audit", "questions=quality", "questions.path=x")
Refused = Callable[..., str]


@pytest.fixture
def quality(tmp_path: Path) -> Path:
    """Twelve stories of six questions, without annotations."""
    path = tmp_path / "quality.jsonl"
    with path.open("w", encoding="utf-8") as file:
        for story in range(12):
            questions = [
                {
                    "question": f"Who sang song {i}?",
                    "question_unique_id": f"{story}_{i}",
                    "gold_label": 1 + i % 4,
                    "options": [f"The {bird}" for bird in ("wren", "crow", "lark", "rook")],
                }
                for i in range(6)
            ]
            record = {"article_id": str(story), "article": f"Birds sang in wood {story}.", "questions": questions}
            file.write(json.dumps(record) + "\n")
    return path


def audited(capfd: pytest.CaptureFixture[str], *words: str) -> dict[str, Any]:
    assert main(["questions", "audit", *words]) == 0
    found: dict[str, Any] = json.loads(capfd.readouterr().out)  # one JSON object and nothing else
    return found


def test_the_audit_prints_one_json_object(quality: Path, capfd: pytest.CaptureFixture[str]) -> None:
    found = audited(capfd, "questions=quality-khan", f"questions.path={quality}", "questions.max_per_story=2")
    assert (found["n_stories"], found["n_questions"]) == (12, 24)
    assert found["selection"]["dropped"]["max_per_story"] == 48
    assert found["selection"]["could_not_tell"]["hard_only"] == 72
    assert found["questions"]["kind"] == "quality" and found["questions"]["path"] == str(quality)
    assert set(found["baselines"]) == {
        "longer_answer",
        "shorter_answer",
        "more_words_of_the_question",
        "answer_only",
    }


def test_the_default_questions_can_be_audited_with_limits(capfd: pytest.CaptureFixture[str]) -> None:
    found = audited(capfd, "questions.train=30", "questions.heldout=20")
    assert [found["splits"][split]["n_questions"] for split in ("train", "heldout")] == [30, 20]


def test_a_table_is_named_on_the_command_line(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "table.csv"
    lines = [f"Is {n} even?,{n % 2 == 0}" for n in range(40)]
    path.write_text("\n".join(["The Question,even", *lines]), "utf-8")
    found = audited(
        capfd,
        "questions=table",
        f"questions.path={path}",
        'questions.columns.question="The Question"',
        "questions.columns.yes_no=even",
    )
    assert found["n_questions"] == 40 and found["first_answer_right"]["n"] == 40


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ([], "rostrum questions audit"),
        (["adit"], "'adit' is no action"),
        (["audit", "questions=quality", "questions.path=/no/such/file"], "/no/such/file is not a file"),
        (["audit", "questions=quality"], "questions.path"),
        ([*QUALITY, "questions.hard=true"], "no configuration key 'questions.hard'"),
        ([*QUALITY, "questions.min_context=9"], "questions.min_context cannot be 9"),
        (["audit", "questions.kind=os"], "'jsonl', 'quality', 'table', 'testimony'"),
        (["audit", "questions.train=null"], "questions.train cannot be None"),
        (["audit", "questions=table"], "right and wrong, or of choices and correct"),
        (["audit", "questions=table", "questions.columns.yes_no=a"], "give questions.path=FILE or"),
        (["audit", "questions=table", "questions.columns.yesno=a"], "no configuration key 'questions.columns.yesno'"),
    ],
)
def test_what_is_wrong_is_told_in_one_sentence(words: list[str], said: str, refused: Refused) -> None:
    assert said in refused("questions", *words)


@pytest.mark.parametrize("choice", CHOICES)
def test_every_choice_names_a_kind_and_keeps_its_limits_when_saved(choice: str, tmp_path: Path) -> None:
    given = ["questions.path=x"] if choice != "testimony" else []
    given += ["questions.columns.yes_no=a"] if choice == "table" else []
    config = compose.load([f"questions={choice}", *given])
    assert config.questions.kind in settings_by_kind()
    compose.save(config, tmp_path / "config.yaml")
    assert compose.read(tmp_path / "config.yaml") == config
    changed = saved.changed(config, ["questions.heldout=100"], ("questions.heldout",))
    assert changed.questions.heldout == 100
    assert saved.difference(config, changed) == "questions.heldout"


def test_every_kind_is_named_after_its_module() -> None:
    kinds = settings_by_kind()
    assert set(kinds) >= {"jsonl", "quality", "table", "testimony"}
    for name, settings in kinds.items():
        assert settings.model_fields["kind"].annotation.__args__ == (name,)


def test_a_run_on_quality_is_trained_and_evaluated(small: list[str], tmp_path: Path) -> None:
    """Stories of the testimony world in QuALITY's format, which the tiny models can read."""
    world = TestimonyWorld(train=40, heldout=0)
    key = world.answer_key("train")
    path, run = tmp_path / "quality.jsonl", tmp_path / "run"
    with path.open("w", encoding="utf-8") as file:
        for question in world.questions("train"):
            asked = {
                "question": question.text,
                "question_unique_id": question.id,
                "options": list(question.answers),
                "gold_label": key[question.id] + 1,
            }
            record = {"article_id": question.story_id, "article": question.passage, "questions": [asked]}
            file.write(json.dumps(record) + "\n")
    where = ["questions=quality", f"questions.path={path}", f"output={run}", "iterations=1"]
    assert main(["train", *small, *where]) == 0
    assert main(["evaluate", f"run={run}", "questions.heldout=4"]) == 0
    summary = json.loads((run / "summary.json").read_text("utf-8"))
    assert summary["arms"][0]["accuracy"][0]["n_questions"] == 4


RIDDLES = """
from typing import Literal

from rostrum.envs.questions.base import Entry, Place, QuestionSettings, SplitRule, StoredQuestions
from rostrum.envs.types import Question


class Settings(QuestionSettings):
    kind: Literal["riddles"]
    riddles: int = 10

    def load(self) -> StoredQuestions:
        questions = [Question(f"r{n}", f"s{n}", f"What is {n}?", ("egg", "sea"), "") for n in range(self.riddles)]
        entries = [Entry(question, n % 2, Place("riddles", f"riddle {n}")) for n, question in enumerate(questions)]
        return StoredQuestions("riddles", entries, SplitRule(train=self.train, heldout=self.heldout))
"""


def test_a_new_kind_is_one_module_and_one_yaml(tmp_path: Path) -> None:
    shutil.copytree(
        ROOT / "rostrum", tmp_path / "rostrum", ignore=shutil.ignore_patterns("__pycache__", "*.safetensors")
    )
    (tmp_path / "rostrum" / "envs" / "questions" / "riddles.py").write_text(RIDDLES, "utf-8")
    (tmp_path / "rostrum" / "configs" / "questions" / "riddles.yaml").write_text("kind: riddles\n", "utf-8")
    words = ["questions", "audit", "questions=riddles", "questions.riddles=30", "questions.heldout=3"]
    done = subprocess.run(
        [sys.executable, "-m", "rostrum", *words],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(tmp_path)},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    assert found["questions"]["kind"] == "riddles" and found["splits"]["heldout"]["n_questions"] == 3
    wrong = subprocess.run(
        [sys.executable, "-m", "rostrum", *words, "questions.ridles=3"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        env={**os.environ, "PYTHONPATH": str(tmp_path)},
    )
    assert (wrong.returncode, wrong.stdout) == (2, "") and "'questions.ridles'" in wrong.stderr
