"""The cluster files start the same `rostrum train`; on two real Ray nodes the run outlives one of them."""

import importlib.metadata
import json
import os
import secrets
import signal
import socket
import stat
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Self

import jsonschema
import psutil
import pytest
import yaml

from rostrum.launch import compose
from rostrum.launch.cli import main
from rostrum.trainer.cost import OF_THE_MACHINE
from rostrum.trainer.store.run_folder import RunFolder, read_lines

pytestmark = pytest.mark.long

ROOT = Path(__file__).parents[2]
FILES = ROOT / "launch" / "cluster"
SCHEMA = Path(__file__).with_name("rayjob.schema.json")
PRESETS = sorted(path.stem for path in (ROOT / "configs" / "cluster").glob("*.yaml"))

PATIENCE = 480.0
"""Seconds that a busy machine may take to start Ray and train three iterations."""


def command(folder: Path, name: str, script: str) -> None:
    """Puts a command into the folder."""
    path = folder / name
    path.write_text(f"#!/bin/bash\n{script}\n", "utf-8")
    path.chmod(path.stat().st_mode | stat.S_IXUSR)


def slurm(folder: Path, port: int, run: Path) -> dict[str, str]:
    """The environment of a job on two nodes that are both this machine. `srun` drops its own options."""
    folder.mkdir()
    command(folder, "scontrol", '[[ $2 = hostnames ]] && printf "one\\ntwo\\n" || echo NodeAddr=127.0.0.1')
    command(folder, "srun", 'while [[ $1 == --* ]]; do shift; done\nexec "$@"')
    command(folder, "rostrum", f'exec {sys.executable} -m rostrum "$@"')
    path = os.pathsep.join([str(folder), str(Path(sys.executable).parent), os.environ["PATH"]])
    return os.environ | {
        "PATH": path,
        "SLURM_SUBMIT_DIR": str(ROOT),
        "SLURM_JOB_NODELIST": "two",
        "SLURM_CPUS_PER_TASK": "2",
        "RAY_PORT": str(port),
        "RAY_health_check_period_ms": "500",  # a node is lost after five checks in vain, by default 3 seconds apart
        "RUN": str(run),
    }


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


class Job:
    """The SLURM script as it is, on two Ray nodes of this machine."""

    def __init__(self, folder: Path, overrides: list[str], **environment: str) -> None:
        self.port, self.run, self._log = free_port(), RunFolder(folder / "run"), folder / "log"
        with self._log.open("w") as log:
            self.process = subprocess.Popen(
                ["bash", str(FILES / "slurm.sbatch"), *overrides],
                env=slurm(folder / "bin", self.port, self.run.path) | environment,
                stdout=log,
                stderr=subprocess.STDOUT,
            )

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        """A test that fails leaves nothing behind: the script ends its nodes when it is ended."""
        self.process.terminate()
        self.process.wait(60)

    def said(self) -> str:
        return self._log.read_text()

    def wait_for_an_iteration(self) -> None:
        deadline = time.monotonic() + PATIENCE
        while not read_lines(self.run.metrics):
            assert self.process.poll() is None and time.monotonic() < deadline, self.said()[-3000:]
            time.sleep(0.02)

    def lose_the_worker_node(self) -> None:
        os.kill(worker_raylet(self.port).pid, signal.SIGKILL)

    def check_finished(self, iterations: int) -> None:
        """Every debate was recorded once, and no process is left."""
        assert self.process.wait(PATIENCE) == 0, self.said()[-3000:]
        assert [row["iteration"] for row in read_lines(self.run.metrics)] == list(range(1, iterations + 1))
        lines = read_lines(self.run.transcripts)
        played = Counter((line["extra"]["iteration"], line["record"]["provenance"]["match"]) for line in lines)
        assert len(played) == 8 * iterations and set(played.values()) == {1}
        assert f"iteration {iterations}/{iterations}" in self.said(), "the learner's lines reach the job's log"
        assert "INFO" not in self.said(), "Ray's own do not"
        assert not [p for p in psutil.process_iter(["cmdline"]) if f":{self.port}" in " ".join(p.info["cmdline"] or [])]


@pytest.mark.exhaustive
def test_a_run_outlives_the_node_that_half_of_its_debates_are_played_on(small: list[str], tmp_path: Path) -> None:
    """The learner is pinned to the head, rollout workers are on both nodes."""
    overrides = [
        *small,
        "iterations=3",
        "algorithm.epochs=1",
        "cluster.learners=1",
        "cluster.rollout_workers=2",
        "cluster.shard_size=2",
        "cluster.resources.learner={head_node: 1}",
    ]
    with Job(tmp_path, overrides) as job:
        job.wait_for_an_iteration()
        job.lose_the_worker_node()
        job.check_finished(3)


def test_a_learners_node_that_dies_and_is_replaced_changes_nothing(small: list[str], tmp_path: Path) -> None:
    """The learner is pinned to the node that dies; another of its kind joins the cluster later."""
    overrides, token = [*small, "iterations=3", "algorithm.epochs=1"], secrets.token_hex(32)
    on_ray = ["cluster.learners=1", "cluster.resources.learner={worker_node: 1}"]
    with Job(tmp_path, [*overrides, *on_ray], RAY_AUTH_TOKEN=token) as job:
        job.wait_for_an_iteration()
        job.lose_the_worker_node()
        with another_worker_node(job.port, token):
            assert main(["train", *overrides, f"output={tmp_path}/alone"]) == 0
            assert job.process.wait(PATIENCE) == 0, job.said()[-3000:]
        job.check_finished(3)
    assert job.said().count("a learner was lost (its process or node is gone)") == 1
    assert figures(job.run) == figures(RunFolder(tmp_path / "alone"))


@contextmanager
def another_worker_node(port: int, token: str) -> Iterator[None]:
    """Another node of the worker's kind joins the cluster."""
    words = ["--block", f"--address=127.0.0.1:{port}", "--num-cpus=2", '--resources={"worker_node": 1000}']
    node = subprocess.Popen(
        [str(Path(sys.executable).with_name("ray")), "start", *words],
        env=os.environ | {"RAY_AUTH_MODE": "token", "RAY_AUTH_TOKEN": token},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        yield
    finally:
        node.terminate()
        node.wait()


def figures(run: RunFolder) -> list[dict[str, Any]]:
    """What stands in metrics.jsonl, but for what depends on the machine."""
    rows = read_lines(run.metrics)
    return [{key: value for key, value in row.items() if key not in OF_THE_MACHINE} for row in rows]


def overrides_in(text: str) -> list[str]:
    """The KEY=VALUE words after the run folder of a command that spans lines, be it commented or not."""
    words = " ".join(line.strip().lstrip("#").rstrip("\\") for line in text.splitlines()).split()
    return [word for word in words if "=" in word and not word.startswith("-")]


def rayjob() -> dict[str, Any]:
    return dict(yaml.safe_load((FILES / "rayjob.yaml").read_text("utf-8")))


def test_the_examples_are_configurations_that_exist() -> None:
    """What the entry points and the usage lines pass to `rostrum train` is read by our own configuration."""
    script, job = ((FILES / name).read_text("utf-8") for name in ("slurm.sbatch", "job.sh"))
    of_slurm = script.partition("slurm.sbatch \\\n")[2].partition("# Everything")[0]
    of_job = job.partition("/shared/runs/first ")[2].partition("# Checkout")[0]
    for text in (of_slurm, of_job, rayjob()["spec"]["entrypoint"]):
        overrides = overrides_in(text)
        config = compose.load([*overrides, "output=run", "cluster.address=auto"])
        assert "cluster=node8" in overrides and config.cluster.learners > 0 and config.cluster.address == "auto"
        assert config.debater.model == "/shared/models/llama-8b"


def test_the_ray_job_fits_kuberays_schema() -> None:
    job = rayjob()
    validator = jsonschema.Draft202012Validator(json.loads(SCHEMA.read_text("utf-8")))
    validator.validate(job)
    job["spec"]["rayClusterSpec"]["workerGroupSpecs"][0]["replica"] = 1
    assert not validator.is_valid(job), "a misspelt field is noticed"
    assert rayjob()["spec"]["entrypoint"].startswith("bash /app/launch/cluster/job.sh /shared/")
    versions = [job["spec"]["rayClusterSpec"]["rayVersion"], importlib.metadata.version("ray")]
    assert versions[0] == versions[1]


@pytest.mark.parametrize("preset", PRESETS)
def test_a_presets_roles_fit_the_gpus_in_its_name(preset: str) -> None:
    cluster = compose.load([f"cluster={preset}", "output=run"]).cluster
    gpus = [
        cluster.learners * (cluster.gpus_per_learner or 0),
        cluster.rollout_workers * cluster.gpus_per_worker,
        cluster.judge_workers * cluster.gpus_per_judge,
    ]
    assert sum(gpus) == {"gpu1": 1, "node8": 8, "nodes32": 32}.get(preset, 0)


def test_a_job_that_finds_its_run_goes_on_with_it(tmp_path: Path) -> None:
    command(tmp_path, "rostrum", 'echo "$@"')
    run = tmp_path / "run"
    environment = os.environ | {"PATH": f"{tmp_path}:{os.environ['PATH']}"}

    def start() -> str:
        words = ["bash", str(FILES / "job.sh"), str(run), "cluster=node8"]
        return subprocess.run(words, env=environment, capture_output=True, text=True, check=True).stdout.strip()

    assert start() == f"train output={run} cluster.address=auto cluster=node8"
    run.mkdir()
    (run / "config.yaml").touch()
    assert start() == f"train resume={run} cluster.address=auto cluster=node8"
