"""The groups of the configuration and what each can be chosen from: configs/, and what installed packages add.

A package adds choices by an entry point of the group `rostrum.configs` that names a folder of its own, as a package
(`my_package.configs`), in which choices lie as in ours: `protocol/open.yaml` for protocol=open. Nothing heavy is
imported here.
"""

from functools import cache
from importlib.metadata import entry_points
from importlib.util import find_spec
from pathlib import Path

from rostrum.envs.registry import RegistryError

CONFIGS = Path(__file__).parents[1] / "configs"
INSTALLED = "rostrum.configs"


@cache
def installed() -> tuple[Path, ...]:
    """Return the folders of choices that packages add.

    Raises:
        RegistryError: an entry point names no folder.
    """
    found = list[Path]()
    for point in sorted(entry_points(group=INSTALLED), key=lambda point: point.name):
        try:
            spec = find_spec(point.value)
        except ImportError:
            spec = None
        places = list(spec.submodule_search_locations or []) if spec is not None else []
        if not places:
            raise RegistryError(
                f"The entry point {point.name} = {point.value} of {INSTALLED} names no folder of a package: mend or "
                "uninstall that package."
            )
        found += map(Path, places)
    return tuple(found)


def names() -> list[str]:
    """Return the groups, in order. Packages add choices, no groups: each is a section that we know."""
    return sorted(folder.name for folder in CONFIGS.iterdir() if folder.is_dir() and any(folder.glob("*.yaml")))


def choices(group: str) -> dict[str, Path]:
    """Return the file of every choice of a group, by name, in order.

    Raises:
        RegistryError: a package adds a choice that is there already.
    """
    found = dict[str, Path]()
    for folder in (CONFIGS, *installed()):
        for path in (folder / group).glob("*.yaml"):
            if path.stem in found:
                raise RegistryError(f"{path} adds {group}={path.stem}, and there is one already: rename it.")
            found[path.stem] = path
    return dict(sorted(found.items()))


def searched() -> list[str]:
    """Return the override that has Hydra look in the folders of packages besides."""
    places = ",".join(f"'file://{folder}'" for folder in installed())
    return [f"hydra.searchpath=[{places}]"] if places else []


def shown(path: Path) -> str:
    """Return how a file is named to the user: configs/GROUP/CHOICE.yaml, after its package if that is not ours."""
    for folder in (CONFIGS, *installed()):
        if path.is_relative_to(folder):
            ours = folder == CONFIGS
            return str(path.relative_to(folder.parent if ours else folder.parents[1]))
    return str(path)
