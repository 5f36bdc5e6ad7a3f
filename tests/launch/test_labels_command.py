"""`rostrum labels` from a tiny evaluated run: mistakes are told before anything starts; killed, it goes on."""

import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pandas as pd
import pytest

from rostrum.envs import transcripts
from rostrum.launch.cli import main
from rostrum.launch.commands.labels import in_full
from tests.launch.people.test_command import PEOPLE

pytestmark = pytest.mark.long

Refused = Callable[..., str]
FEW = ["budgets=4,8", "labels.shares=[0,0.5,1]", "labels.seeds=1", "labels.steps=1", "labels.evaluations=1"]


@pytest.fixture(scope="module")
def run(trained: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A tiny run that was evaluated on forty held-out questions."""
    copy = shutil.copytree(trained, tmp_path_factory.mktemp("labels") / "run")
    assert main(["evaluate", f"run={copy}", "questions.heldout=40", "evaluation.attacks=0"]) == 0
    return copy


@pytest.fixture(scope="module")
def finished(run: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("sweep") / "out"
    assert main(["labels", f"run={run}", *FEW, f"output={folder}"]) == 0
    return folder


def outcomes(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in sorted((folder / "outcomes").glob("*.parquet"))}


def sold(folder: Path) -> set[str]:
    """Return the stories that labels are on offer of."""
    return {record.question.story_id for record in transcripts.read(folder / "debates" / "pool.jsonl")}


def test_sources_and_budgets_are_short_for_keys() -> None:
    assert in_full([]) == ["labels.cheap=weak", "labels.dear=gold"]
    assert in_full(["sources=gold, people", "seed=1", "budgets=4,8"]) == [
        "labels.cheap=gold",
        "labels.dear=people",
        "seed=1",
        "labels.budgets=[4,8]",
    ]
    assert in_full(["labels.dear=people"]) == ["labels.cheap=weak", "labels.dear=people"]


def test_a_sweep_tests_every_judge_on_stories_that_nobody_sells(finished: Path) -> None:
    table = pd.read_parquet(finished / "outcomes.parquet")
    judges = {tuple(row) for row in table[["arm", "cheap", "dear"]].drop_duplicates().to_numpy()}
    bought = {("finetune", 0, 4), ("finetune", 0, 8), ("finetune", 8, 4), ("finetune", 10, 2), ("finetune", 12, 0)}
    assert judges == {("none", 0, 0), *bought}
    assert table.groupby(["arm", "cheap", "dear", "debaters"]).size().eq(80).all(), "40 questions in both seatings"
    assert len(sold(finished)) == 12 and not sold(finished) & set(table["story"])


def test_what_is_finished_is_not_done_again(finished: Path, run: Path) -> None:
    files = [path for path in finished.rglob("*.parquet") if path.name not in ("outcomes.parquet", "cells.parquet")]
    before = {path: path.stat().st_mtime_ns for path in files}
    assert main(["labels", f"run={run}", *FEW, f"output={finished}"]) == 0
    assert {path: path.stat().st_mtime_ns for path in files} == before


def test_a_killed_sweep_goes_on_and_comes_to_the_same(run: Path, finished: Path, tmp_path: Path) -> None:
    """Killed with all its processes once one judge has been tested."""
    folder = tmp_path / "out"
    words = ["labels", f"run={run}", *FEW, "ablation.at_once=1", f"output={folder}"]
    command = [sys.executable, "-m", "rostrum", *words]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True)
    while not list((folder / "outcomes").glob("*.parquet")) and process.poll() is None:
        time.sleep(0.05)
    os.killpg(process.pid, signal.SIGKILL)
    assert process.wait() == -signal.SIGKILL
    before = {path: path.stat().st_mtime_ns for path in (folder / "outcomes").glob("*.parquet")}
    early = [folder / "debates" / "pool.jsonl", folder / "bought.parquet"]
    kept = [path.read_bytes() for path in early]
    assert 0 < len(before) < len(outcomes(finished))

    assert main(words) == 0

    assert {path: path.stat().st_mtime_ns for path in before} == before, "no judge is taught twice"
    assert [path.read_bytes() for path in early] == kept
    assert list(outcomes(folder)) == list(outcomes(finished)), "none is lost"
    one, other = (pd.read_parquet(path / "outcomes.parquet") for path in (folder, finished))
    pd.testing.assert_frame_equal(one, other)
    assert not (folder / "stages").exists(), "what the killed one had half taught is gone"


def test_people_of_a_rehearsed_study_are_a_source(run: Path, tmp_path: Path) -> None:
    folder, study = tmp_path / "out", tmp_path / "study"
    teach = ["people.purpose=teach", "people.questions=4", "people.qualification=0"]
    assert main(["people", "new", f"output={study}", f"runs={run}", *PEOPLE, *teach]) == 0
    assert main(["people", "rehearse", str(study), "judges=4"]) == 0
    people = ["sources=weak,people", f"labels.dear.study={study}/rehearsal", "labels.prices=[0.01]"]
    assert main(["labels", f"run={run}", *FEW, *people, "labels.dear.price=1", f"output={folder}"]) == 0
    pool = pd.read_parquet(folder / "bought.parquet")
    assert pool["by_cheap"].all() and pool["by_dear"].sum() == len(pool) - 12 > 0
    assert pool.loc[~pool["by_dear"], "dear"].isna().all() and pool["dear"].dropna().between(0, 1).all()
    table = pd.read_parquet(folder / "outcomes.parquet")
    assert table["dear"].max() > 0
    assert not sold(folder) & set(table["story"]), "nobody is tested on the people's stories"


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["sources=weak"], "does not name two sources"),
        (["sources=weak,weak"], "Both sources are called"),
        (["sources=gold,weak"], "name the cheaper source first"),
        (["labels.prices=[0.1,3]"], "or lower labels.prices"),
        (["judge=panel"], "cannot be trained"),
        (["questions.train=1"], "raise questions.train"),
        (["labels.budgets=[4,4]"], "name each once"),
        (["sources=weak,people", "labels.dear.study=nowhere"], "nowhere"),
    ],
)
def test_a_mistake_is_told_before_anything_starts(
    words: list[str], told: str, run: Path, tmp_path: Path, refused: Refused
) -> None:
    assert told in refused("labels", f"run={run}", *words, f"output={tmp_path}/out")
    assert not (tmp_path / "out" / "debates").exists()


def test_a_study_that_tests_is_refused(run: Path, tmp_path: Path, refused: Refused) -> None:
    study = tmp_path / "study"
    assert main(["people", "new", f"output={study}", f"runs={run}", *PEOPLE]) == 0
    people = ["sources=weak,people", f"labels.dear.study={study}"]
    assert "people.purpose=teach" in refused("labels", f"run={run}", *people, f"output={tmp_path}/out")


def test_it_needs_an_evaluated_run_and_a_folder(trained: Path, tmp_path: Path, refused: Refused) -> None:
    assert "Name an evaluated run" in refused("labels", f"output={tmp_path}/out")
    assert "Name an evaluated run" in refused("labels", f"run={trained}")
    assert "nowhere" in refused("labels", "run=nowhere", f"output={tmp_path}/out")
    assert "has not been evaluated" in refused("labels", f"run={trained}", f"output={tmp_path}/out")


def test_a_folder_holds_one_configuration(run: Path, finished: Path, refused: Refused) -> None:
    words = ["labels.steps=7", f"output={finished}"]
    assert "another labels.steps" in refused("labels", f"run={run}", *FEW, *words)
    assert refused("labels", f"run={run}", *FEW, f"output={run}")
