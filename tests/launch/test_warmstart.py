"""`rostrum warmstart`: quotes are learned from the policy's own speeches, and what was done is not done again."""

import csv
import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
import yaml

from rostrum.envs.testimony.world import TestimonyWorld
from rostrum.launch.cli import main
from rostrum.trainer.warmstart.quoting import Round

Refused = Callable[..., str]


@pytest.fixture(scope="module")
def examples(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A file with a question of the embedded world, and for each answer a witness who names its place."""
    (question,) = TestimonyWorld(train=1, heldout=0, seed=5).questions("train")
    sentences = question.passage.split(" . ")
    speeches = [next(f"<quote> {s} </quote>" for s in sentences if answer in s) for answer in question.answers]
    entry = {"passage": question.passage, "question": question.text, "answers": list(question.answers)}
    path = tmp_path_factory.mktemp("examples") / "examples.yaml"
    path.write_text(yaml.safe_dump([{**entry, "speeches": speeches}]), "utf-8")
    return path


@pytest.fixture(scope="module")
def words(examples: Path) -> list[str]:
    """The embedded debater on four questions a round; its speeches are nothing but quotes."""
    return [
        "protocol.rounds=1",
        "questions.train=8",
        "questions.heldout=8",
        "warmstart.rounds=2",
        "warmstart.questions=4",
        "warmstart.heldout=4",
        "warmstart.candidates=2",
        "warmstart.most_quoted=1",
        "warmstart.batch_rows=4",
        f"warmstart.examples={examples}",
        "warmstart.example='<quote> {quote} </quote>'",
    ]


@pytest.fixture(scope="module")
def warmed(words: list[str], tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("warm") / "warm"
    assert main(["warmstart", *words, f"output={folder}"]) == 0
    return folder


def rounds(folder: Path) -> list[Round]:
    lines = (folder / "rounds.jsonl").read_text("utf-8").splitlines()
    return [Round.model_validate_json(line).model_copy(update={"seconds": None}) for line in lines]


def weights(folder: Path) -> bytes:
    return (folder / "model" / "model.safetensors").read_bytes()


def test_every_round_is_measured_and_the_last_one_is_a_model(warmed: Path) -> None:
    found = rounds(warmed)
    assert [line.round for line in found] == [0, 1, 2]
    assert found[0].written is None and found[0].kept == 0
    for line in found:
        assert line.heldout.speeches == 16 and line.heldout.in_limits == 1
    for line in found[1:]:
        assert line.written is not None and line.loss is not None
        assert line.written.speeches == 16 and 0 < line.kept <= 16
        assert line.kept == pytest.approx((line.written.quoting or 0) * 16)
    with (warmed / "rounds.csv").open(encoding="utf-8") as file:
        table = list(csv.DictReader(file))
    assert [row["round"] for row in table] == ["0", "1", "2"]
    assert [float(row["quotes"]) for row in table] == [line.heldout.quotes for line in found]
    assert weights(warmed) != (warmed / "policies" / "iteration-0001" / "model.safetensors").read_bytes()
    assert "neither\ngold labels nor a judge" in (warmed / "model" / "README.md").read_text("utf-8")


def test_a_training_starts_from_the_model(warmed: Path, small: list[str], tmp_path: Path) -> None:
    rest = [word for word in small if not word.startswith("debater.model")]
    run = ["train", *rest, "iterations=1", f"debater.model={warmed}/model", f"output={tmp_path}/run"]
    assert main(run) == 0
    first = tmp_path / "run" / "policies" / "iteration-0000" / "model.safetensors"
    assert first.read_bytes() == weights(warmed)


def test_what_is_finished_is_not_done_again_and_what_was_cut_off_comes_out_the_same(
    warmed: Path, words: list[str], tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    cut = Path(shutil.copytree(warmed, tmp_path / "warm"))
    lines = (cut / "rounds.jsonl").read_text("utf-8").splitlines(keepends=True)
    (cut / "rounds.jsonl").write_text("".join(lines[:2]) + lines[2][:9], "utf-8")
    shutil.rmtree(cut / "model")
    shutil.rmtree(cut / "policies" / "iteration-0002")
    (cut / "heldout" / "round-0002.jsonl").unlink()
    written = (cut / "speeches" / "round-0002.jsonl").stat().st_mtime_ns
    assert main(["warmstart", *words, f"output={cut}", "--json"]) == 0
    printed = json.loads(capfd.readouterr().out)["rounds"]
    assert [line["round"] for line in printed] == [0, 1, 2]
    assert rounds(cut) == rounds(warmed) and weights(cut) == weights(warmed)
    assert (cut / "speeches" / "round-0002.jsonl").stat().st_mtime_ns == written, "it was not played again"


def test_an_adapter_is_learned_and_merged(words: list[str], tmp_path: Path) -> None:
    lora = ["debater.lora={rank: 4, alpha: 8}", "warmstart.rounds=2", "warmstart.questions=2", "warmstart.heldout=2"]
    assert main(["warmstart", *words, *lora, f"output={tmp_path}/warm"]) == 0
    first, second = (tmp_path / "warm" / "policies" / f"iteration-000{i}" for i in (1, 2))
    for folder in (first, second):
        assert (folder / "adapter_model.safetensors").is_file() and not (folder / "model.safetensors").exists()
    adapters = [(folder / "adapter_model.safetensors").read_bytes() for folder in (first, second)]
    assert adapters[0] != adapters[1] and (tmp_path / "warm" / "model" / "model.safetensors").is_file()


def test_it_is_listed(warmed: Path, capfd: pytest.CaptureFixture[str]) -> None:
    capfd.readouterr()
    assert main(["runs", str(warmed.parent), "--json"]) == 0
    (listed,) = json.loads(capfd.readouterr().out)["runs"]
    before, after = rounds(warmed)[0].heldout.quotes, rounds(warmed)[-1].heldout.quotes
    assert listed["folder"] == str(warmed) and (listed["kind"], listed["state"]) == ("warm start", "2 of 2 rounds")
    assert listed["headline"] == f"{before:.2f} -> {after:.2f} quotes a speech"


def test_another_warm_start_in_the_same_folder_is_refused(warmed: Path, words: list[str], refused: Refused) -> None:
    error = refused("warmstart", *words, "warmstart.epochs=1", f"output={warmed}")
    assert f"{warmed} holds something with another warmstart.epochs" in error


@pytest.mark.parametrize(
    ("more", "said"),
    [
        (["warmstart.min_words=7"], "Example 1 of"),
        (["warmstart.examples=none.yaml"], "none.yaml cannot be read"),
        (["warmstart.example='I say {so}'"], "example needs {quote} once"),
        (["warmstart.example='{quote} {'"], "example needs {quote} once"),
        (["warmstart.batch_rows=6"], "micro_batch_rows=4 does not divide batch_rows=6"),
        (["cluster.learners=2"], "A warm start learns in one process"),
        (["learners={a: {}, b: {}}", "protocol.speakers={A: {side: A, policy: a}, B: {side: B, policy: b}}"], "of one"),
        (["questions.heldout=0"], "heldout"),
    ],
)
def test_what_cannot_be_done_is_refused(
    more: list[str], said: str, words: list[str], tmp_path: Path, refused: Refused
) -> None:
    assert said in refused("warmstart", *words, *more, f"output={tmp_path}/warm")
    assert not (tmp_path / "warm" / "rounds.jsonl").exists()


def test_a_round_that_keeps_nothing_says_what_to_change(
    words: list[str], tiny: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    """A random model quotes nothing."""
    small = ["warmstart.candidates=1", "warmstart.questions=2", "warmstart.heldout=1"]
    assert main(["warmstart", *words, *small, f"debater.model={tiny}/debater", f"output={tmp_path}/warm"]) == 2
    error = capfd.readouterr().err.splitlines()[-1]
    assert error.startswith("rostrum: Round 1 wrote 8 speeches, and none has a quote that counts: raise warmstart.cand")
    assert error.endswith("choose another output=FOLDER for it.")
    assert [line.round for line in rounds(tmp_path / "warm")] == [0]
