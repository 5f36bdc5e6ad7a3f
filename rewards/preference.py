"""How much a judge likes speeches that have not been made yet: what candidates are chosen by."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

from rostrum.envs.types import Side, Transcript
from rostrum.rewards.reward import APPROVALS
from rostrum.rewards.settings import JudgeSettings, ModelSettings
from rostrum.rewards.types import Judge


@dataclass(frozen=True, slots=True)
class Preference:
    """A judge's liking for a transcript from the point of view of one side."""

    log_odds: float
    """Of the side's own answer, averaged over the presentation orders; minus infinity where the verdict is INVALID."""
    readings: int
    """How often a model read the transcript for it."""


def preferences(judge: Judge, supposed: Sequence[tuple[Transcript, Side]]) -> list[Preference]:
    """Return what the judge makes of each transcript for the side that is named with it; all are read as one batch."""
    verdicts = judge.judge([transcript for transcript, _ in supposed]) if supposed else []
    found = []
    for (_, side), verdict in zip(supposed, verdicts, strict=True):
        own = tuple(p if side is Side.A else 1 - p for p in verdict.orders)
        liking = APPROVALS["log_odds"](own, math.inf) if verdict.valid else -math.inf
        found.append(Preference(liking, verdict.readings))
    return found


def best(preferences: Sequence[Preference]) -> int:
    """Return the index of the one that is liked most: the first of equals, and 0 where no verdict is valid."""
    return max(range(len(preferences)), key=lambda index: preferences[index].log_odds)


def in_both_orders(settings: JudgeSettings) -> JudgeSettings:
    """Return the judge, asked in both presentation orders if it is one that reads with a model; panels and cascades
    keep the orders of their members."""
    return settings.model_copy(update={"order": "both"}) if isinstance(settings, ModelSettings) else settings
