"""Runs on Ray: each is one task that keeps a child process at work until it has been trained and evaluated.

The tasks see one file system. All that is known of a run lies in its folder, so that a task that was lost with its node
is started again on another, and a run goes on where it was.
"""

import os
import subprocess
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import ray
from ray.exceptions import RayError

from rostrum.launch.arms import PATIENCE, Arm, Status
from rostrum.launch.saved import LOG
from rostrum.launch.side_by_side import INTERVAL, View, variables_of
from rostrum.trainer.cluster import cluster as ray_cluster
from rostrum.trainer.config import Ablation, Cluster

RESTARTS = 3
"""How often Ray starts a run again whose worker or node was lost."""


class Run:
    """An arm that is worked on somewhere in the cluster; `failure` is the sentence it ended with, if it failed."""

    def __init__(self, arm: Arm) -> None:
        self.arm, self.name = arm, arm.name
        self.failure: str | None = None

    def status(self) -> Status:
        """Return the status that its folder tells, which this process sees as well."""
        status = self.arm.status()
        if self.failure is not None:
            return Status("failed", status.metrics)
        return status if (self.arm.folder / LOG).exists() else Status("waiting", {})


def finish(arms: Sequence[Arm], settings: Ablation, cluster: Cluster) -> dict[str, str]:
    """Train and evaluate what is not finished yet, as many at once as there is room for; return what failed, each with
    one sentence. However this ends, no child is left behind.

    Raises:
        ClusterError: no node can ever hold a run.
    """
    runs = [Run(arm) for arm in arms]
    waiting = [run for run in runs if not run.arm.evaluated]
    if waiting:
        _connect(settings, cluster)
        _work_on(waiting, runs, settings)
    return {run.name: run.failure for run in runs if run.failure is not None}


def _connect(settings: Ablation, cluster: Cluster) -> None:
    ray_cluster.join(cluster.address, 0)
    bundle = {"CPU": settings.cpus, **({"GPU": settings.gpus} if settings.gpus else {})}
    ray_cluster.check_fits(bundle, cluster, "ablation.cpus and ablation.gpus")


def _work_on(waiting: list[Run], runs: Sequence[Run], settings: Ablation) -> None:
    view, working = View(runs), dict[Any, Run]()
    variables = variables_of([run.arm for run in runs], threads=max(1, int(settings.cpus)))
    if not settings.gpus:
        variables["CUDA_VISIBLE_DEVICES"] = ""  # Ray hides none from a task that asks for none
    task = ray.remote(num_cpus=settings.cpus, num_gpus=settings.gpus, max_retries=RESTARTS)(work)
    at_once = settings.at_once or len(waiting)
    try:
        with view.live:
            while waiting or working:
                while waiting and len(working) < at_once:
                    run = waiting.pop(0)
                    arm = run.arm
                    working[task.remote(arm.name, arm.overrides, str(arm.folder), os.getcwd(), variables)] = run
                for done in ray.wait(list(working), timeout=INTERVAL)[0]:
                    run = working.pop(done)
                    run.failure = _outcome(done)
                view.show()
    finally:
        _stop(list(working))


def work(name: str, overrides: Sequence[str], folder: str, where: str, variables: Mapping[str, str]) -> str | None:
    """Train and evaluate one run, in a child process; return None, or what it said when it failed."""
    ray_cluster.enter(where)
    arm = Arm(name, overrides, Path(folder))
    try:
        while arm.step(variables):
            time.sleep(INTERVAL)
    except subprocess.CalledProcessError as error:
        return last_words(str(error.output), arm.folder / LOG)
    finally:
        arm.stop()
        arm.ended()
    return None


def last_words(log: str, path: Path) -> str:
    """Return the sentence that a process ended with: the last one that `rostrum` told, else its last line."""
    lines = [line for line in log.splitlines() if line.strip()] or ["it said nothing"]
    told = [line.removeprefix("rostrum: ") for line in lines if line.startswith("rostrum: ")]
    return f"{(told or lines)[-1].strip()} (see {path})"


def _outcome(done: Any) -> str | None:
    try:
        outcome: str | None = ray.get(done)
    except RayError as error:
        return f"It was lost with its worker or node: {str(error).strip().splitlines()[-1]}"
    return outcome


def _stop(tasks: Sequence[Any]) -> None:
    """Interrupt the tasks and wait until they have ended their children."""
    for task in tasks:
        ray.cancel(task, force=False)
    if tasks:
        ray.wait(list(tasks), num_returns=len(tasks), timeout=2 * PATIENCE)
