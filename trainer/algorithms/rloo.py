"""REINFORCE with a leave-one-out baseline (Ahmadian et al. 2024), clipped as PPO is."""

from typing import Literal

from rostrum.trainer.algorithms.settings import GroupSettings


class Settings(GroupSettings):
    """A leave-one-out baseline: the question's other debates (Ahmadian et al. 2024; configs/algorithm/rloo.yaml)."""

    title = "RLOO"

    name: Literal["rloo"]
