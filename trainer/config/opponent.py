"""The kinds of opponents, as the configuration names them (configs/opponent/)."""

from typing import Annotated, ClassVar, Literal

from pydantic import BaseModel, ConfigDict, Field


class _Kind(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)

    def against_itself(self, questions: int) -> int:
        """How many of an iteration's questions the policy argues against itself."""
        return questions

    def kept(self, iterations: int) -> range:
        """Iterations whose published weights are needed later on."""
        return range(0)


class SelfPlay(_Kind):
    """The current policy sits in every seat and learns from all of them."""

    at_once: ClassVar[int] = 0
    """Policies besides the current one that a rollout worker holds."""

    kind: Literal["self"] = "self"


class _Others(_Kind):
    """What kinds of opponents have in common that are not the policy itself; it learns from its own seat alone."""

    self_play: float = Field(0.0, ge=0, lt=1)
    """Share of an iteration's questions that the policy argues against itself, rounded to whole questions."""

    def against_itself(self, questions: int) -> int:
        return round(self.self_play * questions)


class FrozenBase(_Others):
    """The debater as it was before training."""

    at_once: ClassVar[int] = 1

    kind: Literal["base"]


class League(_Others):
    """Policies that the run has published itself, the base among them (`trainer.opponents.league`)."""

    kind: Literal["league"]
    self_play: float = Field(0.5, ge=0, lt=1)
    draw: Literal["prioritised", "uniform"] = "prioritised"
    """Whether those that the policy loses to are drawn more often, or all alike."""
    power: float = Field(2.0, ge=0)
    """The k of (1 - p)^k for draw=prioritised, p being the policy's win rate against the snapshot."""
    decay: float = Field(0.8, ge=0, lt=1)
    """How slowly those win rates move: the weight of what was before an iteration in which the two have met."""
    every: int = Field(1, ge=1)
    """Iterations from one snapshot that joins the league to the next. All of them stay on the disk."""
    at_once: int = Field(4, ge=1)
    """Opponents drawn for an iteration, with replacement. Every rollout worker holds that many models besides the
    current one, so this is what the league costs in memory, however long the run is."""

    def kept(self, iterations: int) -> range:
        return range(0, iterations + 1, self.every)


AnyOpponent = Annotated[SelfPlay | FrozenBase | League, Field(discriminator="kind")]
