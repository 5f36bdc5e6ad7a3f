"""`rostrum evaluate`: all judges on the held-out debates of a run's checkpoints, and the report on them."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from rostrum.envs.files import remove_folder
from rostrum.launch import compose, environment, saved
from rostrum.launch.arguments import cost_of, take, take_dry_run, tell_cost, tell_dry_run
from rostrum.launch.commands.report import write_report
from rostrum.launch.errors import LaunchError, continued_with
from rostrum.trainer.store.run_folder import RunFolder

if TYPE_CHECKING:
    from rostrum.trainer.config import Config

RECONSIDERED = ("evaluation", "heldout_judges", "questions.heldout", "cluster", "decoding", "people.study")
"""What may be changed when a trained run is evaluated."""


def evaluate(overrides: Sequence[str]) -> int:
    """Evaluate a run's checkpoints on held-out debates by all judges, and write the report on them."""
    rest, run = take(overrides, "run")
    rest, dry = take_dry_run(rest)
    if run is None:
        raise LaunchError("Name the run to evaluate: rostrum evaluate run=RUN.")
    before, rest = saved.entrusted(Path(run), rest)
    config = saved.changed(before, saved.tested_on(rest), RECONSIDERED).model_copy(update={"output": Path(run)})
    if dry:
        return tell_dry_run(cost_of(config, training=False))
    with saved.reserved(config.output), continued_with(" ".join(["rostrum evaluate", *overrides])):
        from rostrum.launch import checks, context, manifest
        from rostrum.trainer import setup
        from rostrum.trainer.evaluation.evaluate import evaluate as measure
        from rostrum.trainer.evaluation.preregistration import hashes
        from rostrum.trainer.run_context import RunContext
        from rostrum.trainer.store.tracking import Tracker

        environment.silence()
        known = RunContext(config)
        config.evaluation.check_questions(known)
        checks.check_teachers(known)
        checks.check_judges([*config.judge_models, *config.decoding.needs()], known)
        context.check_context(known)
        setup.decoding(config)  # refused before the parts of an earlier evaluation are given up
        manifest.check_judges(RunFolder(config.output).manifest, config)
        tell_cost(config, training=False)
        _forget_other_settings(config)
        measure(config)
        manifest.evaluated(config, config.output)
        summary, root = write_report(config.output, hashes.EVALUATED)
        tracker = Tracker(config)
        tracker.evaluated({**summary.arms[0].flat(), "root_hash": root})
        tracker.close()
    return 0


def _forget_other_settings(config: "Config") -> None:
    """Remove parts of an earlier evaluation, unless they were made with the same questions, judges and shards."""
    from rostrum.trainer.evaluation.preregistration import hashes

    folder = config.output / "evaluation"
    made_with = folder / "config.yaml"
    if made_with.exists():
        same_checkpoints = {"checkpoints": config.evaluation.checkpoints}
        earlier = compose.read(made_with)
        evaluation = earlier.evaluation.model_copy(update=same_checkpoints)
        if saved.difference(earlier.model_copy(update={"evaluation": evaluation}), config):
            remove_folder(folder)
            hashes.renew(config.output, ("evaluation/*",))
    hashes.check(config.output, ("evaluation/*.parquet", "evaluation/*.jsonl"))
    compose.save(config, made_with)
