"""`rostrum demo`: the arms of an experiment side by side, each in its own process, and one report on all of them.

Processes because tiny models do not get faster with threads: each arm computes on one.
"""

import subprocess
from collections.abc import Sequence

from rostrum.envs.questions.base import load_questions, why_empty
from rostrum.envs.questions.splits import SPLITS
from rostrum.launch import compose, manifest, saved, side_by_side
from rostrum.launch.arms import Arm, arms_of
from rostrum.launch.commands.plan import check_lock
from rostrum.launch.errors import LaunchError, continued_with
from rostrum.launch.results import show_root, show_summary
from rostrum.trainer.config import Config
from rostrum.trainer.evaluation.preregistration import hashes
from rostrum.trainer.store.run_folder import RunFolder


def demo(overrides: Sequence[str]) -> int:
    """Run what is not finished yet of an experiment, then report; return 0, or the code of an arm that failed."""
    given = list(overrides) if compose.sets(overrides, "experiment") else ["experiment=demo", *overrides]
    config = compose.load(given)
    arms = arms_of(config, given)
    with saved.reserved(config.output), continued_with(" ".join(["rostrum demo", *overrides])):
        begin(config, arms)
        try:
            side_by_side.run(arms)
        except subprocess.CalledProcessError as error:
            return side_by_side.failed(error, config.output / "arms" / str(error.cmd))
        from rostrum.trainer.report.experiment_report import report

        summary = report(config.output, list(config.arms))
        manifest.finish(RunFolder(config.output).manifest)
        manifest.evaluated(config, config.output)
        root = hashes.write(config.output, ("manifest.json", *hashes.reported(experiment=True)))
    show_summary(summary, config.output)
    show_root(root)
    return 0


def begin(config: Config, arms: Sequence[Arm]) -> None:
    """Begin an experiment, or go on with the one in the folder if it is the same and as it was declared."""
    folder = RunFolder(config.output)
    check_lock(config, arms)
    if not folder.config.exists():
        for why in filter(None, (why_empty(load_questions(config.questions), split) for split in SPLITS)):
            raise LaunchError(why)
        saved.check_new(config.output)
        title = f"Does persuasion training make the judge right more often? ({config.output.name})"
        manifest.write(folder.manifest, config, title)
        compose.save(config, folder.config)
    elif key := saved.difference(saved.run_config(config.output), config):
        raise LaunchError(f"{config.output} holds something with another {key}: choose another output=FOLDER.")
    for arm in arms:
        arm.check()
