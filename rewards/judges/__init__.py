"""Judges: one module per kind.

A kind is a module in this folder with a class `Settings`: a frozen `JudgeSettings` whose field `kind` is the literal
name of the module and whose `make` gives the `Judge`. A YAML in configs/judge/ names the kind and sets its keys.
Nothing else has to be told of it, and no module outside this folder can be named.
"""

from importlib import import_module
from pkgutil import iter_modules
from typing import TYPE_CHECKING, Annotated, Union

from pydantic import Field

from rewards.settings import JudgeError, JudgeSettings, Models, ModelSettings

__all__ = ["AnyJudge", "JudgeError", "JudgeSettings", "ModelSettings", "Models", "settings_by_kind"]


def settings_by_kind() -> dict[str, type[JudgeSettings]]:
    """The settings of every kind that lies in this folder."""
    return {module.name: import_module(f"{__name__}.{module.name}").Settings for module in iter_modules(__path__)}


if TYPE_CHECKING:
    AnyJudge = JudgeSettings
else:
    _KINDS = tuple(settings_by_kind().values())
    AnyJudge = Annotated[Union[_KINDS], Field(discriminator="kind")] if len(_KINDS) > 1 else _KINDS[0]  # noqa: UP007
    """A judge of any kind; pydantic tells which by `kind`."""
    for _kind in _KINDS:  # judges that are made of judges name this type before there is one
        _kind.model_rebuild(_types_namespace={"AnyJudge": AnyJudge})
