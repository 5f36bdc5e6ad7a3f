"""Several comparisons in one summary: training seeds are pooled, and p-values adjusted for being many."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from typing import Protocol as Interface

import numpy as np
import pandas as pd

from trainer.evaluation.invalid import WAYS, Invalid, agreed
from trainer.evaluation.replicates import Replicates
from trainer.evaluation.sentences import sentence
from trainer.statistics.paired import PairedChange, headline, holm
from trainer.statistics.seeds import PooledChange, pooled_change, words_on_seeds
from trainer.verdicts import HELD_OUT, REWARD


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
        """One row per question that counts on both checkpoints: base, trained, story_id."""

    def n_invalid(self, judge: str) -> int:
        """INVALID verdicts on both checkpoints."""


def pooled_arms(
    groups: Sequence[Replicates], arms: Mapping[str, Tested], summaries: Sequence[Mapping[str, Any]]
) -> list[dict[str, Any]]:
    """What training did over all seeds of each group: as an arm's summary, with `arms` and `seeds` in it.

    Groups of which fewer than two arms were tested are left out.
    """
    by_name = {summary["name"]: summary for summary in summaries}
    tested = [(group, {name: arms[name] for name in group.seeds if name in arms}) for group in groups]
    return [
        _pooled(group, own, [by_name[name] for name in own]) for group, own in tested if len(own) > 1
    ]  # fmt: skip


def adjusted(
    summaries: Sequence[dict[str, Any]], pooled: Sequence[dict[str, Any]], primary: Comparison | None
) -> dict[str, Any]:
    """Writes `p_adjusted` (Holm) and `primary` into every row of accuracies; returns what the family consists of.

    Replicates are compared once, pooled: their rows by themselves are parts of that and have no adjusted p-value. A
    declared primary comparison comes first and keeps its own p-value; no other comparison's adjusted one is smaller
    than that. So all together name a direction falsely in at most 5 % (a fixed sequence: Maurer, Hothorn & Lehmacher
    1995); with the primary one beside Holm's procedure it would be up to 10 %.
    """
    parts = {name for group in pooled for name in group["arms"]}
    family: list[dict[str, Any]] = []
    for arm in [*pooled, *summaries]:
        for row in arm["accuracy"]:
            row["primary"] = primary == Comparison(arm["name"], row["judge"]) and arm["name"] not in parts
            row["p_adjusted"] = row["p"] if row["primary"] else np.nan
            if not row["primary"] and arm["name"] not in parts:
                family.append(row)
    first = next((row["p"] for arm in [*pooled, *summaries] for row in arm["accuracy"] if row["primary"]), 0.0)
    gate = 1.0 if np.isnan(first) else float(first)
    for row, p in zip(family, holm([row["p"] for row in family]), strict=True):
        row["p_adjusted"] = float(np.maximum(p, gate))
    return {"correction": "Holm", "size": len(family), "primary": primary and [primary.arm, primary.judge]}


def change_as_stored(change: PairedChange) -> dict[str, Any]:
    """A change as summary.json has it wherever it is one of several."""
    named = ("base", "trained", "change", "low", "high", "p", "n_questions", "n_stories")
    return {name: getattr(change, name) for name in named} | {"headline": headline(change)}


def _pooled(
    group: Replicates, arms: Mapping[str, Tested], summaries: Sequence[Mapping[str, Any]]
) -> dict[str, Any]:  # fmt: skip
    first = next(iter(arms.values()))
    ways = {way: _pool(group, arms, first.reward_judge, way) for way in WAYS}
    reward, changes = ways[first.invalid], {way: pooled.change for way, pooled in ways.items()}
    return {
        "name": group.name,
        "protocol": first.protocol,
        "arms": list(arms),
        "seeds": [group.seeds[name] for name in arms],
        "headline": agreed(changes),
        "minimum_detectable_change": reward.change.minimum_detectable_change,
        "sentence": f"{sentence(reward.change, changes, first.invalid)} {words_on_seeds(reward)}",
        "win_rate": {"estimate": _mean([of["win_rate"]["estimate"] for of in summaries])},
        "verified_quotes": _before_after(summaries, "verified_quotes"),
        "words_per_speech": _before_after(summaries, "words_per_speech"),
        "accuracy": [
            _accuracy(group, arms, judge) | {
                name: _before_after([row for of in summaries for row in of["accuracy"] if row["judge"] == judge], name)
                for name in ("brier", "log_score")
            }
            for judge in first.judges
        ],
    }


def _accuracy(group: Replicates, arms: Mapping[str, Tested], judge: str) -> dict[str, Any]:
    first = next(iter(arms.values()))
    ways = {way: _pool(group, arms, judge, way) for way in WAYS}
    pooled = ways[first.invalid]
    return {
        "judge": judge,
        "role": REWARD if judge == first.reward_judge else HELD_OUT,
        **change_as_stored(pooled.change),
        "headline": agreed({way: found.change for way, found in ways.items()}),
        "n_invalid": sum(arm.n_invalid(judge) for arm in arms.values()),
        "invalid": {way: change_as_stored(found.change) for way, found in ways.items()},
        "seed_changes": dict(zip(_seeds(group, arms), pooled.changes, strict=True)),
        "seeds_interval": [pooled.seeds_low, pooled.seeds_high],
        "on_seeds": words_on_seeds(pooled),
    }


def _pool(group: Replicates, arms: Mapping[str, Tested], judge: str, way: Invalid) -> PooledChange:
    tables = [arm.questions(judge, way).assign(seed=group.seeds[name]) for name, arm in arms.items()]
    rows = pd.concat(tables)
    return pooled_change(rows["base"], rows["trained"], rows["story_id"], rows["seed"])


def _seeds(group: Replicates, arms: Mapping[str, Tested]) -> list[int]:
    return sorted(group.seeds[name] for name in arms)


def _before_after(summaries: Sequence[Mapping[str, Any]], name: str) -> dict[str, float]:
    return {when: _mean([summary[name][when] for summary in summaries]) for when in ("base", "trained")}


def _mean(values: Sequence[float]) -> float:
    return float(np.mean(values))
