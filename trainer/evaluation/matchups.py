"""Who meets whom when a checkpoint is measured: itself, or the base debaters."""

from rostrum.envs.types import Protocol
from rostrum.trainer.evaluation.verdict_table import SELF
from rostrum.trainer.policies import Policies
from rostrum.trainer.rollouts.schedule import Cast, alone, in_turns


def cast_of(protocol: Protocol, matchup: str, own: Policies, other: Policies) -> Cast:
    """Return who speaks: the policies `own` for every speaker, or against those of `other`."""
    return alone(protocol, own) if matchup == SELF else in_turns(protocol, own, other)
