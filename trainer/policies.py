"""Sets of policies: what a run publishes after an iteration, and who of a set speaks in a debate.

A run that trains one policy publishes it in the iteration's folder; one that trains several has a folder for each in
there. A set is a mapping from the names of `Speaker.policy` to the policies that speak. Where a set meets another one,
its policies are called after the set: "base" alone, or "base:critic" among several.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path

from rostrum.envs.types import Protocol, Side
from rostrum.trainer.types import Policy

Policies = Mapping[str, Policy]
"""Policies by the names of `Speaker.policy`."""
APART = ":"
"""Between the name of a set and that of a policy in it."""


def path_of(folder: Path, policy: str, names: Sequence[str]) -> Path:
    """Return where a policy lies in the folder of a set of these names."""
    return folder if len(names) == 1 else folder / policy


def policies_in(folder: Path, group: str, version: int, names: Sequence[str]) -> dict[str, Policy]:
    """Return the set of these names that was published in a folder, called `group` as a whole."""
    return {
        name: Policy(group if len(names) == 1 else f"{group}{APART}{name}", version, str(path_of(folder, name, names)))
        for name in names
    }


def called(policy: str) -> str:
    """Return the name of the set that a policy of this name is of."""
    return policy.partition(APART)[0]


def belongs(policy: str, to: str) -> bool:
    """Return whether a policy of this name is of the set that is called so."""
    return called(policy) == to


def voices(protocol: Protocol, sides: Mapping[Side, Policies]) -> dict[str, str]:
    """Return the name of the policy that speaks for each speaker: the one of its side's set that the protocol names, or
    the only one there is."""
    found = {}
    for name, speaker in protocol.speakers.items():
        of_side = sides[speaker.side]
        one = next(iter(of_side.values())) if len(of_side) == 1 else of_side[speaker.policy]
        found[name] = one.name
    return found
