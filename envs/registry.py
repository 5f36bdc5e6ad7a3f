"""Find the kinds of something that people add to: modules of a folder of ours, and entry points of other packages."""

from collections.abc import Iterable
from importlib import import_module
from importlib.metadata import entry_points
from pkgutil import iter_modules
from typing import Any


class RegistryError(ValueError):
    """A kind that another package adds cannot be used; the message says which and why."""


def kinds(package: str, path: Iterable[str], group: str, folders: bool = False) -> dict[str, Any]:
    """Return the class `Settings` of every module in the package's folder that has one, by the module's name, and after
    them those that installed packages name as entry points of the group. With `folders`, a kind of ours is a folder in
    it, and modules beside these serve all kinds.

    Raises:
        RegistryError: a package's entry point cannot be loaded, or takes a name that is taken.
    """
    names = [module.name for module in iter_modules(path) if module.ispkg or not folders]
    modules = {name: import_module(f"{package}.{name}") for name in names}
    found = {name: module.Settings for name, module in modules.items() if hasattr(module, "Settings")}
    return found | installed(group, taken=found)


def installed(group: str, taken: Iterable[str] = ()) -> dict[str, Any]:
    """Return what installed packages name as entry points of the group, by name.

    Raises:
        RegistryError: an entry point cannot be loaded, or has a name that is `taken` or another's.
    """
    found, taken = dict[str, Any](), set(taken)
    for point in sorted(entry_points(group=group), key=lambda point: point.name):
        if point.name in taken or point.name in found:
            raise RegistryError(f"{point.value} adds {point.name!r} to {group}, and there is one already: rename it.")
        try:
            found[point.name] = point.load()
        except (ImportError, AttributeError) as error:
            raise RegistryError(
                f"The entry point {point.name} = {point.value} of {group} cannot be loaded ({error}): mend or "
                "uninstall that package."
            ) from error
    return found
