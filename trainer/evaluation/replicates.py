"""Arms that are one and the same but for the training seed: they are reported as one, and each by itself."""

import os
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from rostrum.envs.fingerprints import record_hash
from rostrum.trainer.store.provenance import run_settings


@dataclass(frozen=True, slots=True)
class Replicates:
    """Arms under a name of their own, and the seed of each."""

    name: str
    seeds: Mapping[str, int]


def replicates(configs: Mapping[str, Mapping[str, Any]]) -> list[Replicates]:
    """Return the groups of two or more arms whose configurations (plain values) differ in nothing but `seed` and
    `output`.

    Of two arms with the same seed the first alone counts, for they are the same run twice.
    """
    groups: dict[str, dict[int, str]] = {}
    for name, config in configs.items():
        same = record_hash({**run_settings(config), "seed": None})
        groups.setdefault(same, {}).setdefault(int(config["seed"]), name)
    several = [group for group in groups.values() if len(group) > 1]
    return [Replicates(_name(list(g.values()), configs), {arm: seed for seed, arm in g.items()}) for g in several]


def _name(arms: list[str], others: Mapping[str, Any]) -> str:
    """Return what the arms' names have in common ("debate" of debate-s1 and debate-s2), if no arm is called that."""
    common = re.sub(r"[\W_]+(seed|s)?[\W_]*\d*$", "", os.path.commonprefix(arms))
    return common if common and common not in others else " + ".join(arms)
