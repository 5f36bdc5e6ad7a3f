"""Role-conditioned advantage estimation: a running baseline for each role (SPIRAL, Liu et al. 2025)."""

from collections.abc import Mapping, Sequence
from typing import Literal

from pydantic import Field

from rostrum.trainer.algorithms import advantages
from rostrum.trainer.algorithms.advantages import Floats, Role
from rostrum.trainer.algorithms.settings import Credit, PolicyGradientSettings
from rostrum.trainer.types import Trajectory


class Settings(PolicyGradientSettings):
    """Role-conditioned advantage estimation: a running baseline for each speaker, answer and turn (SPIRAL, Liu et al.
    2025; configs/algorithm/rae.yaml)."""

    title = "RAE"

    name: Literal["rae"]
    ema_decay: float = Field(0.9, ge=0, lt=1)
    """How slowly the baselines move."""

    def credit(self, rows: Sequence[Trajectory], values: Sequence[Floats], baselines: Mapping[Role, float]) -> Credit:
        per_speech, after = advantages.role_ema(rows, baselines, self.ema_decay)
        return Credit(advantages.on_tokens(rows, per_speech), baselines=after)
