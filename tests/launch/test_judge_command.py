"""Judges from the command line: trained alone, trained in rounds with debaters, and held to their hash by every run."""

import json
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

from rostrum.launch.arms import Training
from rostrum.launch.cli import main
from rostrum.launch.compose import load
from rostrum.rewards import labelled
from rostrum.trainer.models import loading
from rostrum.trainer.session import Session
from rostrum.trainer.store.run_folder import RunFolder, read_lines
from tests.launch.here import run_here
from tests.trainer.judge_training.test_judge_training import planted
from tests.trainer.test_frozen import flip_last_byte

Refused = Callable[..., str]
QUICK = ("judge_training.epochs=1", "judge_training.batch_rows=8")


@pytest.fixture(scope="module")
def debates(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("labelled") / "debates.jsonl"
    labelled.write(path, planted(16))
    return path


@pytest.fixture(scope="module")
def taught(debates: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("judges") / "mine"
    folder.mkdir()
    for name in (".training", ".ready"):  # links that somebody has put where an earlier release wrote
        (folder.parent / "elsewhere").mkdir(exist_ok=True)
        (folder / name).symlink_to(folder.parent / "elsewhere")
    assert main(["judge", "train", f"debates={debates}", f"output={folder}", *QUICK]) == 0
    return folder


def test_a_trained_judge_is_a_folder_that_gives_the_reward(taught: Path, small: list[str], tmp_path: Path) -> None:
    names = {path.name for path in taught.iterdir()}
    wanted = {
        "config.json",
        "model.safetensors",
        "tokenizer.json",
        "judge.yaml",
        "calibrated.yaml",
        "training.json",
        "README.md",
    }
    assert not list((taught.parent / "elsewhere").iterdir())
    assert wanted <= names and not [name for name in names if name.endswith(".tmp")]
    assert load([f"judge={taught}/calibrated.yaml"]).judge.kind == "calibrated"
    run = tmp_path / "run"
    assert main(["train", *small, "iterations=1", f"output={run}", f"judge.model={taught}"]) == 0
    assert read_lines(RunFolder(run).metrics)[0]["invalid"] == 0
    card = (taught / "README.md").read_text("utf-8")
    assert "embedded/judge" in card and "before | " in card and "{" not in card


def test_what_it_did_is_told(debates: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    assert main(["judge", "train", f"debates={debates}", f"output={tmp_path}/mine", *QUICK]) == 0
    shown = capfd.readouterr()
    assert "Held-out accuracy" in shown.out and f"judge={tmp_path}/mine/judge.yaml" in shown.out
    assert "step 0: held-out loss" in shown.err and "LOAD REPORT" not in shown.err


def test_without_a_file_the_base_debater_plays_the_training_split(
    tiny: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[Any] = []

    def keep(config: Any, debates: Any, output: Path) -> Any:
        seen.extend(debates)
        raise KeyboardInterrupt

    monkeypatch.setattr("rostrum.trainer.judge_training.training.train_judge", keep)
    words = ["questions.train=40", "judge_training.questions=3", f"debater.model={tiny}/debater"]
    assert main(["judge", "train", f"output={tmp_path}/mine", *words]) == 130
    assert [debate.transcript.question.id for debate in seen] == [f"train-0-{i // 2}" for i in range(6)]
    assert {debate.target for debate in seen} == {0.0, 1.0}


def test_stopped_in_the_middle_there_is_no_judge_and_it_can_begin_again(
    debates: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    words = ["judge", "train", f"debates={debates}", f"output={tmp_path}/mine", *QUICK]
    with monkeypatch.context() as patch:
        patch.setattr("rostrum.trainer.judge_training.folder.write", lambda *_: _interrupt())
        assert main(words) == 130
    assert f"holds no judge; start again with `rostrum {' '.join(words)}`" in capfd.readouterr().err
    with pytest.raises(loading.ModelError):
        loading.resolve(f"{tmp_path}/mine")
    assert main(words) == 0


def _interrupt() -> None:
    raise KeyboardInterrupt


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ([], "judge calibrate or train or adversarial"),
        (["tain"], "'tain' is no action"),
        (["train"], "output=FOLDER"),
        (["train", "output=OUT", "debates=/no/such"], "There is no file of labelled debates /no/such"),
        (["train", "output=OUT", "judge_training.head=words"], "judge_training.head cannot be 'words'"),
        (["train", "output=OUT", "judge_training.micro_batch_rows=7"], "micro_batch_rows=7 does not divide"),
        (["train", "output=OUT", "judge.model=/no/model"], "There is no model folder /no/model"),
        (["adversarial", "output=OUT", "rounds=0"], "adversarial.rounds cannot be 0"),
        (["adversarial", "output=OUT", "questions.train=900"], "need 1,500 training questions and there are 900"),
    ],
)
def test_what_is_wrong_is_told_in_one_sentence(words: list[str], said: str, refused: Refused, tmp_path: Path) -> None:
    assert said in refused("judge", *(word.replace("OUT", f"{tmp_path}/out") for word in words))


def test_a_folder_with_something_in_it_is_left_alone(taught: Path, debates: Path, refused: Refused) -> None:
    before = (taught / "model.safetensors").stat().st_mtime_ns
    assert "is not empty" in refused("judge", "train", f"debates={debates}", f"output={taught}")
    assert (taught / "model.safetensors").stat().st_mtime_ns == before


def test_a_judge_that_changes_under_a_run_is_caught_everywhere(
    tiny: Path,
    small: list[str],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    refused: Refused,
    capfd: pytest.CaptureFixture[str],
) -> None:
    """One byte of the judge's weights changes while the first iteration is recorded."""
    judge, run = Path(shutil.copytree(tiny / "judge", tmp_path / "judge")), tmp_path / "run"
    record = Session.record

    def meddle(self: Session, learned: dict[str, Any], seconds: dict[str, float]) -> None:
        record(self, learned, seconds)
        flip_last_byte(judge / "model.safetensors")

    with monkeypatch.context() as patch:
        patch.setattr(Session, "record", meddle)
        assert main(["train", *small, "iterations=1", f"output={run}", f"judge.model={judge}"]) == 2
    assert "rostrum: The judge weak-judge is not frozen" in capfd.readouterr().err.splitlines()[-1]
    manifest = json.loads((run / "manifest.json").read_text("utf-8"))
    assert "finished" not in manifest and len(manifest["judges"]["weak-judge"][str(judge)]) == 64
    assert "is not frozen" in refused("train", f"resume={run}")
    assert "is not frozen" in refused("evaluate", f"run={run}")
    flip_last_byte(judge / "model.safetensors")
    assert main(["train", f"resume={run}"]) == 0, "the judge is as it was"
    assert "finished" in json.loads((run / "manifest.json").read_text("utf-8"))


@pytest.fixture(scope="module")
def rounds(small: list[str], tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, list[str]]:
    folder = tmp_path_factory.mktemp("rounds") / "out"
    own = ("judge.model=", "judge.min_mass=", "heldout_judges=", "iterations=", "questions.train=")
    words = [word for word in small if not word.startswith(own)]
    arguments = [
        "judge",
        "adversarial",
        "rounds=1",
        f"output={folder}",
        *words,
        *QUICK,
        "iterations=1",
        "questions.train=40",
        "adversarial.questions=8",
    ]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Training, "_start", run_here)
        assert main(arguments) == 0
    return folder, arguments


def test_a_round_leaves_debaters_judges_debates_and_the_grid(rounds: tuple[Path, list[str]]) -> None:
    folder, _ = rounds
    grid = json.loads((folder / "grid.json").read_text("utf-8"))
    assert (grid["judges"], grid["debaters"]) == ([0, 1], [0, 1, 2])
    assert [len(row) for row in grid["cells"]] == [3, 3]
    assert {cell["questions"] for row in grid["cells"] for cell in row} == {12}
    assert (folder / "grid.svg").exists() and "harder to fool" in (folder / "grid.html").read_text("utf-8")
    (told,) = grid["rounds"]
    assert told["mix"] == [{"debaters": 0, "debates": 16}, {"debaters": 1, "debates": 16}]
    assert sum(told["collected"].values()) == 16
    trained = yaml.safe_load((folder / "debaters-2" / "config.yaml").read_text("utf-8"))
    assert trained["judge"]["model"] == str(folder / "judges" / "judge-1") and trained["judge"]["name"] == "judge-1"
    assert json.loads((folder / "debaters-2" / "manifest.json").read_text("utf-8"))["judges"].keys() == {"judge-1"}


def test_judges_learn_from_other_stories_than_the_grid_is_made_of(rounds: tuple[Path, list[str]]) -> None:
    folder, _ = rounds
    asked = {
        (split, d): [debate.transcript.question for debate in labelled.read(folder / "debates" / f"{split}-{d}.jsonl")]
        for split, count in (("train", 2), ("heldout", 3))
        for d in range(count)
    }
    learned, tested = (
        {q.story_id for (s, _), qs in asked.items() if s == split for q in qs} for split in ("train", "heldout")
    )
    assert not learned & tested
    assert asked["heldout", 0] == asked["heldout", 1] == asked["heldout", 2]
    assert not set(asked["train", 0]) & set(asked["train", 1]), "each round has questions of its own"


def test_what_is_finished_is_not_done_again(rounds: tuple[Path, list[str]], monkeypatch: pytest.MonkeyPatch) -> None:
    folder, arguments = rounds
    judge = (folder / "judges" / "judge-1" / "model.safetensors").stat().st_mtime_ns
    monkeypatch.setattr(subprocess, "Popen", lambda *_, **__: pytest.fail("a process was started"))
    (folder / "grid.json").unlink()
    assert main(arguments) == 0 and (folder / "grid.json").exists()
    assert (folder / "judges" / "judge-1" / "model.safetensors").stat().st_mtime_ns == judge


def test_other_rounds_do_not_go_on_with_these(rounds: tuple[Path, list[str]], refused: Refused) -> None:
    assert "another algorithm.kl" in refused(*rounds[1], "algorithm.kl=0.5")
