"""`rostrum config show`: the whole configuration that a command line composes, with where each value comes from; and
`rostrum config migrate`, which is `launch.migrate`."""

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import yaml
from hydra import compose as hydra_compose
from hydra import initialize_config_dir
from omegaconf import DictConfig, OmegaConf

from rostrum.launch import compose, groups, saved
from rostrum.launch.arguments import take
from rostrum.launch.compose import Override
from rostrum.launch.errors import LaunchError
from rostrum.launch.fields import leaves
from rostrum.launch.groups import CONFIGS
from rostrum.launch.migrate import migrate
from rostrum.trainer.terminal import visible

COMMAND_LINE, DEFAULT = "command line", "default"


def config(words: Sequence[str]) -> int:
    """Carry out the action that the first word names; the others are overrides of the configuration."""
    action, *overrides = words or [""]
    if action not in ACTIONS:
        raise LaunchError(
            f"Write `rostrum config show KEY=VALUE ...` or `rostrum config migrate FILE`: {action!r} is no action."
        )
    return ACTIONS[action](overrides)


def _show(overrides: Sequence[str]) -> int:
    """Print every key with its value and where that comes from, a line each, as YAML with a comment."""
    rest, run = take(overrides, "run")
    base = None if run is None else saved.run_config(Path(run))
    values = compose.load(rest, base).model_dump(mode="json")
    given = [Override.read(text) for text in rest]
    of_files = _of_groups(given) if base is None else lambda _: str(Path(str(run)) / "config.yaml")
    for key, value in leaves(values):
        print(visible(f"{key}: {yaml.safe_dump(value, default_flow_style=True, width=10**6).splitlines()[0]}"), end="")
        print(f"  # {_source(key, given) or of_files(key)}")
    return 0


def _source(key: str, given: Sequence[Override]) -> str | None:
    """Return what the command line says of a key: itself, or the file that it puts in the place of a group."""
    source = None
    for override in given:
        if key == override.key or key.startswith(f"{override.key}."):
            source = COMMAND_LINE if override.group is None else None if override.choice else _elsewhere(override)
    return source


def _elsewhere(override: Override) -> str:
    return str(override.file) if override.file is not None else f"rostrum.protocols ({override.value})"


def _of_groups(given: Sequence[Override]) -> Callable[[str], str]:
    """Return what names the file of configs/ that a key has its value from."""
    with initialize_config_dir(str(CONFIGS), version_base="1.3"):
        chosen = [*groups.searched(), *(override.for_hydra() for override in given if override.choice)]
        composed = hydra_compose("config", chosen, return_hydra_config=True)
    files = [("", CONFIGS / "config.yaml")]
    for place, choice in composed.hydra.runtime.choices.items():
        group, _, package = place.partition("@")
        if choice is not None and not group.startswith("hydra"):
            path = groups.choices(group)[str(choice)]
            files += _included(path, "" if group == "experiment" else package or group)
    read = [(place, path, OmegaConf.load(path)) for place, path in files]

    def source(key: str) -> str:
        """Return the last file that sets a key: an experiment, then the innermost choice, then the common defaults."""
        for place, path, values in sorted(read, key=lambda file: (file[1].parent.name != "experiment", -len(file[0]))):
            if not place and _has(values, key):
                return groups.shown(path)
            if place and key.startswith(f"{place}.") and _has(values, key[len(place) + 1 :]):
                return groups.shown(path)
        return DEFAULT

    return source


def _included(path: Path, place: str) -> Iterator[tuple[str, Path]]:
    """Yield a choice's file with its place, and those of its group that it puts into places of its own (CHOICE@PLACE in
    its defaults)."""
    yield place, path
    values = OmegaConf.load(path)
    for choice in values.get("defaults", []) if isinstance(values, DictConfig) else []:
        name, at, inner = str(choice).partition("@")
        if at:
            yield from _included(groups.choices(path.parent.name)[name], f"{place}.{inner}")


def _has(values: Any, key: str) -> bool:
    missing = object()
    return OmegaConf.select(values, key, default=missing) is not missing


ACTIONS: dict[str, Callable[[Sequence[str]], int]] = {"show": _show, "migrate": migrate}
