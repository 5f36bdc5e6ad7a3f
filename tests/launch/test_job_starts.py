"""A Slurm job that is started again and again without coming to a new checkpoint ends with a sentence."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from rostrum.launch import job_starts
from rostrum.launch.errors import LaunchError
from rostrum.trainer.store.run_folder import STATE, RunFolder

ROOT = Path(__file__).parents[2]
SCRIPT = ROOT / "launch" / "cluster" / "slurm.sbatch"
PATIENCE = 240.0
"""Seconds that a busy machine may take for a start of the script."""
COMMANDS = {
    "scontrol": """case "$*" in
  *hostnames*) printf 'one\\ntwo\\n' ;;
  requeue*) echo "requeued $2" ;;
  *) echo "NodeName=$4 NodeAddr=127.0.0.1 Port=6818" ;;
esac""",
    "srun": 'while [[ $1 != ray ]]; do shift; done\nexec "$@"',
    "ray": """touch waiting
[ -e never ] || echo Ray runtime started.
exec sleep 600""",
    "rostrum": "touch training\nexec sleep 600",
}
"""What the script calls, in the place of Slurm, of Ray, and of a training that takes too long to start. What they are
at is a file in the folder that the job was submitted from. Ray's nodes never come where a file `never` lies there."""


def checkpoint(run: Path, iteration: int) -> None:
    folder = RunFolder(run).trainer / f"checkpoint-{iteration}"
    folder.mkdir(parents=True)
    (folder / STATE).touch()


def test_two_starts_without_a_checkpoint_are_enough(tmp_path: Path) -> None:
    run = tmp_path / "run"
    job_starts.begin(run, "7")
    job_starts.again(run, "7")
    job_starts.begin(run, "7")
    for ask in (job_starts.again, job_starts.begin):
        with pytest.raises(
            LaunchError, match=f"Job 7 was started 2 times without reaching a first checkpoint in {run}"
        ):
            ask(run, "7")
    assert not run.exists(), "the folder of a new run must not be there"
    run.mkdir()
    with pytest.raises(LaunchError, match=f"a longer --time or remove {run} and lower save_every, then submit it"):
        job_starts.again(run, "7")
    job_starts.begin(run, "8")  # the user has submitted it once more
    job_starts.again(run, "8")


def test_a_new_checkpoint_gives_two_more_starts(tmp_path: Path) -> None:
    run = tmp_path / "run"
    for iteration in (1, 2):
        job_starts.begin(run, "7")
        job_starts.begin(run, "7")
        checkpoint(run, iteration)
        job_starts.again(run, "7")
    (RunFolder(run).trainer / "checkpoint-3").mkdir()  # not whole: it does not count
    job_starts.begin(run, "7")
    job_starts.begin(run, "7")
    told = f"2 times without reaching a checkpoint newer than checkpoint-2 in {run}: give it a longer --time, then"
    with pytest.raises(LaunchError, match=told):
        job_starts.begin(run, "7")


@pytest.fixture
def environment(tmp_path: Path) -> dict[str, str]:
    """That of a job whose commands are `COMMANDS`, and which was submitted from the folder `here`."""
    for name, script in COMMANDS.items():
        (tmp_path / name).write_text(f"#!/bin/bash\n{script}\n", "utf-8")
        (tmp_path / name).chmod(0o755)
    here = tmp_path / "here"
    here.mkdir()
    (here / "launch").symlink_to(ROOT / "launch")
    return os.environ | {
        "PATH": os.pathsep.join([str(tmp_path), str(Path(sys.executable).parent), os.environ["PATH"]]),
        "SLURM_SUBMIT_DIR": str(here),
        "SLURM_JOB_ID": "7",
        "SLURM_JOB_NODELIST": "one,two",
        "RUN": f"{tmp_path}/run/",
    }


@pytest.mark.parametrize("at", ["waiting", "training"])
def test_the_script_is_requeued_once_and_then_stops(tmp_path: Path, environment: dict[str, str], at: str) -> None:
    """Slurm's warning comes while the script still waits for the nodes of Ray, or while the training starts."""
    here, log = tmp_path / "here", tmp_path / "log"
    if at == "waiting":
        (here / "never").touch()

    def start() -> tuple[int, str]:
        """Return the exit code of a start that is warned of its time limit, and what it has said."""
        (here / at).unlink(missing_ok=True)
        with log.open("w") as out:
            job = subprocess.Popen(["bash", str(SCRIPT)], env=environment, stdout=out, stderr=out)
        deadline = time.monotonic() + PATIENCE
        while not (here / at).exists() and job.poll() is None:
            assert time.monotonic() < deadline, log.read_text()
            time.sleep(0.05)
        if job.poll() is None:
            job.send_signal(signal.SIGUSR1)
        return job.wait(PATIENCE), log.read_text()

    told = f"rostrum: Job 7 was started 2 times without reaching a first checkpoint in {tmp_path / 'run'}: "
    code, said = start()
    assert code and said == "requeued 7\n"
    code, said = start()
    assert code and said.startswith(told) and said.count("\n") == 1
    code, said = start()
    assert code == 2 and said.startswith(told) and said.count("\n") == 1
    assert not (here / at).exists(), "it ends before Ray is started"


def test_a_job_that_is_not_submitted_from_a_checkout_ends_with_a_sentence(environment: dict[str, str]) -> None:
    elsewhere = Path(environment["SLURM_SUBMIT_DIR"]).parent
    job = subprocess.run(
        ["bash", str(SCRIPT)], env=environment | {"SLURM_SUBMIT_DIR": str(elsewhere)}, capture_output=True, text=True
    )
    assert job.returncode == 2 and job.stdout == "" and job.stderr.count("\n") == 1
    assert job.stderr.startswith(f"rostrum: {elsewhere} is no checkout of Rostrum: ")


def test_a_node_of_ray_that_ends_is_not_waited_for(tmp_path: Path, environment: dict[str, str]) -> None:
    (tmp_path / "here" / "never").touch()
    ray = tmp_path / "ray"
    ray.write_text(ray.read_text("utf-8").replace("exec sleep 600", "{ echo broken; exit 1; }"), "utf-8")
    job = subprocess.run(["bash", str(SCRIPT)], env=environment, capture_output=True, text=True, timeout=PATIENCE)
    assert job.returncode == 1 and job.stderr.count("\n") == 1
    told, _, log = job.stderr.strip(".\n").partition(": see what it said in ")
    assert told == "A node of Ray did not start" and Path(log).parent == tmp_path / "run.job"
    assert Path(log).read_text("utf-8").endswith("job 7 starts this node\nbroken\n")


@pytest.mark.parametrize(
    ("said", "up"),
    [
        ("== job 7\nRay runtime started.\n", True),
        ("== job 7\nRay runtime started.\n== job 8\nUsage stats collection is disabled.\n", False),
        ("== job 7\nRay runtime started.\n== job 8\n00:03:16 SUCC Ray runtime started.\n", True),
    ],
)
def test_what_ray_said_at_an_earlier_start_does_not_count(said: str, up: bool, tmp_path: Path) -> None:
    log = tmp_path / "log"
    log.write_text(said, "utf-8")
    words = ["bash", "-c", '. "$0"; has_started "$1"', str(SCRIPT.with_name("nodes.sh")), str(log)]
    assert subprocess.run(words).returncode == (0 if up else 1)
