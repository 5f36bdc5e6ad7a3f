"""The script that is shipped, on a Slurm of this machine: requeued at its time limit and when a node is lost, the job
goes on, and the run is the one that nobody disturbed."""

import json
import math
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psutil
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


class Job:
    """The script, submitted for two nodes: the learner is on the first of them, a rollout worker on the other."""

    def __init__(self, slurm: Slurm, folder: Path, overrides: list[str]) -> None:
        self.slurm, self.run, self._log = slurm, RunFolder(folder / "run"), folder / "log"
        on_two_nodes = [
            "cluster.learners=1",
            "cluster.rollout_workers=1",
            "cluster.resources.learner={head_node: 1}",
            "cluster.resources.rollout={worker_node: 1}",
        ]
        self.number = slurm.run(
            *("sbatch", "--parsable", "--gpus-per-node=0", "--cpus-per-task=1", f"--signal=B:USR1@{WARNING}"),
            *(f"--chdir={ROOT}", f"--output={self._log}", str(SCRIPT), *overrides, *on_two_nodes),
            RUN=str(self.run.path),
            RAY_PORT=str(free_ports(1)[0]),
            PATH=os.pathsep.join([str(Path(sys.executable).parent), slurm.environment["PATH"]]),
        ).strip()

    def known(self) -> dict[str, str]:
        """Return what Slurm knows of it."""
        return self.slurm.job(self.number)

    def said(self) -> str:
        log = self._log.read_text(errors="replace") if self._log.exists() else ""
        return f"{log[-4000:]}\n{self.known()}\n{self.slurm.said()}"

    def state(self) -> str:
        now = self.known()["JobState"]
        assert now not in ("FAILED", "TIMEOUT", "CANCELLED"), self.said()
        return now

    def update(self, **settings: str) -> None:
        self.slurm.run("scontrol", "update", f"JobId={self.number}", *(f"{k}={v}" for k, v in settings.items()))

    def iterations(self) -> int:
        """Return how many are finished: the policy after them is published, their checkpoint is whole."""
        return max(self.run.published(), default=0)

    def hold_after(self, iterations: int) -> None:
        """Let it come to one more than so many, and no further: a fast machine would be at the end too soon."""
        wait_for(lambda: self.state() != "COMPLETED" and self.iterations() > iterations, START, self.said)
        (learner,) = [one for one in self.slurm.processes() if command_of(one).startswith("ray::Learner")]
        learner.suspend()
        assert iterations < self.iterations() < ITERATIONS

    def wait_until_requeued(self, times: int) -> None:
        """Wait until it is in the queue again, and let it start: Slurm would have it wait for two minutes."""
        again = str(times)
        wait_for(lambda: self.state() == "PENDING" and self.known()["Restarts"] == again, START, self.said)
        self.update(TimeLimit="60", StartTime="now")


def command_of(process: psutil.Process) -> str:
    """Return the first word of a process's command line; nothing where it is gone."""
    try:
        return next(iter(process.cmdline()), "")
    except psutil.Error:
        return ""


@contextmanager
def training(overrides: list[str], output: Path) -> Iterator["subprocess.Popen[bytes]"]:
    """An undisturbed run in a process of its own."""
    words = [sys.executable, "-m", "rostrum", "train", *overrides, f"output={output}"]
    with output.with_suffix(".log").open("wb") as log:
        process = subprocess.Popen(words, cwd=ROOT, stdout=log, stderr=log)
        try:
            yield process
        finally:
            process.kill()
            process.wait()


def metrics(run: RunFolder) -> list[dict[str, Any]]:
    rows = read_lines(run.metrics)
    return [{key: value for key, value in row.items() if key not in OF_THE_MACHINE} for row in rows]


def soon(run_time: str) -> str:
    """Return a time limit, in minutes, of which the job is warned at Slurm's next look, and that is a minute away."""
    hours, minutes, seconds = map(int, run_time.split(":"))
    return str(math.ceil((hours * 3600 + minutes * 60 + seconds) / 60) + 1)


def test_a_job_goes_on_after_its_time_limit_and_a_lost_node(slurm: Slurm, overrides: list[str], tmp_path: Path) -> None:
    job = Job(slurm, tmp_path, overrides)
    job.hold_after(0)
    assert job.known()["NodeList"] == "first,second"
    job.update(TimeLimit=soon(job.known()["RunTime"]))
    with training(overrides, tmp_path / "alone") as alone:  # while Slurm, which looks every 30 seconds, waits to look
        job.wait_until_requeued(1)
        at_the_limit = job.iterations()
        assert "continue with `rostrum train resume=" in job.said()

        job.hold_after(at_the_limit)
        slurm.kill_node("first")
        job.wait_until_requeued(2)

        wait_for(lambda: job.state() == "COMPLETED", START, job.said)
        assert job.known()["NodeList"] == "second,third"
        assert alone.wait(START) == 0, (tmp_path / "alone.log").read_text()
    assert metrics(job.run) == metrics(RunFolder(tmp_path / "alone"))
    assert json.loads((tmp_path / "run.job" / "starts.json").read_text())["starts"] == 1
