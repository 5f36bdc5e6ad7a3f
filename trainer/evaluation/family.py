"""Several comparisons in one summary: training seeds are pooled, and p-values adjusted for being many."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from typing import Protocol as Interface

import numpy as np
import pandas as pd

from rostrum.trainer.evaluation.invalid import WAYS, Invalid, agreed
from rostrum.trainer.evaluation.replicates import Replicates
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
    return [_pooled(group, own, [by_name[name] for name in own]) for group, own in tested if len(own) > 1]


PART = "not tested by itself"
"""The headline of a run that is one of several seeds: their change is tested, not its own."""


def adjusted(
    summaries: Sequence[dict[str, Any]], pooled: Sequence[dict[str, Any]], primary: Comparison | None
) -> dict[str, Any]:
    """Write `p_adjusted` (Holm), `primary` and `headline` into every row; return what the family consists of.

    One family is all that the summary compares: every change over the base and every difference to a control
    (`control` of an arm), by every judge. Replicates are compared once, pooled: their rows by themselves are parts of
    that and have no adjusted p-value. A declared primary comparison comes first and keeps its own p-value; no other
    comparison's adjusted one is smaller than that. So all together name a direction falsely in at most 5 % (a fixed
    sequence: Maurer, Hothorn & Lehmacher 1995); with the primary one beside Holm's procedure it would be up to 10 %.

    Each counting of INVALID verdicts is corrected by itself. A row's own `p_adjusted` is the largest of the three, and
    its headline the word that all of them give.
    """
    parts = {name for group in pooled for name in group["arms"]}
    rows: list[tuple[dict[str, Any], bool]] = []
    for unit in [*pooled, *summaries]:
        for row in unit["accuracy"]:
            row["primary"] = primary == Comparison(unit["name"], row["judge"]) and unit["name"] not in parts
        compared = [*unit["accuracy"], *unit.get("control", {}).get("accuracy", [])]
        rows += [(row, unit["name"] in parts) for row in compared]
    for way in WAYS:
        _correct([(_counting(row, way), row.get("primary", False), part) for row, part in rows])
    for row, part in rows:
        countings = [_counting(row, way) for way in WAYS]
        row["p_adjusted"] = float(np.max([found["p_adjusted"] for found in countings]))
        row["headline"] = PART if part else agreed(found["headline"] for found in countings)
    size = sum(not part and not row.get("primary", False) for row, part in rows)
    return {"correction": "Holm", "size": size, "primary": primary and [primary.arm, primary.judge]}


def _counting(row: dict[str, Any], way: Invalid) -> dict[str, Any]:
    return row["invalid"][way] if "invalid" in row else row


def _correct(rows: Sequence[tuple[dict[str, Any], bool, bool]]) -> None:
    """Write `p_adjusted` and `headline` into changes, each with whether it is the primary one, and part of another."""
    gate = next((float(found["p"]) for found, primary, _ in rows if primary), 0.0)
    gate = 1.0 if np.isnan(gate) else gate
    family = [found for found, primary, part in rows if not primary and not part]
    for found, p in zip(family, holm([found["p"] for found in family]), strict=True):
        found["p_adjusted"] = float(np.maximum(p, gate))
    for found, primary, part in rows:
        if primary or part:
            found["p_adjusted"] = found["p"] if primary else np.nan
        found["headline"] = PART if part else direction(*(found.get(k, np.nan) for k in ("low", "high", "p_adjusted")))


def change_as_stored(change: PairedChange) -> dict[str, Any]:
    """Return a change as summary.json has it wherever it is one of several, before it is corrected (`adjusted`)."""
    named = ("base", "trained", "change", "low", "high", "p", "n_questions", "n_stories")
    return {name: getattr(change, name) for name in named}


def _pooled(group: Replicates, arms: Mapping[str, Tested], summaries: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    first = next(iter(arms.values()))
    reward = _pool(group, arms, first.reward_judge, first.invalid)
    return {
        "name": group.name,
        "protocol": first.protocol,
        "arms": list(arms),
        "seeds": [group.seeds[name] for name in arms],
        "minimum_detectable_change": reward.change.minimum_detectable_change,
        "win_rate": {"estimate": _mean([of["win_rate"]["estimate"] for of in summaries])},
        "verified_quotes": _before_after(summaries, "verified_quotes"),
        "words_per_speech": _before_after(summaries, "words_per_speech"),
        "accuracy": [
            _accuracy(group, arms, judge)
            | {
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
