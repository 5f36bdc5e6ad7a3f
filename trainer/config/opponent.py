"""The kinds of opponents, as the configuration names them (configs/opponent/). An installed package adds one by an
entry point of the group `rostrum.opponents`: a frozen `OpponentSettings`."""

from typing import TYPE_CHECKING, Annotated, ClassVar, Literal, Union

from pydantic import BaseModel, ConfigDict, Field

from rostrum.envs import registry


class OpponentSettings(BaseModel):
    """The settings of a kind of opponents; each adds its own and `kind: Literal["its name"]`."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    opponents: ClassVar[str]
    """The class of the `trainer.opponents.lineup.Opponents`, as module:class; it is made of the run's configuration."""
    meets_others: ClassVar[bool] = True
    """Whether anybody but the policy itself is met."""
    includes_base: ClassVar[bool] = False
    """Whether the base debater is among them, by the name that it is measured under."""

    kind: str

    def held(self) -> int:
        """Return how many policies besides the current one a rollout worker holds."""
        return 1

    def against_itself(self, questions: int) -> int:
        """How many of an iteration's questions the policy argues against itself."""
        return questions

    def kept(self, iterations: int) -> range:
        """Iterations whose published weights are needed later on."""
        return range(0)


class SelfPlay(OpponentSettings):
    """The current policy speaks for everybody and learns from all of it."""

    opponents = "rostrum.trainer.opponents.lineup:Opponents"
    meets_others = False

    kind: Literal["self"] = "self"

    def held(self) -> int:
        return 0


class _Others(OpponentSettings):
    """What kinds of opponents have in common that are not the policy itself; it learns from its own side alone."""

    self_play: float = Field(0.0, ge=0, lt=1)
    """Share of an iteration's questions that the policy argues against itself, rounded to whole questions."""

    def against_itself(self, questions: int) -> int:
        return round(self.self_play * questions)


class FrozenBase(_Others):
    """The debater as it was before training."""

    opponents = "rostrum.trainer.opponents.lineup:BaseOpponent"
    includes_base = True

    kind: Literal["base"]


class League(_Others):
    """Policies that the run has published itself, the base among them (`trainer.opponents.league`)."""

    opponents = "rostrum.trainer.opponents.league:LeagueOpponents"

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

    def held(self) -> int:
        return self.at_once

    def kept(self, iterations: int) -> range:
        return range(0, iterations + 1, self.every)


if TYPE_CHECKING:
    AnyOpponent = OpponentSettings
else:
    _KINDS = (SelfPlay, FrozenBase, League)
    _ADDED = registry.installed("rostrum.opponents", taken=("self", "base", "league"))
    AnyOpponent = Annotated[Union[(*_KINDS, *_ADDED.values())], Field(discriminator="kind")]  # noqa: UP007
    """Opponents of any kind; pydantic tells which by `kind`."""
