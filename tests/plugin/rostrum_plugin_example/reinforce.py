"""REINFORCE (Williams 1992)."""

from collections.abc import Mapping, Sequence
from typing import Literal

from rostrum.trainer.algorithms import advantages
from rostrum.trainer.algorithms.advantages import Floats, Role
from rostrum.trainer.algorithms.settings import Credit, PolicyGradientSettings
from rostrum.trainer.types import Trajectory


class Settings(PolicyGradientSettings):
    """The return itself: no baseline (REINFORCE, Williams 1992)."""

    title = "REINFORCE"

    name: Literal["reinforce"]

    def credit(self, rows: Sequence[Trajectory], values: Sequence[Floats], baselines: Mapping[Role, float]) -> Credit:
        return Credit(advantages.on_tokens(rows, [row.returns for row in rows]))
