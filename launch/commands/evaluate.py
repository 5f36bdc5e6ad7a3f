"""`rostrum evaluate`: all judges on the held-out debates of a run's checkpoints, and the report on them."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from rostrum.envs.files import remove_folder, write_atomically
from rostrum.launch import compose, environment, saved
from rostrum.launch.arguments import cost_of, take, take_dry_run, tell_cost, tell_dry_run
from rostrum.launch.commands.report import write_report
from rostrum.launch.errors import LaunchError, continued_with
from rostrum.trainer.reading import Open, read_json
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
        said = _Said(config)
        _forget_other_settings(config, said.is_old())
        said.begin()
        measure(config)
        said.end()
        manifest.evaluated(config, config.output)
        summary, root = write_report(config.output, hashes.EVALUATED)
        tracker = Tracker(config)
        tracker.evaluated({**summary.arms[0].flat(), "root_hash": root})
        tracker.close()
    return 0


class _Said:
    """What people had said when an evaluation began that has them among its judges: they may have said more since."""

    def __init__(self, config: "Config") -> None:
        self._path = config.output / "evaluation" / "people.json"
        self._now = [said for judge in config.judges for one in judge.within() if (said := one.given())]
        self._then = read_json(self._path, _Began) if self._path.is_file() else None

    def is_old(self) -> bool:
        """Return whether an evaluation was finished before they said it; one that was interrupted goes on as it
        began."""
        if self._then is None:
            return bool(self._now) and (self._path.parent / "config.yaml").exists()
        return self._then["finished"] and self._then["said"] != self._now

    def begin(self) -> None:
        """Write down what they say now, unless that of an evaluation that was interrupted stands there."""
        if self._now and not self._path.is_file():
            self._write({"said": self._now, "finished": False})

    def end(self) -> None:
        """Note that the evaluation is finished."""
        if self._path.is_file():
            self._write({**read_json(self._path, _Began), "finished": True})

    def _write(self, began: "_Began") -> None:
        write_atomically(self._path, json.dumps(began) + "\n")


class _Began(Open):
    said: list[str]
    finished: bool


def _forget_other_settings(config: "Config", said_more: bool) -> None:
    """Remove parts of an earlier evaluation, unless they were made with the same questions, judges and shards, and what
    people among these have `said` is the same."""
    from rostrum.trainer.evaluation.preregistration import hashes

    folder = config.output / "evaluation"
    made_with = folder / "config.yaml"
    if made_with.exists():
        same_checkpoints = {"checkpoints": config.evaluation.checkpoints}
        earlier = compose.read(made_with)
        evaluation = earlier.evaluation.model_copy(update=same_checkpoints)
        if said_more or saved.difference(earlier.model_copy(update={"evaluation": evaluation}), config):
            remove_folder(folder)
            hashes.renew(config.output, ("evaluation/*",))
    hashes.check(config.output, ("evaluation/*.parquet", "evaluation/*.jsonl"))
    compose.save(config, made_with)
