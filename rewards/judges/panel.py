"""Several judges in the place of one: each reads every debate, and their opinions are combined."""

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Literal

from pydantic import Field

from rostrum.envs.types import Transcript
from rostrum.rewards.settings import JudgeSettings, Models, ModelSettings
from rostrum.rewards.types import Judge, Usage, Verdict, favours

if TYPE_CHECKING:
    from rostrum.rewards.judges import AnyJudge


class Settings(JudgeSettings):
    """A panel of at least two judges of any kind, each under a name of its own."""

    kind: Literal["panel"]
    members: dict[str, "AnyJudge"] = Field(min_length=2)
    rule: Literal["mean", "majority", "confidence"] = "mean"
    """How opinions are combined, see `RULES`."""

    def make(self, models: Models) -> "Panel":
        return Panel(self.name, [member.make(models) for member in self.members.values()], self.rule)

    def needs(self) -> Sequence[ModelSettings]:
        return [model for member in self.members.values() for model in member.needs()]


def _mean(p: Sequence[float]) -> float:
    return sum(p) / len(p)


def _by_confidence(p: Sequence[float]) -> float:
    weights = [abs(2 * x - 1) for x in p]
    return sum(w * favours(x) for w, x in zip(weights, p, strict=True)) / sum(weights) if any(weights) else 0.5


RULES: Mapping[str, Callable[[Sequence[float]], float]] = {
    "mean": _mean,
    "majority": lambda p: _mean([favours(x) for x in p]),
    "confidence": _by_confidence,
}
"""P(answer of side A) from what the members make of it: their mean; the share that votes for it (a half votes for
both); the same share with each vote weighted by its confidence |2p − 1| (Khan et al. 2024, human ensembles)."""


class Panel:
    """Combines the opinions order by order. INVALID verdicts are left out; the panel's is INVALID where not more than
    half of its members gave a valid one."""

    def __init__(self, name: str, members: Sequence[Judge], rule: str = "mean") -> None:
        self.name, self.members = name, members
        self._combine = RULES[rule]

    @property
    def usage(self) -> Usage:
        """What all members together have asked of their models."""
        return sum((member.usage for member in self.members), Usage())

    def judge(self, transcripts: Sequence[Transcript]) -> list[Verdict]:
        """Return one verdict per transcript."""
        opinions = [member.judge(transcripts) for member in self.members]
        return [self._verdict(each) for each in zip(*opinions, strict=True)]

    def _verdict(self, opinions: Sequence[Verdict]) -> Verdict:
        valid = [verdict for verdict in opinions if verdict.valid]
        readings = sum(verdict.readings for verdict in opinions)
        unreadable = next((verdict.unreadable for verdict in opinions if verdict.unreadable), "")
        if 2 * len(valid) <= len(opinions):
            why = "; ".join(f"{verdict.judge}: {verdict.reason}" for verdict in opinions if not verdict.valid)
            return Verdict(
                self.name,
                None,
                None,
                valid=False,
                reason=why,
                readings=readings,
                unreadable=unreadable,
                **_blame(opinions),
            )
        given = [verdict.given for verdict in valid if verdict.given is not None]
        swapped = [verdict.swapped for verdict in valid if verdict.swapped is not None]
        return Verdict(
            self.name,
            self._combine(given) if given else None,
            self._combine(swapped) if swapped else None,
            readings=readings,
            unreadable=unreadable,
        )


def _blame(opinions: Sequence[Verdict]) -> dict[str, Any]:
    """Return the cause of a panel's INVALID verdict: speeches, if they alone left it without a majority."""
    spoiled = [verdict for verdict in opinions if not verdict.valid and verdict.cause == "speech"]
    if 2 * (len(opinions) - len(spoiled)) > len(opinions):
        return {"cause": "failure"}
    sides = {verdict.spoiled_by for verdict in spoiled}
    return {"cause": "speech", "spoiled_by": sides.pop() if len(sides) == 1 else ()}
