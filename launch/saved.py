"""Configurations that were saved with runs: reading them, changing what may still be changed, comparing them."""

import fcntl
import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from rostrum.envs.files import checked, guarded, remove_leftovers
from rostrum.launch import compose, trust
from rostrum.launch.errors import LaunchError
from rostrum.rewards.endpoint.config import MEANS
from rostrum.trainer.config import Config
from rostrum.trainer.evaluation.preregistration import lock
from rostrum.trainer.store.provenance import without_means
from rostrum.trainer.store.run_folder import RunFolder

LOG = "log.txt"
"""What a training in a process of its own writes, in its run's folder."""
_MEANS = re.compile(rf"(judge|heldout_judges|decoding)(\.[\w-]+)*\.endpoint\.({'|'.join(MEANS)})")


def is_means(key: str) -> bool:
    """Return whether a key, dotted, is a setting of a judge's endpoint that changes nothing about its replies."""
    return _MEANS.fullmatch(key) is not None


def run_config(run: Path) -> Config:
    """Return the configuration of a run. Its output is where the run lies now, which may not be where it was trained.

    Raises:
        ConfigError: the folder is no run.
    """
    return compose.read(RunFolder(run).config).model_copy(update={"output": run})


def entrusted(run: Path, overrides: Sequence[str], evaluated: bool = False) -> tuple[Config, list[str]]:
    """Return the configuration of a run whose prompts are to be rendered and whose endpoints asked, and the overrides
    without those that only repeat what it says; `evaluated`: the one with which its debates were evaluated.

    Raises:
        LaunchError: it names prompts or a cluster that the overrides do not (`launch.trust`).
        ConfigError: the folder is no run.
    """
    path = run / "evaluation" / "config.yaml" if evaluated else RunFolder(run).config
    config = compose.read(path).model_copy(update={"output": run})
    kept = trust.check(config.model_dump(mode="json"), path, overrides)
    trust.tell_unsent(compose.saved_values(path), overrides, path)
    return config, kept


def confirmations(config: Config) -> list[str]:
    """Return the overrides with which another process that reads this configuration from its folder may do what this
    one may."""
    return [f"{key}={value}" for key, value in trust.entrusted(config.model_dump(mode="json"))]


def changed(config: Config, overrides: Sequence[str], allowed: Sequence[str]) -> Config:
    """Return a saved configuration with overrides on top, of which only those of the groups and keys in `allowed` may
    be there.

    Raises:
        LaunchError: the override may not be changed.
        ConfigError: its value does not fit, or it is no override.
    """
    for override in overrides:
        key = compose.Override.read(override).key
        if not is_means(key) and not any(key == name or key.startswith(f"{name}.") for name in allowed):
            raise LaunchError(f"{key} cannot be changed after training: only {', '.join(allowed)} can.")
    return compose.load(overrides, config)


def tested_on(overrides: Sequence[str]) -> list[str]:
    """Return the overrides with `questions.seed=N` as what it means after training: the seed of the test's questions,
    while those that were learned from stay what they were."""
    fresh, own = "questions.seed=", "evaluation.questions_seed="
    return [own + override.removeprefix(fresh) if override.startswith(fresh) else override for override in overrides]


def difference(one: Config, other: Config) -> str | None:
    """Return the first key, dotted, in which two configurations differ; None if they agree. The output folder and the
    means by which endpoints are asked do not count."""
    a, b = (config.model_copy(update={"output": Path()}).model_dump(mode="json") for config in (one, other))
    return _difference(without_means(a), without_means(b))


def _difference(a: Mapping[str, Any], b: Mapping[str, Any]) -> str | None:
    for key in [*a, *(key for key in b if key not in a)]:
        mine, theirs = a.get(key), b.get(key)
        if isinstance(mine, Mapping) and isinstance(theirs, Mapping):
            if (inner := _difference(mine, theirs)) is not None:
                return f"{key}.{inner}"
        elif mine != theirs:
            return key
    return None


def check_new(folder: Path, also: Sequence[str] = ()) -> None:
    """Refuse a folder to begin in that is neither new nor empty, nor holds only a plan and what a start that was cut
    off has left, which may be more than that (`also`).

    Raises:
        LaunchError: there is something else in it, which might be overwritten.
    """
    from rostrum.rewards.endpoint.scorer import LEDGER

    known = {".lock", LOG, lock.NAME, RunFolder(folder).manifest.name, LEDGER, *also}
    strange = sorted(path.name for path in folder.iterdir() if path.name not in known) if folder.is_dir() else []
    if strange:
        raise LaunchError(f"{folder} is not empty ({strange[0]} lies there): choose another output=FOLDER.")


@contextmanager
def reserved(run: Path) -> Iterator[None]:
    """Keep a second process from working on the same run; the reservation ends with the process, however it ends.
    Nothing is written through a link in the run's folder.

    Raises:
        LaunchError: somebody else is at work there.
    """
    with guarded(run), checked(run / ".lock").open("a") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise LaunchError(f"Another process is working on {run}: wait for it, or stop it first.") from None
        remove_leftovers(run)
        yield
