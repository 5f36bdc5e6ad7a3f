"""What the subcommands do once the command line has been read. Heavy imports come only after the configuration is known
to be good, so that a typing error is answered at once."""

import os
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rostrum.envs.files import guarded, make_new_folder, remove_folder
from rostrum.launch import compose, environment, saved
from rostrum.launch.errors import LaunchError, continued_with
from rostrum.launch.results import show_root, show_summary
from rostrum.trainer.store.run_folder import RunFolder
from rostrum.trainer.terminal import Console

if TYPE_CHECKING:
    from rostrum.trainer.config import Config

RECONSIDERED = ("evaluation", "heldout_judges", "questions.heldout", "cluster", "inference")
"""What may be changed when a trained run is evaluated."""


def train(overrides: Sequence[str]) -> int:
    """A new run, or with resume=RUN one that was cut off."""
    rest, resume = take(overrides, "resume")
    rest, dry = take_dry_run(rest)
    config = compose.load(rest) if resume is None else _resumed(Path(resume), rest)
    if dry:
        return tell_dry_run(_cost(config))
    if int(os.environ.get("RANK", 0)):
        _check(config)
        return _learn(config)
    with saved.reserved(config.output):
        _check(config, new=resume is None)
        _tell_cost(config)
        with continued_with(f"rostrum train resume={config.output}"):
            _learn(config)
    _finish(config)
    return 0


def tell_dry_run(cost: str | None) -> int:
    """Prints what endpoints would cost; None if there is none."""
    _print(cost or "No judge here asks an endpoint: nothing is paid for by the token.")
    return 0


def _tell_cost(config: "Config", training: bool = True) -> None:
    if (cost := _cost(config, training)) is not None:
        from rostrum.trainer.progress import say

        say(cost)


def _cost(config: "Config", training: bool = True) -> str | None:
    """What endpoints will cost, in words; None where there is none."""
    if all(model.endpoint is None for model in (*config.judge_models, *config.inference.needs())):
        return None
    from rostrum.launch import estimate

    return estimate.in_words(config, training)


def _resumed(run: Path, overrides: Sequence[str]) -> "Config":
    """The run's own configuration; only where it runs may be another place."""
    before, overrides = saved.entrusted(run, overrides)
    for override in overrides:
        key = override.lstrip("+").partition("=")[0]
        if key.partition(".")[0] not in ("cluster", "limits") and not saved.is_means(key):
            raise LaunchError(
                f"A resumed run keeps its configuration, but for cluster, limits and what an endpoint may cost: leave "
                f"out {override!r}, or start a new run."
            )
    config = compose.load(overrides, before)
    if config.cluster.shard_size != before.cluster.shard_size:
        raise LaunchError(
            f"cluster.shard_size decides which debates are sampled: resume with {before.cluster.shard_size}, as before."
        )
    return config


def _check(config: "Config", new: bool = False) -> None:
    """Checks everything; a new run's configuration and where it comes from are then written down."""
    environment.silence()
    from rostrum.launch import checks, manifest

    folder = RunFolder(config.output)
    if new:
        checks.check_output(config.output)
    checks.check(config)
    manifest.check_judges(folder.manifest, config)
    if new:
        audit = checks.check_audit(config)
        manifest.write(folder.manifest, config, f"{config.output.name}: {config.protocol.name}", audit)
        compose.save(config, folder.config)


def _learn(config: "Config") -> int:
    if config.cluster.learners:
        from rostrum.trainer.cluster import learners as ray_learners

        ray_learners.train(config, train_rank)
    else:
        from rostrum.trainer.train import train as run

        run(config)
    return 0


def train_rank(config: "Config") -> None:
    """Train as one rank of several, in a process of its own."""
    environment.quieten()
    from rostrum.trainer.train import train as run

    run(config)


def _finish(config: "Config") -> None:
    from rostrum.launch import manifest
    from rostrum.trainer.evaluation.preregistration import hashes

    folder = RunFolder(config.output)
    manifest.check_judges(folder.manifest, config)
    last = folder.final(config.iterations)
    manifest.finish(folder.manifest, last)
    hashes.write(config.output, ("manifest.json",))
    if folder.stopped() is not None:
        _print(f"The watch stopped the training after iteration {last} of {config.iterations}: see {folder.watch}.")
    _print(f"The trained policy is in {folder.policy(last)}.")
    _print(f"Next: rostrum evaluate run={config.output}")


def evaluate(overrides: Sequence[str]) -> int:
    """All judges on the held-out debates of a run's checkpoints, and the report on them."""
    rest, run = take(overrides, "run")
    rest, dry = take_dry_run(rest)
    if run is None:
        raise LaunchError("Name the run to evaluate: rostrum evaluate run=RUN.")
    before, rest = saved.entrusted(Path(run), rest)
    config = saved.changed(before, saved.tested_on(rest), RECONSIDERED).model_copy(update={"output": Path(run)})
    if dry:
        return tell_dry_run(_cost(config, training=False))
    with saved.reserved(config.output), continued_with(" ".join(["rostrum evaluate", *overrides])):
        from rostrum.launch import checks, context, manifest
        from rostrum.trainer import setup
        from rostrum.trainer.evaluation.evaluate import evaluate as measure
        from rostrum.trainer.evaluation.preregistration import hashes
        from rostrum.trainer.store.tracking import Tracker

        environment.silence()
        checks.check_test_questions(config)
        checks.check_judges([*config.judge_models, *config.inference.needs()], config)
        context.check_context(config)
        setup.inference(config)  # refused before the parts of an earlier evaluation are given up
        manifest.check_judges(RunFolder(config.output).manifest, config)
        _tell_cost(config, training=False)
        _forget_other_settings(config)
        measure(config)
        manifest.evaluated(config, config.output)
        summary, root = _report(config.output, hashes.EVALUATED)
        tracker = Tracker(config)
        tracker.evaluated(summary, root)
        tracker.close()
    return 0


def _forget_other_settings(config: "Config") -> None:
    """Parts of an earlier evaluation count only if they were made with the same questions, judges and shards."""
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


def report(overrides: Sequence[str]) -> int:
    """The report on stored verdicts, written again."""
    rest, run = take(overrides, "run")
    if run is None or rest:
        raise LaunchError("Name the run or experiment to report on, and nothing else: rostrum report run=RUN.")
    if not RunFolder(Path(run)).config.exists():
        saved.run_config(Path(run))
    with guarded(Path(run)):
        _report(Path(run))
    return 0


def _report(folder: Path, written: Sequence[str] = ()) -> tuple[dict[str, Any], str | None]:
    """Write the report, then the hashes: after an evaluation also of what that has written. Returns the summary and the
    root hash, if the folder has hashes."""
    from rostrum.trainer.evaluation.preregistration import hashes
    from rostrum.trainer.report.experiment_report import report as write

    experiment = (folder / "arms").is_dir()
    arms = list(saved.run_config(folder).arms) if experiment else None
    summary = write(folder, arms)
    root = hashes.write(folder, written) if written else hashes.renew(folder, hashes.reported(experiment))
    show_summary(summary, folder)
    show_root(root)
    return summary, root


def export(overrides: Sequence[str]) -> int:
    """A policy of a run, as a plain model folder."""
    rest, run = take(overrides, "run")
    rest, iteration = take(rest, "iteration")
    rest, output = take(rest, "output")
    if run is None or output is None or rest:
        raise LaunchError("Name the run and the folder to write: rostrum export run=RUN output=FOLDER [iteration=N].")
    if iteration is not None and not iteration.isdecimal():
        raise LaunchError(f"The iteration cannot be {iteration!r}: give a whole number, or leave it out for the last.")
    config = saved.run_config(Path(run))
    environment.silence()
    from rostrum.trainer.export.export_model import export as write

    chosen = write(config, None if iteration is None else int(iteration), Path(output))
    _print(f"The policy of iteration {chosen} is in {output}, a plain Hugging Face folder.")
    return 0


def build_models(overrides: Sequence[str]) -> int:
    """The embedded models, built again from a seed."""
    rest, output = take(overrides, "output")
    rest, seed = take(rest, "seed")
    if rest:
        raise LaunchError(f"build-models takes output=DIR and seed=NUMBER only: leave out {rest[0]!r}.")
    if seed is not None and not seed.isdecimal():
        raise LaunchError(f"The seed cannot be {seed!r}: give a whole number, e.g. seed=0.")
    from rostrum.trainer.models.loading import EMBEDDED
    from rostrum.trainer.progress import say
    from rostrum.trainer.testimony_models.build import build_models as build

    environment.silence()
    folder = make_new_folder(Path(output)) if output else EMBEDDED
    build(folder, int(seed or 0), say)
    _print(f"The models and their cards are in {folder}.")
    return 0


def take(overrides: Sequence[str], key: str) -> tuple[list[str], str | None]:
    """The overrides without `key=VALUE`, and the value, None if it is not there."""
    values = [override.partition("=")[2] for override in overrides if override.partition("=")[0] == key]
    if len(values) > 1 or "" in values:
        raise LaunchError(f"Give {key}=... once, with a value.")
    return [override for override in overrides if override.partition("=")[0] != key], next(iter(values), None)


def take_dry_run(overrides: Sequence[str]) -> tuple[list[str], bool]:
    """The overrides without dry_run=true, and whether it is there."""
    rest, value = take(overrides, "dry_run")
    if value not in (None, "true"):
        raise LaunchError(f"dry_run cannot be {value!r}: write dry_run=true, or leave it out.")
    return rest, value is not None


def _print(*lines: str) -> None:
    for line in lines:
        Console(soft_wrap=True).print(line, markup=False, highlight=False)
