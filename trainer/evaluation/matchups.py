"""Who meets whom when a checkpoint is measured: itself, or the base debaters."""

from rostrum.envs.types import Protocol
from rostrum.trainer.evaluation.verdict_table import SELF
from rostrum.trainer.rollouts.schedule import Cast, alone, in_turns


def cast_of(protocol: Protocol, matchup: str, own: str, other: str) -> Cast:
    """Return who speaks: the policy named `own` for every speaker, or against the one named `other`."""
    return alone(protocol, own) if matchup == SELF else in_turns(protocol, own, other)
