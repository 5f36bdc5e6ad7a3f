"""Group sequence policy optimisation (Zheng et al. 2025): what is clipped is the ratio of a whole speech."""

from typing import Literal

from rostrum.trainer.algorithms.settings import GroupSettings


class Settings(GroupSettings):
    """As rloo, but clipped by the probability ratio of a whole speech, to the power of one over its length
    (Zheng et al. 2025; configs/algorithm/gspo.yaml)."""

    title = "GSPO"
    ratio = "speech"

    name: Literal["gspo"]
