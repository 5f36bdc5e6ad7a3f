"""The script that is shipped, on a Slurm of two nodes: requeued at its time limit and when a node is lost, the job goes
on, and the run is the one that nobody disturbed."""

import json
import math
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from rostrum.trainer.cost import OF_THE_MACHINE
from rostrum.trainer.store.run_folder import RunFolder, read_lines
from tests.cluster.slurm import Slurm, free_ports, missing, wait_for

ROOT = Path(__file__).parents[2]
SCRIPT = ROOT / "launch" / "cluster" / "slurm.sbatch"
ITERATIONS = 6
WARNING = 120
"""Seconds before its time limit at which the job is warned."""
START = 300.0
"""Seconds in which a job has started its Ray and come to another iteration."""

pytestmark = pytest.mark.skipif(
    bool(missing()),
    reason=f"{', '.join(missing())} not found: install Slurm and munge (Debian: apt-get install slurm-wlm munge)",
)


@pytest.fixture
def slurm() -> Iterator[Slurm]:
    with tempfile.TemporaryDirectory(prefix="rostrum-slurm-") as folder, Slurm(Path(folder)) as running:
        yield running


@pytest.fixture
def overrides(tiny: Path) -> list[str]:
    return [
        f"debater.model={tiny}/debater",
        f"judge.model={tiny}/judge",
        "judge.min_mass=0",
        "heldout_judges=none",
        "questions.train=12",
        "questions.heldout=2",
        "algorithm.questions_per_iteration=2",
        "algorithm.debates_per_seating=2",
        "algorithm.minibatches=1",
        "algorithm.epochs=1",
        f"iterations={ITERATIONS}",
        "save_every=1",
    ]


def metrics(run: Path) -> list[dict[str, Any]]:
    rows = read_lines(RunFolder(run).metrics)
    return [{key: value for key, value in row.items() if key not in OF_THE_MACHINE} for row in rows]


def soon(run_time: str) -> int:
    """Return a time limit, in minutes, of which the job is warned at Slurm's next look, and that is a minute away."""
    hours, minutes, seconds = map(int, run_time.split(":"))
    return math.ceil((hours * 3600 + minutes * 60 + seconds) / 60) + 1


def test_a_job_goes_on_after_its_time_limit_and_a_lost_node(slurm: Slurm, overrides: list[str], tmp_path: Path) -> None:
    run, alone, log = tmp_path / "run", tmp_path / "alone", tmp_path / "log"
    on_two_nodes = [
        "cluster.learners=1",
        "cluster.rollout_workers=1",
        "cluster.resources.learner={head_node: 1}",
        "cluster.resources.rollout={worker_node: 1}",
    ]
    job = slurm.run(
        *("sbatch", "--parsable", "--gpus-per-node=0", "--cpus-per-task=2", f"--signal=B:USR1@{WARNING}"),
        *(f"--chdir={ROOT}", f"--output={log}", str(SCRIPT), *overrides, *on_two_nodes),
        RUN=str(run),
        RAY_PORT=str(free_ports(1)[0]),
        PATH=os.pathsep.join([str(Path(sys.executable).parent), slurm.environment["PATH"]]),
    ).strip()

    def said() -> str:
        return f"{log.read_text(errors='replace')[-4000:] if log.exists() else ''}\n{slurm.job(job)}\n{slurm.said()}"

    def state() -> str:
        now = slurm.job(job)["JobState"]
        assert now not in ("FAILED", "TIMEOUT", "CANCELLED"), said()
        return now

    def come_further(than: int) -> int:
        folder = RunFolder(run)
        wait_for(lambda: state() != "COMPLETED" and len(read_lines(folder.metrics)) > than, START, said)
        return len(read_lines(folder.metrics))

    def requeued(times: int) -> None:
        """Wait until the job is back in the queue, where Slurm would have it wait for two minutes."""
        wait_for(lambda: state() == "PENDING" and slurm.job(job)["Restarts"] == str(times), START, said)

    come_further(0)
    learners = [process for process in slurm.processes() if process.cmdline()[0].startswith("ray::Learner")]
    assert len(learners) == 1
    learners[0].suspend()  # Slurm looks only every 30 seconds whose time is up: a fast machine would have finished
    slurm.run("scontrol", "update", f"JobId={job}", f"TimeLimit={soon(slurm.job(job)['RunTime'])}")
    requeued(1)
    slurm.run("scontrol", "update", f"JobId={job}", "TimeLimit=60", "StartTime=now")
    at_the_limit = len(read_lines(RunFolder(run).metrics))
    assert 0 < at_the_limit < ITERATIONS and "continue with `rostrum train resume=" in log.read_text(), said()

    come_further(at_the_limit)
    slurm.kill_node("one")
    requeued(2)
    slurm.start_node("one")
    wait_for(lambda: slurm.state("one").startswith("IDLE"), START, said)
    # What ends the lost start reaches the node that is back, and would end a start of the same moment as well.
    slurm.run("scontrol", "update", f"JobId={job}", "StartTime=now+10")
    assert len(read_lines(RunFolder(run).metrics)) < ITERATIONS

    subprocess.run(
        [sys.executable, "-m", "rostrum", "train", *overrides, f"output={alone}"],
        cwd=ROOT,
        check=True,
        capture_output=True,
    )
    wait_for(lambda: state() == "COMPLETED", START, said)
    assert metrics(run) == metrics(alone)
    assert json.loads((tmp_path / "run.job" / "starts.json").read_text())["starts"] == 1
