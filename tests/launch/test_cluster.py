"""The cluster files start the same `rostrum train`; on two real Ray nodes the run outlives one of them."""

import os
import signal
import socket
import stat
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path

import psutil

from trainer.run_folder import RunFolder, read_lines

ROOT = Path(__file__).parents[2]
FILES = ROOT / "launch" / "cluster"


def command(folder: Path, name: str, script: str) -> None:
    """Puts a command into the folder."""
    path = folder / name
    path.write_text(f"#!/bin/bash\n{script}\n", "utf-8")
    path.chmod(path.stat().st_mode | stat.S_IXUSR)


def slurm(folder: Path, port: int, run: Path) -> dict[str, str]:
    """The environment of a job on two nodes that are both this machine. `srun` drops its own options."""
    folder.mkdir()
    command(folder, "scontrol", "printf '127.0.0.1\\n127.0.0.1\\n'")
    command(folder, "srun", 'while [[ $1 == --* ]]; do shift; done\nexec "$@"')
    command(folder, "rostrum", f'exec {sys.executable} -m launch "$@"')
    path = os.pathsep.join([str(folder), str(Path(sys.executable).parent), os.environ["PATH"]])
    return os.environ | {
        "PATH": path, "SLURM_SUBMIT_DIR": str(ROOT), "SLURM_JOB_NODELIST": "two", "SLURM_CPUS_PER_TASK": "2",
        "RAY_PORT": str(port), "RUN": str(run),
    }  # fmt: skip


def free_port() -> int:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return int(free.getsockname()[1])


def worker_raylet(port: int) -> psutil.Process:
    """The raylet of the node that joined the cluster at that port."""
    for process in psutil.process_iter(["cmdline"]):
        words = process.info["cmdline"] or []
        if words[:1] and words[0].endswith("raylet") and f":{port}" in " ".join(words) and "--head" not in words:
            return process
    raise AssertionError("no worker node")


def test_a_run_outlives_the_node_that_half_of_its_debates_are_played_on(small: list[str], tmp_path: Path) -> None:
    """The SLURM script as it is: the learner is pinned to the head, rollout workers are on both nodes."""
    port, run = free_port(), tmp_path / "run"
    overrides = [
        *small, "iterations=3", "algorithm.epochs=1", "cluster.learners=1", "cluster.rollout_workers=2",
        "cluster.shard_size=2", "cluster.resources.learner={head_node: 1}",
    ]  # fmt: skip
    with (tmp_path / "log").open("w") as log:
        job = subprocess.Popen(
            ["bash", str(FILES / "slurm.sbatch"), *overrides], env=slurm(tmp_path / "bin", port, run), stdout=log,
            stderr=subprocess.STDOUT,
        )  # fmt: skip
        folder, deadline = RunFolder(run), time.monotonic() + 240
        while not read_lines(folder.metrics):
            assert job.poll() is None and time.monotonic() < deadline, (tmp_path / "log").read_text()[-3000:]
            time.sleep(0.02)
        worker = worker_raylet(port)
        os.kill(worker.pid, signal.SIGKILL)
        code = job.wait(240)
    said = (tmp_path / "log").read_text()
    assert code == 0, said[-3000:]
    assert [row["iteration"] for row in read_lines(folder.metrics)] == [1, 2, 3]
    lines = read_lines(folder.transcripts)
    played = Counter((line["extra"]["iteration"], line["record"]["provenance"]["match"]) for line in lines)
    assert len(played) == 24 and set(played.values()) == {1}
    assert "iteration 3/3" in said, "the learner's lines reach the job's log"
    assert not [p for p in psutil.process_iter(["cmdline"]) if f":{port}" in " ".join(p.info["cmdline"] or [])]
