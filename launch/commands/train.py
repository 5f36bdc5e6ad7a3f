"""`rostrum train`: a new run, or one that was cut off. Heavy imports come only after the configuration is known to be
good, so that a typing error is answered at once."""

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from rostrum.launch import compose, environment, saved
from rostrum.launch.arguments import cost_of, take, take_dry_run, tell, tell_cost, tell_dry_run
from rostrum.launch.errors import LaunchError, continued_with
from rostrum.trainer.store.run_folder import RunFolder

if TYPE_CHECKING:
    from rostrum.trainer.cluster.learner_groups import Group
    from rostrum.trainer.config import Config


def train(overrides: Sequence[str]) -> int:
    """Train a new run, or with resume=RUN one that was cut off."""
    rest, resume = take(overrides, "resume")
    rest, dry = take_dry_run(rest)
    config = compose.load(rest) if resume is None else resumed(Path(resume), rest)
    if dry:
        return tell_dry_run(cost_of(config))
    if int(os.environ.get("RANK", 0)):
        _check(config)
        return _learn(config)
    with saved.reserved(config.output):
        _check(config, new=resume is None)
        tell_cost(config)
        with continued_with(f"rostrum train resume={config.output}"):
            _learn(config)
    _finish(config)
    return 0


def resumed(run: Path, overrides: Sequence[str]) -> "Config":
    """Return the run's own configuration; only where it runs may be another place.

    Overrides may repeat what it says: a job that is started again has those that it began the run with.

    Raises:
        LaunchError: an override changes what has to stay.
    """
    before, _ = saved.entrusted(run, overrides)
    if compose.sets(overrides, "experiment"):  # it chooses many things, and only for a run that is composed anew
        config = compose.load(overrides).model_copy(update={"output": before.output})
    else:
        config = compose.load(overrides, before)
    kept = config.model_copy(update={"cluster": before.cluster, "limits": before.limits, "rehearse": before.rehearse})
    key = "output" if compose.sets(overrides, "output") else saved.difference(before, kept)
    if key is not None:
        raise LaunchError(
            "A resumed run keeps its configuration, but for cluster, limits, rehearse and what an endpoint may cost: "
            f"leave out what changes {key}, or start a new run."
        )
    if config.cluster.shard_size != before.cluster.shard_size:
        raise LaunchError(
            f"cluster.shard_size decides which debates are sampled: resume with {before.cluster.shard_size}, as before."
        )
    return config


def _check(config: "Config", new: bool = False) -> None:
    """Check everything, then write down a new run's configuration and where it comes from."""
    environment.silence()
    from rostrum.launch import checks, manifest
    from rostrum.trainer.run_context import RunContext

    folder = RunFolder(config.output)
    if new:
        checks.check_output(config.output)
    checks.check(RunContext(config))
    manifest.check_judges(folder.manifest, config)
    if new:
        audit = checks.check_audit(config)
        manifest.write(folder.manifest, config, f"{config.output.name}: {config.protocol.name}", audit)
        compose.save(config, folder.config)


def _learn(config: "Config") -> int:
    if config.groups > 1:
        from rostrum.trainer.cluster import learner_groups

        learner_groups.train(config, train_rank, environment.quieten)
    elif config.cluster.learners:
        from rostrum.trainer.cluster import learners as ray_learners

        ray_learners.train(config, train_rank)
    else:
        from rostrum.trainer.train import train as run

        run(config)
    return 0


def train_rank(config: "Config", groups: "Mapping[str, Group] | None" = None) -> None:
    """Train as one rank of several, in a process of its own, or as the process that asks the ranks of each policy."""
    environment.quieten()
    from rostrum.trainer.train import train as run

    run(config, groups)


def _finish(config: "Config") -> None:
    from rostrum.launch import manifest
    from rostrum.trainer.evaluation.preregistration import hashes

    folder = RunFolder(config.output)
    manifest.check_judges(folder.manifest, config)
    last = folder.final(config.iterations)
    manifest.finish(folder.manifest, last)
    hashes.write(config.output, ("manifest.json",))
    if folder.stopped() is not None:
        tell(f"The monitor stopped the training after iteration {last} of {config.iterations}: see {folder.monitor}.")
    trained = "trained policy is" if not config.learners else f"policies {' and '.join(config.policies)} are"
    tell(f"The {trained} in {folder.policy(last)}.")
    tell(f"Next: rostrum evaluate run={config.output}")
