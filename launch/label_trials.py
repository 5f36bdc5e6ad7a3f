"""Teaching trials on Ray: each task teaches the judges of one chain and writes their outcomes.

The tasks see one file system. What is finished lies in the folder, so that a task that was lost with its node is
started again elsewhere, and a sweep goes on where it was.
"""

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import ray

from rostrum.envs.files import remove_folder
from rostrum.launch import compose
from rostrum.launch.side_by_side import INTERVAL
from rostrum.trainer.cluster import cluster as ray_cluster
from rostrum.trainer.config import Config
from rostrum.trainer.labels.grid_plan import Trial, chains
from rostrum.trainer.labels.label_folder import LabelFolder
from rostrum.trainer.progress import activity

RESTARTS = 3
"""How often Ray starts a chain again whose worker or node was lost."""
_LOADED: dict[str, tuple[Config, LabelFolder]] = {}
"""What a worker has read: it teaches several chains of one folder."""


def finish(folder: LabelFolder, config: Config, trials: Sequence[Trial]) -> None:
    """Teach and test what has no outcome yet, as many chains at once as there is room for. However this ends, no task
    is left behind.

    Raises:
        ClusterError: no node can ever hold a chain.
    """
    missing = folder.missing(trials)
    if not missing:
        return
    remove_folder(folder.stages)  # what a sweep that was killed was at
    settings = config.ablation
    ray_cluster.join(config.cluster.address, 0)
    bundle = {"CPU": settings.cpus, **({"GPU": settings.gpus} if settings.gpus else {})}
    ray_cluster.check_fits(bundle, config.cluster, "ablation.cpus and ablation.gpus")
    task = ray.remote(num_cpus=settings.cpus, num_gpus=settings.gpus, max_retries=RESTARTS)(teach)
    waiting, working = list(chains(missing)), list[Any]()
    at_once = settings.at_once or len(waiting)
    try:
        with activity("teaching judges", len(trials), "judges") as bar:
            bar.advance(len(trials) - len(missing))
            while waiting or working:
                while waiting and len(working) < at_once:
                    working.append(task.remote(str(folder.path.absolute()), waiting.pop(0), os.getcwd()))
                done, working = ray.wait(working, timeout=INTERVAL)
                ray.get(done)
                bar.advance(len(trials) - len(folder.missing(trials)) - bar.done)
    finally:
        for reference in working:
            ray.cancel(reference, force=True)
    remove_folder(folder.stages)


def teach(path: str, chain: Sequence[Trial], where: str) -> None:
    """Teach the judges of a chain that have no outcome yet, in a process of Ray's."""
    ray_cluster.enter(where)
    config, folder = _loaded(path)
    from rostrum.trainer.labels.teaching_trials import Trials

    missing = folder.missing(chain)
    for trial, found in Trials(config, folder.market(chain[0].seed), folder.tested, folder.stages).results(missing):
        folder.keep(trial, found)


def _loaded(path: str) -> tuple[Config, LabelFolder]:
    if path not in _LOADED:
        import torch

        from rostrum.launch import environment

        environment.silence()
        config = compose.read(Path(path) / "config.yaml")
        torch.set_num_threads(max(1, int(config.ablation.cpus)))
        _LOADED[path] = (config, LabelFolder(Path(path)))
    return _LOADED[path]
