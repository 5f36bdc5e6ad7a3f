"""Hydra composes the configuration, pydantic validates it once, and whatever is wrong is said in one sentence."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import yaml
from hydra import compose, initialize_config_dir
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.errors import HydraException
from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import InterpolationKeyError, OmegaConfBaseException
from pydantic import TypeAdapter, ValidationError
from pydantic_core import ErrorDetails

from rostrum.envs import registry
from rostrum.envs.files import write_atomically
from rostrum.envs.types import Protocol
from rostrum.launch import groups, trust
from rostrum.launch.errors import LaunchError, nearest
from rostrum.launch.groups import CONFIGS
from rostrum.launch.suggestions import key_like
from rostrum.rewards.endpoint.config import DEFAULT_KEY
from rostrum.rewards.judges import settings_by_kind
from rostrum.trainer.config import Config, renamed
from rostrum.trainer.reading import DamagedError, read_yaml

UNIONS = ("questions", "algorithm", "opponent", "decoding")
"""Sections that are one of several; pydantic puts which one after their name into the place of an error. With judges it
does so at every depth."""

JUDGES = ("judge", "heldout_judges")
PLACES = {
    "decoding.judge": "judge",
    "labels.cheap": "label_source",
    "labels.dear": "label_source",
    "labels.cheap.judge": "judge",
    "labels.dear.judge": "judge",
}
"""Keys that take a choice of a group of another name."""

INSIDE = ("labels.cheap.judge", "labels.dear.judge")
"""Those of them that stand in a choice of another group, which has one already."""
WHOLE = ("protocol.speakers",)
"""Keys whose mapping is given as a whole: it replaces the one that is there."""
_LITERAL = ("${", "\0{")
"""What begins a reference of OmegaConf's, and what stands for it in values that are to be left as they are."""


class ConfigError(LaunchError):
    """A configuration that cannot be used; the message says what to change."""


def load(overrides: Sequence[str], base: Config | None = None) -> Config:
    """Compose the configuration that these overrides ask for: a new one, or with `base` a saved one that they change.

    An override is a group's choice (judge=panel), a group's YAML file (judge=mine/judge.yaml), or a key with its value
    (algorithm.kl=0.05) in Hydra's grammar, or in YAML where that grammar has no reading.

    Raises:
        ConfigError: an unknown key or choice, a wrong type, a value out of range.
        LaunchError: a file asks for what only a command line may ask for (`launch.trust`).
    """
    given = [Override.read(text) for text in overrides]
    try:
        composed = _chosen([override for override in given if override.choice], whole=base is None)
        values = composed if base is None else _with_choices(base, composed, given)
        OmegaConf.set_struct(values, False)
        for override in given:
            if override.file is not None:
                values[override.key] = _read_file(override.key, override.file, overrides)
            elif override.made is not None:
                values[override.key] = override.made
        for override in given:
            if override.group is None:
                override.set_in(values)
        for key in trust.default_keys(overrides):
            if OmegaConf.select(values, key.rpartition(".")[0]) is not None:
                OmegaConf.update(values, key, DEFAULT_KEY)
        plain = OmegaConf.to_container(values, resolve=True, throw_on_missing=True)
    except LaunchError:
        raise
    except (HydraException, OmegaConfBaseException, ValueError) as error:
        raise ConfigError(_sentence(error)) from None
    if said := renamed.refused(plain):
        raise ConfigError(said)
    return validate(with_folders(plain) if base is None else replaced(plain, *reversed(_LITERAL)))


@dataclass(frozen=True, slots=True)
class Override:
    """One override of a command line: where its value goes, and what it is."""

    text: str
    key: str
    """Where the value goes, dotted."""
    value: Any = None
    deletes: bool = False
    group: str | None = None
    """The folder of configs/ that the value is chosen from."""
    file: Path | None = None
    """The file that stands in the place of a choice."""
    made: Mapping[str, Any] | None = None
    """The values of a choice that an installed package has made without a file."""

    @classmethod
    def read(cls, text: str) -> "Override":
        """Read an override as it stands on a command line.

        Raises:
            ConfigError: it is none, lists several values, or gives a group anything but a name or a file.
        """
        try:
            parsed = OverridesParser.create().parse_override(text)
        except HydraException as error:
            return cls._in_yaml(text, error)
        key = str(parsed.package or parsed.key_or_group)
        if parsed.is_sweep_override():
            raise ConfigError(f"{key} is given several values: give one here; `rostrum ablate` takes lists.")
        value = parsed.value()
        if key == "label_source":
            raise ConfigError("A source of labels is chosen by its place: labels.cheap=NAME or labels.dear=NAME.")
        group = PLACES.get(key, str(parsed.key_or_group))
        if not (CONFIGS / group).is_dir() or (key in PLACES and not isinstance(value, str)):
            return cls(text, key, value, parsed.is_delete())
        if isinstance(value, (list, dict)):
            raise ConfigError(f"{key} is a group of configs/: give one of its names, or a YAML file of your own.")
        own = Path(str(value)) if str(value).endswith(".yaml") else None
        made = made_protocols().get(str(value)) if group == "protocol" else None
        return cls(text, key, value, parsed.is_delete(), group, own, made)

    @classmethod
    def _in_yaml(cls, text: str, problem: HydraException) -> "Override":
        """Return a value that is none in Hydra's grammar, such as a list of overrides:
        arms.cool=[judge=panel,seed=1]."""
        key, equals, value = text.lstrip("+").partition("=")
        if not equals:
            raise ConfigError(f"{text!r} is no override: write KEY=VALUE.")
        if (CONFIGS / key).is_dir():
            raise ConfigError(_sentence(problem))
        try:
            return cls(text, key, yaml.safe_load(value))
        except (yaml.YAMLError, ValueError):
            raise ConfigError(f"The value of {key} is no YAML: {value!r}.") from None

    @property
    def choice(self) -> bool:
        """Whether Hydra looks the value up in configs/."""
        return self.group is not None and self.file is None and self.made is None

    def for_hydra(self) -> str:
        """Return the same choice in Hydra's words, in which a place needs a plus sign."""
        if self.deletes or self.key == self.group:
            return self.text
        new = "" if self.key in INSIDE else "+"
        return f"{new}{self.group}@{self.key}={self.value}"

    def check_choice(self) -> None:
        """Refuse a choice that configs/ does not have.

        Raises:
            ConfigError: there is none of that name.
        """
        if self.deletes or self.value is None:
            return
        known = sorted([*groups.choices(str(self.group)), *(made_protocols() if self.group == "protocol" else ())])
        if str(self.value) not in known:
            meant = nearest(str(self.value), known)
            hint = f"did you mean {self.key}={meant}? There are" if meant else "choose among"
            raise ConfigError(f"There is no {self.key}={self.value}: {hint} {', '.join(known)}.")

    def set_in(self, values: DictConfig) -> None:
        """Set the key, whether or not it is there: keys that nobody knows are pydantic's to refuse."""
        if self.deletes:
            parent, _, last = self.key.rpartition(".")
            inner = OmegaConf.select(values, parent) if parent else values
            if isinstance(inner, DictConfig):
                inner.pop(last, None)
            return
        if self.key in WHOLE:
            OmegaConf.update(values, self.key, self.value, merge=False, force_add=True)
            return
        is_model = self.key.rpartition(".")[2] == "model" and isinstance(self.value, str)
        value = absolute_folder(self.value) if is_model else self.value
        OmegaConf.update(values, self.key, value, force_add=True)


@cache
def made_protocols() -> dict[str, dict[str, Any]]:
    """Return the plain values of every protocol that an installed package has made in Python, by its name: an entry
    point of the group `rostrum.protocols` is a `Protocol`.

    Raises:
        RegistryError: one cannot be loaded, is none, or has the name of a choice of configs/.
    """
    found = registry.installed("rostrum.protocols", taken=groups.choices("protocol"))
    for name, protocol in found.items():
        if not isinstance(protocol, Protocol):
            raise registry.RegistryError(
                f"The entry point {name} of rostrum.protocols is no rostrum.envs.types.Protocol."
            )
    plain = TypeAdapter(Protocol)
    return {name: plain.dump_python(protocol, mode="json") for name, protocol in found.items()}


def _chosen(choices: Sequence[Override], whole: bool) -> DictConfig:
    """Return what Hydra composes of the groups' choices; nothing where no choice was made and not all is asked for."""
    for override in choices:
        override.check_choice()
    if not choices and not whole:
        return OmegaConf.create()
    with initialize_config_dir(str(CONFIGS), version_base="1.3"):
        return compose("config", [*groups.searched(), *(override.for_hydra() for override in choices)])


def _with_choices(base: Config, composed: DictConfig, given: Sequence[Override]) -> DictConfig:
    """Return the values of a saved configuration with the sections that the overrides choose anew. Its own texts are
    never read as references."""
    values: DictConfig = OmegaConf.create(replaced(base.model_dump(mode="json"), *_LITERAL))
    for override in given:
        if override.choice:
            if override.key == "experiment":
                raise ConfigError("experiment=NAME makes new runs: it cannot be given for one that is there.")
            chosen = OmegaConf.select(composed, override.key)
            if chosen is None:  # the group has no section then, and the class has its defaults
                values.pop(override.key, None)
                continue
            OmegaConf.update(values, override.key, with_folders(OmegaConf.to_container(chosen)), merge=False)
    return values


def _read_file(key: str, path: Path, overrides: Sequence[str]) -> Any:
    """Return what stands in a file of one's own; what it may not ask for by itself, see `launch.trust`."""
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
    return with_folders(trust.without_keys(values)[key])


def replaced(value: Any, old: str, new: str) -> Any:
    """Return values with one text in the place of another, wherever it stands."""
    if isinstance(value, Mapping):
        return {key: replaced(item, old, new) for key, item in value.items()}
    if isinstance(value, list):
        return [replaced(item, old, new) for item in value]
    return value.replace(old, new) if isinstance(value, str) else value


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
    """Return whether one of the overrides sets this key or group."""
    return any(override.lstrip("+").partition("=")[0] == key for override in overrides)


def quoted(value: Path | str) -> str:
    """Return a path or name as the value of an override, in which Hydra then reads no commas and no equals signs."""
    return "'" + str(value).replace("'", "\\'") + "'"


def validate(values: Any) -> Config:
    """Return the validated configuration.

    Raises:
        ConfigError: the first thing that is wrong with the values.
    """
    if isinstance(values, dict):
        values.pop("experiment", None)
    try:
        return Config.model_validate(values)
    except ValidationError as error:
        raise ConfigError(in_words(error.errors()[0])) from None


def read(path: Path) -> Config:
    """Return the configuration that was saved with a run, perhaps by somebody else: it names no keys of endpoints.

    Raises:
        ConfigError: it is none.
        LaunchError: a value asks for what is in the environment.
    """
    values = trust.without_keys(saved_values(path))
    if said := renamed.refused(values):
        raise ConfigError(f"{path} is no configuration of this release: {said}")
    try:
        return validate(values)
    except ConfigError as error:
        raise ConfigError(f"{path} is no configuration of this release: {error}") from None


def saved_values(path: Path) -> Any:
    """Return the plain values of a saved configuration, before they are validated.

    Raises:
        ConfigError: there are none.
        LaunchError: one asks for what is in the environment.
    """
    try:
        values = renamed.today(read_yaml(path, "give the folder of a run, or restore the file from a copy"))
    except DamagedError as error:
        raise ConfigError(str(error)) from None
    trust.refuse_resolvers(values, path)
    return values


def save(config: Config, path: Path) -> None:
    """Write the configuration so that `read` gives it back."""
    write_atomically(path, yaml.safe_dump(config.model_dump(mode="json"), sort_keys=False))


def in_words(problem: ErrorDetails) -> str:
    """Return the sentence about one thing that pydantic has found wrong."""
    section, *rest = problem["loc"] or ("",)
    if section in JUDGES:
        rest = [part for part in rest if part not in settings_by_kind()]
    where = ".".join(str(part) for part in (section, *(rest[1:] if section in UNIONS else rest)))
    if problem["type"] == "extra_forbidden":
        meant = key_like(problem["loc"], Config)
        way_out = f"did you mean {meant}?" if meant else "remove it, or see configs/ for the names."
        return f"There is no configuration key {where!r}: {way_out}"
    message = problem["msg"].removeprefix("Value error, ")
    given = "used" if isinstance(problem["input"], dict) else repr(problem["input"])
    end = "" if message.endswith(("?", ".")) else "."
    return f"The configuration's {where or 'values'} cannot be {given}: {message[0].lower()}{message[1:]}{end}"


def _sentence(error: Exception) -> str:
    if isinstance(error, InterpolationKeyError) and (missing := re.search("key '([^']+)' not found", str(error))):
        return f"What was chosen needs {missing[1]}: add {missing[1]}=... ({error.full_key} is taken from it)."
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return f"The overrides do not fit the configuration: {' '.join(lines)} (see configs/ for the groups and keys)."
