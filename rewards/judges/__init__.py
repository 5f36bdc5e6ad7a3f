"""Judges: one module per kind.

A kind is a module in this folder with a class `Settings`: a frozen `JudgeSettings` whose field `kind` is the literal
name of the module and whose `make` gives the `Judge`. A YAML in configs/judge/ names the kind and sets its keys.
Nothing else has to be told of it. Another package adds one by an entry point of the group `rostrum.judges`.
"""

from typing import TYPE_CHECKING, Annotated, Union

from pydantic import Field

from rostrum.envs import registry
from rostrum.rewards.settings import JudgeError, JudgeSettings, Models, ModelSettings

__all__ = ["AnyJudge", "JudgeError", "JudgeSettings", "ModelSettings", "Models", "settings_by_kind"]


def settings_by_kind() -> dict[str, type[JudgeSettings]]:
    """Return the settings of every kind that is here or installed."""
    return registry.kinds(__name__, __path__, "rostrum.judges")


if TYPE_CHECKING:
    AnyJudge = JudgeSettings
else:
    _KINDS = tuple(settings_by_kind().values())
    AnyJudge = Annotated[Union[_KINDS], Field(discriminator="kind")] if len(_KINDS) > 1 else _KINDS[0]  # noqa: UP007
    """A judge of any kind; pydantic tells which by `kind`."""
    for _kind in _KINDS:  # judges that are made of judges name this type before there is one
        _kind.model_rebuild(_types_namespace={"AnyJudge": AnyJudge})
