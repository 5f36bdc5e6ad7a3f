"""Several comparisons in one summary: training seeds are pooled, and p-values adjusted for being many."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol as Interface

import numpy as np
import pandas as pd

from rostrum.trainer.evaluation.invalid import WAYS, Invalid, agreed
from rostrum.trainer.evaluation.replicates import Replicates
from rostrum.trainer.evaluation.summary import ArmSummary, BeforeAfter, Change, Family, Headline, JudgeAccuracy, WinRate
from rostrum.trainer.evaluation.verdict_table import HELD_OUT, REWARD
from rostrum.trainer.stats.paired import PairedChange, direction, holm
from rostrum.trainer.stats.seeds import PooledChange, pooled_change, words_on_seeds


@dataclass(frozen=True, slots=True)
class Comparison:
    """An arm, or a group of replicates, base against trained, by one judge."""

    arm: str
    judge: str


class Tested(Interface):
    """An arm of the verdict table."""

    protocol: str
    judges: list[str]
    reward_judge: str
    invalid: Invalid

    def questions(self, judge: str, invalid: Invalid) -> pd.DataFrame:
        """Return one row per question that counts on both checkpoints: base, trained, story_id."""

    def n_invalid(self, judge: str) -> int:
        """Return the number of INVALID verdicts on both checkpoints."""


def pooled_arms(
    groups: Sequence[Replicates], arms: Mapping[str, Tested], summaries: Sequence[ArmSummary]
) -> list[ArmSummary]:
    """Return what training did over all seeds of each group: as an arm's summary, with `arms` and `seeds` in it.

    Groups of which fewer than two arms were tested are left out.
    """
    by_name = {summary.name: summary for summary in summaries}
    tested = [(group, {name: arms[name] for name in group.seeds if name in arms}) for group in groups]
    return [_pooled(group, own, [by_name[name] for name in own]) for group, own in tested if len(own) > 1]


PART: Headline = "not tested by itself"
"""The headline of a run that is one of several seeds: their change is tested, not its own."""


def adjusted(units: Sequence[ArmSummary], primary: Comparison | None) -> tuple[list[ArmSummary], Family]:
    """Return arms and groups with `p_adjusted` (Holm), `primary` and `headline` in every row, and their family.

    One family is all that the summary compares: every change over the base and every difference to a control
    (`control` of an arm), by every judge. Replicates are compared once, pooled: their rows by themselves are parts of
    that and have no adjusted p-value. A declared primary comparison comes first and keeps its own p-value; no other
    comparison's adjusted one is smaller than that. So all together name a direction falsely in at most 5 % (a fixed
    sequence: Maurer, Hothorn & Lehmacher 1995); with the primary one beside Holm's procedure it would be up to 10 %.

    Each counting of INVALID verdicts is corrected by itself. A row's own `p_adjusted` is the largest of the three, and
    its headline the word that all of them give.
    """
    parts = {name for unit in units for name in unit.arms}
    rows = [row for unit in units for row in _rows(unit, parts, primary)]
    by_way = {way: _corrected([row.change(way) for row in rows], rows) for way in WAYS}
    corrected = iter([_with(row, {way: by_way[way][place] for way in WAYS}) for place, row in enumerate(rows)])
    found = []
    for unit in units:
        new: dict[str, object] = {"accuracy": [next(corrected) for _ in unit.accuracy]}
        if unit.control is not None:
            differences = [next(corrected) for _ in unit.control.accuracy]
            new["control"] = unit.control.model_copy(update={"accuracy": differences})
        found.append(unit.model_copy(update=new))
    size = sum(not row.part and not row.primary for row in rows)
    return found, Family(correction="Holm", size=size, primary=primary and (primary.arm, primary.judge))


@dataclass(frozen=True, slots=True)
class _Row:
    """A comparison, whether it is the primary one, a part of a pooled one, or a difference to a control."""

    row: JudgeAccuracy
    part: bool
    primary: bool = False
    to_control: bool = False

    def change(self, way: Invalid) -> Change:
        return self.row.invalid[way]


def _rows(unit: ArmSummary, parts: Collection[str], primary: Comparison | None) -> list[_Row]:
    part = unit.name in parts
    changes = [
        _Row(row, part, primary=primary == Comparison(unit.name, row.judge) and not part) for row in unit.accuracy
    ]
    return changes + [_Row(row, part, to_control=True) for row in (unit.control.accuracy if unit.control else ())]


def _with(row: _Row, ways: Mapping[Invalid, Change]) -> JudgeAccuracy:
    """Return the row with its corrected changes and what they come to together."""
    p_values = [_number(found.p_adjusted) for found in ways.values()]
    new: dict[str, object] = {
        "invalid": dict(ways),
        "p_adjusted": _figure(float(np.max(p_values))),
        "headline": PART if row.part else agreed(found.headline for found in ways.values()),
    }
    return row.row.model_copy(update=new if row.to_control else {"primary": row.primary, **new})


def _corrected(changes: Sequence[Change], rows: Sequence[_Row]) -> list[Change]:
    """Return the changes of these rows, by one counting of INVALID verdicts, with `p_adjusted` and `headline`."""
    p_values = [_number(change.p) for change in changes]
    gate = next((p for p, row in zip(p_values, rows, strict=True) if row.primary), 0.0)
    gate = 1.0 if np.isnan(gate) else gate
    family = [place for place, row in enumerate(rows) if not row.primary and not row.part]
    adjusted_p = dict(zip(family, holm([p_values[place] for place in family]), strict=True))
    found = []
    for place, (change, row) in enumerate(zip(changes, rows, strict=True)):
        p = p_values[place] if row.primary else np.nan if row.part else float(np.maximum(adjusted_p[place], gate))
        word = PART if row.part else direction(_number(change.low), _number(change.high), p)
        found.append(change.model_copy(update={"p_adjusted": _figure(p), "headline": word}))
    return found


def _number(figure: float | None) -> float:
    return np.nan if figure is None else figure


def _figure(number: float) -> float | None:
    return None if np.isnan(number) else number


def change_of(change: PairedChange) -> Change:
    """Return a change as it is stored, before it is corrected (`adjusted`)."""
    return Change(
        base=change.base,
        trained=change.trained,
        change=change.change,
        low=change.low,
        high=change.high,
        p=change.p,
        n_questions=change.n_questions,
        n_stories=change.n_stories,
    )


def _pooled(group: Replicates, arms: Mapping[str, Tested], summaries: Sequence[ArmSummary]) -> ArmSummary:
    first = next(iter(arms.values()))
    reward = _pool(group, arms, first.reward_judge, first.invalid)
    return ArmSummary(
        name=group.name,
        protocol=first.protocol,
        arms=list(arms),
        seeds=[group.seeds[name] for name in arms],
        minimum_detectable_change=reward.change.minimum_detectable_change,
        win_rate=WinRate(estimate=_mean([of.win_rate.estimate for of in summaries])),
        verified_quotes=_before_after([of.verified_quotes for of in summaries]),
        words_per_speech=_before_after([of.words_per_speech for of in summaries]),
        accuracy=[
            _accuracy(group, arms, judge, [row for of in summaries for row in of.accuracy if row.judge == judge])
            for judge in first.judges
        ],
    )


def _accuracy(
    group: Replicates, arms: Mapping[str, Tested], judge: str, by_arm: Sequence[JudgeAccuracy]
) -> JudgeAccuracy:
    first = next(iter(arms.values()))
    ways = {way: _pool(group, arms, judge, way) for way in WAYS}
    pooled = ways[first.invalid]
    return JudgeAccuracy(
        judge=judge,
        role=REWARD if judge == first.reward_judge else HELD_OUT,
        **change_of(pooled.change).model_dump(exclude_unset=True),
        n_invalid=sum(arm.n_invalid(judge) for arm in arms.values()),
        invalid={way: change_of(found.change) for way, found in ways.items()},
        seed_changes={str(seed): of for seed, of in zip(_seeds(group, arms), pooled.changes, strict=True)},
        seeds_interval=(pooled.seeds_low, pooled.seeds_high),
        on_seeds=words_on_seeds(pooled),
        brier=_before_after([row.brier for row in by_arm]),
        log_score=_before_after([row.log_score for row in by_arm]),
    )


def _pool(group: Replicates, arms: Mapping[str, Tested], judge: str, way: Invalid) -> PooledChange:
    tables = [arm.questions(judge, way).assign(seed=group.seeds[name]) for name, arm in arms.items()]
    rows = pd.concat(tables)
    return pooled_change(rows["base"], rows["trained"], rows["story_id"], rows["seed"])


def _seeds(group: Replicates, arms: Mapping[str, Tested]) -> list[int]:
    return sorted(group.seeds[name] for name in arms)


def _before_after(figures: Sequence[BeforeAfter]) -> BeforeAfter:
    return BeforeAfter(base=_mean([of.base for of in figures]), trained=_mean([of.trained for of in figures]))


def _mean(values: Sequence[float | None]) -> float:
    return float(np.mean([_number(value) for value in values]))
