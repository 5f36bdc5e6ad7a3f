"""Sources of labels: one module per kind.

A kind is a module in this folder with a class `Settings`: a frozen `LabelSource` whose field `kind` is the literal name
of the module. A YAML in configs/label_source/ names the kind and sets its keys. Nothing else has to be told of it.
Another package adds one by an entry point of the group `rostrum.label_sources`.
"""

from typing import TYPE_CHECKING, Annotated, Union

from pydantic import Field

from rostrum.envs import registry
from rostrum.rewards.label_source import LabelError, Labelling, LabelSource

__all__ = ["AnyLabelSource", "LabelError", "LabelSource", "Labelling", "settings_by_kind"]


def settings_by_kind() -> dict[str, type[LabelSource]]:
    """Return the settings of every kind that is here or installed."""
    return registry.kinds(__name__, __path__, "rostrum.label_sources")


if TYPE_CHECKING:
    AnyLabelSource = LabelSource
else:
    AnyLabelSource = Annotated[Union[tuple(settings_by_kind().values())], Field(discriminator="kind")]  # noqa: UP007
    """A source of any kind; pydantic tells which by `kind`."""
