"""Hydra composes the configuration, pydantic validates it once, and whatever is wrong is said in one sentence."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import yaml
from hydra import compose, initialize_config_dir
from hydra.errors import HydraException
from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException
from pydantic import ValidationError

from envs.files import write_atomically
from launch import trust
from launch.errors import LaunchError
from rewards.endpoint.settings import DEFAULT_KEY
from rewards.judges import settings_by_kind
from trainer.config import Config
from trainer.reading import DamagedError, read_yaml

CONFIGS = Path(__file__).parents[1] / "configs"
UNIONS = ("questions", "algorithm", "opponent", "inference")
"""Sections that are one of several; pydantic puts which one after their name into the place of an error. With judges it
does so at every depth."""

JUDGES = ("judge", "heldout_judges")
CREDITS = {
    "gae": ("ppo", ("gamma", "lam", "value_coefficient")),
    "group": ("rloo", ()),
    "role_ema": ("rae", ("ema_decay",)),
}
"""What `algorithm.credit` of runs of the first edition is called today, with the keys that it alone has."""


class ConfigError(LaunchError):
    """A configuration that cannot be used; the message says what to change."""


def load(overrides: Sequence[str]) -> Config:
    """The configuration that these Hydra overrides ask for.

    Raises:
        ConfigError: an unknown key or choice, a wrong type, a value out of range.
    """
    files = {key: Path(value) for key, value in map(_parts, overrides) if _is_group(key) and value.endswith(".yaml")}
    own = [override for override in overrides if _parts(override)[0].partition(".")[0] in files]
    try:
        with initialize_config_dir(str(CONFIGS), version_base="1.3"):
            composed = compose("config", [_forced(override) for override in overrides if override not in own])
        OmegaConf.set_struct(composed, False)
        composed = _with_keys(_replaced(composed, files, overrides), own)
        values = OmegaConf.to_container(composed, resolve=True, throw_on_missing=True)
    except LaunchError:
        raise
    except (HydraException, OmegaConfBaseException, ValueError) as error:
        raise ConfigError(_sentence(error)) from None
    return validate(with_folders(values))


def with_folders(values: Any) -> Any:
    """Return the values of a configuration with every `model` that is a folder here under its absolute path.

    A run is resumed and evaluated from other folders as well, where a relative path would be the id of a stranger's
    model on a hub. Models behind an endpoint, and those that ship with us, stay as they are.
    """
    if isinstance(values, list):
        return [with_folders(value) for value in values]
    if not isinstance(values, dict):
        return values
    found = {key: with_folders(value) for key, value in values.items()}
    if isinstance(model := found.get("model"), str) and found.get("endpoint") is None:
        found["model"] = absolute_folder(model)
    return found


def absolute_folder(model: str) -> str:
    """Return the absolute path of a model that is a folder here; anything else as it is."""
    folder = Path(model).expanduser()
    return str(folder.absolute()) if not model.startswith("embedded/") and folder.is_dir() else model


def sets(overrides: Sequence[str], key: str) -> bool:
    """Whether one of the overrides sets this key or group."""
    return any(override.lstrip("+").partition("=")[0] == key for override in overrides)


def quoted(value: Path | str) -> str:
    """A path or name as the value of an override, in which Hydra then reads no commas and no equals signs."""
    return "'" + str(value).replace("'", "\\'") + "'"


def _forced(override: str) -> str:
    """Lets a value be set whether or not the YAML names its key; keys that nobody knows are pydantic's to refuse."""
    key, value = _parts(override)
    if _is_group(key) and value[:1] in ("[", "{"):
        raise ConfigError(f"{key} is a group of configs/: give one of its names, or a YAML file of your own.")
    return override if _is_group(key) or override[:1] in "+~" else f"++{override}"


def _parts(override: str) -> tuple[str, str]:
    key, _, value = override.lstrip("+").partition("=")
    return key, value


def _is_group(key: str) -> bool:
    return (CONFIGS / key.partition("@")[0]).is_dir()


def _replaced(composed: DictConfig, files: Mapping[str, Path], overrides: Sequence[str]) -> DictConfig:
    """Puts a file of one's own in the place of a group's choice (judge=mine/judge.yaml); what such a file may not ask
    for by itself, see `launch.trust`."""
    for key, path in files.items():
        if key == "experiment":
            raise ConfigError("experiment=FILE is not read: choose one of configs/experiment, or give its keys singly.")
        try:
            kind = list[Any] if key == "heldout_judges" else dict[str, Any]
            values = {key: read_yaml(path, "give a YAML file of settings", kind)}
        except DamagedError as error:
            raise ConfigError(f"{key}={error}") from None
        trust.refuse_resolvers(values, path)
        trust.check(values, path, overrides)
        trust.tell_unsent(values, overrides, path)
        composed[key] = trust.without_keys(values)[key]
    return composed


def _with_keys(composed: DictConfig, overrides: Sequence[str]) -> DictConfig:
    """Sets the single keys that the overrides name; those that choose a file are left out."""
    for key, value in map(_parts, overrides):
        if "." in key:
            OmegaConf.update(composed, key, _value(key, value))
    for key in trust.default_keys(overrides):
        OmegaConf.update(composed, key, DEFAULT_KEY)
    return composed


def _value(key: str, text: str) -> Any:
    try:
        return yaml.safe_load(text)
    except (yaml.YAMLError, ValueError):
        raise ConfigError(f"The value of {key} is no YAML: {text!r}.") from None


def validate(values: Any) -> Config:
    """The validated configuration.

    Raises:
        ConfigError: the first thing that is wrong with the values.
    """
    if isinstance(values, dict):
        values.pop("experiment", None)
    try:
        return Config.model_validate(values)
    except ValidationError as error:
        raise ConfigError(_first(error)) from None


def read(path: Path) -> Config:
    """The configuration that was saved with a run, perhaps by somebody else: it names no keys of endpoints.

    Raises:
        ConfigError: it is none.
        LaunchError: a value asks for what is in the environment.
    """
    values = trust.without_keys(saved_values(path))
    try:
        return validate(values)
    except ConfigError as error:
        raise ConfigError(f"{path} is no configuration of this release: {error}") from None


def saved_values(path: Path) -> Any:
    """The plain values of a saved configuration, before they are validated.

    Raises:
        ConfigError: there are none.
        LaunchError: one asks for what is in the environment.
    """
    try:
        values = _renamed(read_yaml(path, "give the folder of a run, or restore the file from a copy"))
    except DamagedError as error:
        raise ConfigError(str(error)) from None
    trust.refuse_resolvers(values, path)
    return values


def _renamed(values: Any) -> Any:
    """Return saved values with the algorithm's name of today: runs of the first edition had one name, ppo, and told
    their baselines apart by `credit`."""
    algorithm = values.get("algorithm") if isinstance(values, dict) else None
    if not isinstance(algorithm, dict) or "credit" not in algorithm:
        return values
    name, own = CREDITS.get(algorithm["credit"], ("ppo", ()))
    others = {key for _, keys in CREDITS.values() for key in keys if key not in own}
    kept = {key: value for key, value in algorithm.items() if key != "credit" and key not in others}
    return {**values, "algorithm": {**kept, "name": name}}


def save(config: Config, path: Path) -> None:
    """Writes the configuration so that `read` gives it back."""
    write_atomically(path, yaml.safe_dump(config.model_dump(mode="json"), sort_keys=False))


def _first(error: ValidationError) -> str:
    problem = error.errors()[0]
    section, *rest = problem["loc"] or ("",)
    if section in JUDGES:
        rest = [part for part in rest if part not in settings_by_kind()]
    where = ".".join(str(part) for part in (section, *(rest[1:] if section in UNIONS else rest)))
    if problem["type"] == "extra_forbidden":
        return f"There is no configuration key {where!r}: remove it, or see configs/ for the names."
    message = problem["msg"].removeprefix("Value error, ")
    given = "used" if isinstance(problem["input"], dict) else repr(problem["input"])
    return f"The configuration's {where or 'values'} cannot be {given}: {message[0].lower()}{message[1:]}."


def _sentence(error: Exception) -> str:
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return f"The overrides do not fit the configuration: {' '.join(lines)} (see configs/ for the groups and keys)."
