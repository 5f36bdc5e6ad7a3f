"""Proximal policy optimisation (Schulman et al. 2017) with a critic and generalised advantage estimation."""

from collections.abc import Mapping, Sequence
from typing import Literal

from pydantic import Field

from rostrum.trainer.algorithms import advantages
from rostrum.trainer.algorithms.advantages import Floats, Role
from rostrum.trainer.algorithms.settings import Credit, CriticSettings
from rostrum.trainer.types import Trajectory


class Settings(CriticSettings):
    """Proximal policy optimisation with a critic: generalised advantage estimation (configs/algorithm/ppo.yaml)."""

    title = "PPO"

    name: Literal["ppo"]
    gamma: float = Field(1.0, gt=0, le=1)
    lam: float = Field(1.0, ge=0, le=1)

    def credit(self, rows: Sequence[Trajectory], values: Sequence[Floats], baselines: Mapping[Role, float]) -> Credit:
        found = advantages.gae_of_rows(rows, values, self.gamma, self.lam)
        return Credit([advantage for advantage, _ in found], [returns for _, returns in found])
