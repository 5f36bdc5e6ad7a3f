"""Algorithms: one module each.

An algorithm is a module in this folder with a class `Settings`: a frozen `AlgorithmSettings` whose field `name` is the
literal name of the module. A YAML in configs/algorithm/ names it and sets its keys. Another package adds one by an
entry point of the group `rostrum.algorithms`.
"""

from typing import TYPE_CHECKING, Annotated, Union

from pydantic import Field

from rostrum.envs import registry
from rostrum.trainer.algorithms.settings import AlgorithmSettings


def settings_by_name() -> dict[str, type[AlgorithmSettings]]:
    """Return the settings of every algorithm that is here or installed."""
    return registry.kinds(__name__, __path__, "rostrum.algorithms")


if TYPE_CHECKING:
    AnyAlgorithm = AlgorithmSettings
else:
    AnyAlgorithm = Annotated[Union[tuple(settings_by_name().values())], Field(discriminator="name")]  # noqa: UP007
    """Any algorithm; pydantic tells which by `name`."""
