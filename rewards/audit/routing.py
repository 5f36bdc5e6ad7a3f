"""Accuracy against cost where a cheap judge decides the clear cases and a dearer one the rest (`judge=cascade`)."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from rostrum.rewards.audit.cost import Cost
from rostrum.rewards.labelled import Labelled
from rostrum.rewards.types import Verdict, pick


@dataclass(frozen=True, slots=True)
class Routed:
    """The two judges of a cascade, by their verdicts on the same debates and what they cost."""

    first: Sequence[Verdict]
    second: Sequence[Verdict]
    costs: tuple[Cost, Cost]
    margin: float
    """The configured one."""


@dataclass(frozen=True, slots=True)
class Routing:
    """What one margin gives."""

    margin: float
    """The second judge decides where the first one's |P(A) − ½| is below this."""
    routed: float
    """Share of the debates that go to the second judge, those with an INVALID first verdict among them."""
    accuracy: float
    """Share of the debates that are judged right; ½ for a tie, 0 for an INVALID verdict."""
    cost: float
    """Per debate, in the unit of the costs given."""


def routing(routed: Routed, debates: Sequence[Labelled]) -> dict[str, Any]:
    """Return the whole curve, the point on it that is configured, and the unit of the costs: dollars per debate if
    either judge costs any, else tokens read and written per debate."""
    paid = any(cost.usage.dollars for cost in routed.costs)
    first, second = (_per_debate(cost, paid) for cost in routed.costs)
    points = curve(routed.first, routed.second, debates, (first, second))
    chosen = max((point for point in points if point.margin <= routed.margin), key=lambda point: point.margin)
    return {"unit": "dollars" if paid else "tokens", "margin": routed.margin, "chosen": chosen, "curve": points}


def _per_debate(cost: Cost, paid: bool) -> float:
    usage = cost.usage
    whole = usage.dollars if paid else usage.prompt_tokens + usage.new_tokens
    return whole / cost.verdicts if cost.verdicts else 0.0


def curve(
    first: Sequence[Verdict], second: Sequence[Verdict], debates: Sequence[Labelled], costs: tuple[float, float]
) -> list[Routing]:
    """Return every margin that routes differently, from the first judge alone to the second for everything.

    `costs` are those of one verdict of the first and of the second judge (seconds, tokens, dollars, …).
    """
    sureness = [abs(verdict.mean - 0.5) if verdict.valid else -1.0 for verdict in first]
    margins = [0.0, *sorted({_above(value) for value in sureness if value >= 0})]
    return [_at(margin, sureness, first, second, debates, costs) for margin in margins]


def _above(value: float) -> float:
    """Return the least margin, of three decimals, that routes a verdict of this sureness."""
    return round((int(value * 1000) + 1) / 1000, 3)


def _at(
    margin: float,
    sureness: Sequence[float],
    first: Sequence[Verdict],
    second: Sequence[Verdict],
    debates: Sequence[Labelled],
    costs: tuple[float, float],
) -> Routing:
    goes_on = [sure < margin for sure in sureness]
    decided = [two if on else one for on, one, two in zip(goes_on, first, second, strict=True)]
    right = [_right(verdict, debate) for verdict, debate in zip(decided, debates, strict=True)]
    routed = sum(goes_on) / len(goes_on)
    return Routing(margin, routed, sum(right) / len(right), costs[0] + routed * costs[1])


def _right(verdict: Verdict, debate: Labelled) -> float:
    return pick(verdict, debate.correct) if verdict.valid else 0.0
