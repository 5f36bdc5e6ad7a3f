"""The cells of an ablation: the cross product of the values that are listed, in Hydra's spelling of a multirun."""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import product
from pathlib import PurePath

from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.errors import HydraException

from rostrum.launch.compose import ConfigError

LONGEST = 120
"""Letters of a name, which is that of a folder as well."""


@dataclass(frozen=True, slots=True)
class Cell:
    """One combination. `settings` are its values of the keys that differ between cells."""

    name: str
    settings: Mapping[str, str]
    overrides: tuple[str, ...]


def cross(overrides: Sequence[str]) -> list[Cell]:
    """Return every combination of the values, the last list running fastest; one cell where nothing is a list.

    `protocol=debate,consultancy` and `seed=range(1,4)` are lists; commas inside brackets or quotation marks part
    nothing.

    Raises:
        ConfigError: an override cannot be read, or lists a value or a key twice.
    """
    options = [list(_options(override)) for override in overrides]
    keys = [override.lstrip("+").partition("=")[0] for override in overrides]
    for key, values in zip(keys, options, strict=True):
        if len(set(values)) < len(values) or (len(values) > 1 and keys.count(key) > 1):
            raise ConfigError(f"{key} lists a value twice, or is given twice: name each value once.")
    axes = [index for index, values in enumerate(options) if len(values) > 1]
    cells = [_cell({keys[i]: chosen[i].partition("=")[2] for i in axes}, chosen) for chosen in product(*options)]
    if len({cell.name for cell in cells}) < len(cells):
        raise ConfigError("Two cells would have the same name: give files with different names, or shorter values.")
    return cells


def _options(override: str) -> Iterator[str]:
    """Yield the override once for each of its values."""
    key, equals, value = override.partition("=")
    if not equals or not set(value) & set(",("):
        yield override
        return
    try:
        parsed = OverridesParser.create().parse_override(override)
        if not parsed.is_sweep_override():
            yield override
            return
        for chosen in parsed.sweep_string_iterator():
            yield f"{key}={chosen}"
    except (HydraException, NotImplementedError) as error:
        raise ConfigError(f"{override} cannot be read as a list of values: {str(error).splitlines()[0]}.") from None


def _cell(settings: Mapping[str, str], overrides: Sequence[str]) -> Cell:
    name = "+".join(f"{_short(key)}={_short(value)}" for key, value in settings.items()) or "all"
    return Cell(name[:LONGEST], settings, tuple(overrides))


def _short(value: str) -> str:
    """Return a key or value as part of a folder's name; of a path, its last part."""
    last = PurePath(value.strip("'\"")).name.removesuffix(".yaml") if value[:1] not in "[{" else value
    return re.sub(r"[^\w.@-]+", "_", last).strip("_")
