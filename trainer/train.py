"""The loop of a training run: publish, play and judge, learn, record, save."""

from pathlib import Path

from rostrum.envs.files import check_no_links, guarded
from rostrum.trainer.config import Config
from rostrum.trainer.run import CURRENT, Run
from rostrum.trainer.store.run_folder import RunFolder


def train(config: Config) -> Path:
    """Train, or go on where a run in the same folder was cut off; return the final policy's folder.

    The final policy is that of the last iteration, or the one that the monitor stopped at. Every rank calls this.
    """
    folder = RunFolder(config.output)
    if (stopped := folder.stopped()) is not None:
        return folder.policy(stopped)
    with guarded(config.output):
        check_no_links(folder.trainer)  # DeepSpeed writes checkpoints by itself
        with Run(config) as run:
            for iteration in run.iterations():
                policy = run.publish(iteration - 1)
                if run.stopped(policy):
                    return run.finish(policy)
                rows = run.collect(iteration, policy)
                learned = run.learners[CURRENT].update(rows, policy)
                run.record(learned)
                run.checkpoint(iteration)
            policy = run.publish(config.iterations)
            run.stopped(policy)
            return run.finish(policy)
