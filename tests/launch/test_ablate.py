"""`rostrum ablate` with tiny models: mistakes are told before anything starts; killed, it goes on where it was."""

import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pandas as pd
import pytest

from rostrum.envs.files import write_atomically
from rostrum.launch import compose, ray_cells, saved
from rostrum.launch.cli import main
from rostrum.launch.commands import ablate
from tests.launch.test_demo import _working_on

pytestmark = pytest.mark.long

AXIS = "evaluation.attacks"
"""What the cells differ in: nothing that training knows of, so that one trained run can stand for all of them."""
UNCHECKED = (
    "import signal, sys\nsignal.signal(signal.SIGINT, signal.default_int_handler)\n"
    "from rostrum.launch.commands import ablate\n"
    "ablate.check = ablate.begin = lambda *_: None\nfrom rostrum.launch.cli import main\nsys.exit(main(sys.argv[1:]))"
)
"""The ablation without its checks, which would load torch: what is killed is what comes after them."""


@pytest.fixture
def nothing_starts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ray_cells, "finish", lambda *_: pytest.fail("runs were started"))


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["seed=1,x"], "seed=x: The configuration's seed cannot be 'x'"),
        (["protocol=debate,debat"], "protocol=debat: "),
        (["seed=1,2", "algorithm.klx=1"], "There is no configuration key 'algorithm.klx'"),
        (["algorithm.minibatches=1,3"], "algorithm.minibatches=3: "),
        (["seed=1"], "Nothing to compare"),
    ],
)
def test_one_wrong_value_is_told_before_anything_starts(
    words: list[str], told: str, small: list[str], tmp_path: Path, nothing_starts: None, refused: Callable[..., str]
) -> None:
    kept = [word for word in small if not word.startswith("algorithm.minibatches") or "algorithm" not in words[0]]
    assert told in refused("ablate", *kept, *words, f"output={tmp_path}/out")
    assert not (tmp_path / "out/cells").exists()


def test_an_ablation_needs_a_folder_of_its_own(
    small: list[str], trained: Path, nothing_starts: None, refused: Callable[..., str]
) -> None:
    assert "Name a folder" in refused("ablate", "seed=1,2")
    assert "holds a run" in refused("ablate", *small, "seed=1,2", f"output={trained}")


def test_a_cell_is_the_experiment_without_its_arms_and_in_the_ablations_group(tmp_path: Path) -> None:
    given = ["experiment=demo", "wandb.mode=offline", "seed=1,2"]
    cells = ablate.cross(given)
    arm = ablate._arm(cells[1], tmp_path / "a,b", compose.load(cells[0].overrides))
    assert arm.config.iterations == 10 and arm.config.seed == 2 and not arm.config.arms
    assert arm.config.wandb.group == "a,b" and arm.config.output == tmp_path / "a,b/cells/seed=2"


def cell(trained: Path, folder: Path, attacks: int) -> Path:
    """A cell that has been trained and not evaluated."""
    path = folder / f"cells/{AXIS}={attacks}"
    shutil.copytree(trained, path)
    config = saved.run_config(path)
    evaluation = config.evaluation.model_copy(update={"attacks": attacks})
    compose.save(config.model_copy(update={"evaluation": evaluation}), path / "config.yaml")
    return path


@pytest.fixture
def started(small: list[str], trained: Path, tmp_path: Path) -> Iterator[list[str]]:
    """An ablation of three cells: 1 is finished, 2 is held by somebody else and must fail, 3 is to be evaluated."""
    folder = tmp_path / "out"
    write_atomically(folder / "manifest.json", "{}")  # or the folder would be somebody else's
    finished, _ = cell(trained, folder, 1), cell(trained, folder, 3)
    assert main(["evaluate", f"run={finished}"]) == 0
    with saved.reserved(folder / f"cells/{AXIS}=2"):
        yield ["ablate", *small, "iterations=1", f"{AXIS}=1,2,3", "ablation.at_once=1", f"output={folder}"]


def test_a_killed_ablation_goes_on_and_a_failing_cell_does_not_stop_it(
    started: list[str], tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    folder, killed = tmp_path / "out", tmp_path / f"out/cells/{AXIS}=3"
    done = killed / "evaluation/references.parquet"
    with subprocess.Popen([sys.executable, "-c", UNCHECKED, *started], stderr=subprocess.DEVNULL) as process:
        while not done.exists() and process.poll() is None:
            time.sleep(0.05)
        process.send_signal(signal.SIGKILL)
    assert process.returncode == -signal.SIGKILL and not (killed / "verdicts.parquet").exists()
    patience = time.monotonic() + 120
    while (orphans := _working_on(folder)) and time.monotonic() < patience:
        time.sleep(0.05)
    assert not orphans
    kept = [done, folder / f"cells/{AXIS}=1/verdicts.parquet"]
    before = [path.stat().st_mtime_ns for path in kept]

    assert main(started) == 1

    assert [path.stat().st_mtime_ns for path in kept] == before
    assert not (folder / f"cells/{AXIS}=1/log.txt").exists(), "what was finished was started again"
    table = pd.read_parquet(folder / "cells.parquet")
    assert table["cell"].tolist() == [f"{AXIS}={n}" for n in (1, 2, 3)]
    assert table["failure"].notna().tolist() == [False, True, False]
    assert "Another process is working on" in table["failure"][1]
    assert table["difference"].tolist()[::2] == [0, 0], "the same policy on the same questions"
    error = capfd.readouterr().err
    assert f"{AXIS}=2 failed: Another process is working on" in error and "log.txt" in error
    assert not _working_on(folder)


def test_a_child_ends_with_its_parent() -> None:
    script = (
        "import time; from rostrum.launch import environment; environment.prepare(); print(flush=True); time.sleep(600)"
    )
    child = subprocess.Popen(
        [sys.executable, "-c", script],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        env={**os.environ, "ROSTRUM_CHILD": "1"},
    )
    assert child.stdin is not None and child.stdout is not None and child.stdout.readline() == b"\n"
    child.stdin.close()
    assert child.wait(120) == -signal.SIGTERM
    child.stdout.close()
