"""The control of arms whose debaters are paid for more than approval: training on the penalties alone.

A penalty for unverified quotes is a check against the passage, and a debater that heeds it shows the judge more of what
is true whether or not it persuades. What an arm did beyond that is its difference to an arm that is trained like it,
but that gets nothing for the judge's approval (`reward.clip=0`).
"""

from collections.abc import Mapping, Sequence
from typing import Any

import pandas as pd

from rostrum.envs.fingerprints import record_hash
from rostrum.trainer.evaluation.family import Tested, change_of
from rostrum.trainer.evaluation.invalid import WAYS, Invalid
from rostrum.trainer.evaluation.replicates import Replicates
from rostrum.trainer.evaluation.summary import ArmSummary, Control, JudgeAccuracy
from rostrum.trainer.stats.paired import PairedChange
from rostrum.trainer.stats.seeds import pooled_change
from rostrum.trainer.store.provenance import run_settings


def controls(configs: Mapping[str, Mapping[str, Any]]) -> dict[str, str | None]:
    """Return the control of every arm that penalties shape, None where there is none.

    `configs` are the arms' configurations as plain values. A control differs in `reward.clip` alone, which is 0. Arms
    without penalties, and controls themselves, are left out.
    """
    clips = {name: float(config["reward"]["clip"]) for name, config in configs.items() if "reward" in config}
    found = {_but_for_clip(configs[name]): name for name in reversed(clips) if not clips[name]}
    paid = [name for name, clip in clips.items() if clip and _has_penalties(configs[name]["reward"])]
    return {name: found.get(_but_for_clip(configs[name])) for name in paid}


def with_controls(
    units: Sequence[ArmSummary],
    arms: Mapping[str, Tested],
    groups: Sequence[Replicates],
    of: Mapping[str, str | None],
) -> list[ArmSummary]:
    """Return the arms and groups, those of `of` with their `control`: its name and its figures by judge.

    Figures are those of the final checkpoints on the same questions, control first; they have yet to be corrected
    (`trainer.evaluation.family.adjusted`).
    """
    return [
        unit.model_copy(update={"control": _control(unit, arms, groups, of)})
        if all(name in of for name in _members(unit))
        else unit
        for unit in units
    ]


def _members(unit: ArmSummary) -> list[str]:
    return unit.arms or [unit.name]


def _control(
    unit: ArmSummary, arms: Mapping[str, Tested], groups: Sequence[Replicates], of: Mapping[str, str | None]
) -> Control:
    members = _members(unit)
    pairs = {name: str(of[name]) for name in members if of[name] in arms}
    if len(pairs) < len(members):
        return Control(name=None, accuracy=[])
    seeds = next((group.seeds for group in groups if group.name == unit.name), {unit.name: 0})
    rows = [_difference(pairs, arms, seeds, row) for row in unit.accuracy]
    return Control(name=_name(pairs, groups), accuracy=rows)


def _difference(
    pairs: Mapping[str, str], arms: Mapping[str, Tested], seeds: Mapping[str, int], row: JudgeAccuracy
) -> JudgeAccuracy:
    """Return the difference that is shown, and that by each counting of INVALID verdicts."""
    shown = next(arms[name].invalid for name in pairs)
    changes = {way: change_of(_counted(pairs, arms, seeds, row.judge, way)) for way in WAYS}
    return JudgeAccuracy(
        judge=row.judge, role=row.role, **changes[shown].model_dump(exclude_unset=True), invalid=dict(changes)
    )


def _counted(
    pairs: Mapping[str, str], arms: Mapping[str, Tested], seeds: Mapping[str, int], judge: str, way: Invalid
) -> PairedChange:
    tables = []
    for name, control in pairs.items():
        own, other = (arms[which].questions(judge, way) for which in (name, control))
        both = own.join(other["trained"].rename("control"), how="inner")
        tables.append(both.assign(seed=seeds[name]))
    rows = pd.concat(tables)
    return pooled_change(rows["control"], rows["trained"], rows["story_id"], rows["seed"]).change


def named(unit: str, groups: Sequence[Replicates], of: Mapping[str, str | None]) -> str | None:
    """Return what the control of an arm, or of a group of replicates, is called; None without one for each member."""
    members = next((list(group.seeds) for group in groups if group.name == unit), [unit])
    pairs = {name: control for name in members if (control := of.get(name)) is not None}
    return _name(pairs, groups) if len(pairs) == len(members) else None


def _name(pairs: Mapping[str, str], groups: Sequence[Replicates]) -> str:
    names = set(pairs.values())
    return next((group.name for group in groups if names <= set(group.seeds) and len(names) > 1), min(names))


def _but_for_clip(config: Mapping[str, Any]) -> str:
    return record_hash({**run_settings(config), "reward": {**config["reward"], "clip": None}})


def _has_penalties(reward: Mapping[str, Any]) -> bool:
    return any(value for key, value in reward.items() if key.endswith("_penalty"))
