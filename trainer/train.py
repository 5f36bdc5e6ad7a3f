"""The loop of a training run: publish, play and judge, learn, record, save."""

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from rostrum.envs.files import check_no_links, guarded
from rostrum.trainer.config import Config
from rostrum.trainer.run import Run
from rostrum.trainer.store.run_folder import RunFolder

if TYPE_CHECKING:
    from rostrum.trainer.cluster.learner_groups import Group


def train(config: Config, groups: "Mapping[str, Group] | None" = None) -> Path:
    """Train, or go on where a run in the same folder was cut off; return the folder of the final policies.

    They are those of the last iteration, or those that the monitor stopped at. Every rank calls this; where each policy
    has ranks of its own in `groups`, one process calls it, and they do as it asks.
    """
    folder = RunFolder(config.output)
    if (stopped := folder.stopped()) is not None:
        return folder.policy(stopped)
    with guarded(config.output):
        check_no_links(folder.trainer)  # DeepSpeed writes checkpoints by itself
        with Run(config, groups) as run:
            for iteration in run.iterations():
                policies = run.publish(iteration - 1)
                if run.stopped(policies):
                    return run.finish(iteration - 1)
                run.rehearse(policies)
                rows = run.collect(iteration, policies)
                with run.playing(iteration + 1):
                    learned = run.learn(rows, policies)
                run.record(learned)
                run.checkpoint(iteration)
            policies = run.publish(config.iterations)
            run.stopped(policies)
            return run.finish(config.iterations)
