"""The kinds of opponents, as the configuration names them (configs/opponent/). An installed package adds one by an
entry point of the group `rostrum.opponents`: a frozen `OpponentSettings`."""

from typing import TYPE_CHECKING, Annotated, ClassVar, Literal, Union

from pydantic import BaseModel, ConfigDict, Field

from rostrum.envs import registry
from rostrum.trainer.engines import settings_by_name
from rostrum.trainer.section import RunView, SectionError


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

    def check(self, run: RunView) -> None:
        """Ask for somebody on the other side, debates that are left for others, and memory for all policies that play
        at a time.

        Raises:
            SectionError: one of these is amiss.
        """
        self._check_gpu_memory(run)
        if not self.meets_others:
            return
        protocol = run.config.protocol
        if len(protocol.sides) < 2:
            raise SectionError(
                f"opponent={self.kind} needs two sides and protocol={protocol.name} has one: leave opponent=self."
            )
        spoken = [name for turn in protocol.order() for name in turn]
        each = [[spoken.count(name) for name in protocol.on(side)] for side in protocol.sides]
        if len(each[0]) != len(each[1]) or sum(each[0]) != sum(each[1]):
            raise SectionError(
                f"opponent={self.kind} gives the policy one side in half of the debates, and the sides of "
                f"protocol={protocol.name} do not speak equally often: leave opponent=self."
            )
        questions = run.config.algorithm.questions_per_iteration
        if self.against_itself(questions) == questions:
            share = getattr(self, "self_play", 1.0)
            raise SectionError(
                f"opponent.self_play={share:g} leaves none of an iteration's {questions} questions for "
                "others: lower it, raise algorithm.questions_per_iteration, or choose opponent=self."
            )

    def _check_gpu_memory(self, run: RunView) -> None:
        """Ask for room where an engine takes a share of the GPU for each model with full weights; adapters share one
        copy of their base.

        Besides its opponents the policy meets the base debater, in the monitor's looks and in the evaluation.

        Raises:
            SectionError: the shares of one worker are more than the GPU.
        """
        config, debater = run.config, run.config.debater
        on_gpu = config.cluster.gpus_per_worker > 0 or run.machine.has_gpu
        if not settings_by_name()[debater.engine].claims_memory or not on_gpu:
            return
        shared = {of.model for of in config.debaters if of.lora is not None}
        whole = sum(of.lora is None for of in config.debaters)
        policies, what = len(shared) + 2 * whole, "learners"  # checkpoint and base of each
        if not config.learners:
            what = f"opponent={self.kind}"
            policies = 1 if shared else self._policies(len(config.protocol.sides), config.monitor.questions > 0)
        if policies * debater.gpu_memory_fraction > 1:
            raise SectionError(
                f"{what} has up to {policies} policies in one worker (with the evaluation's) and each "
                f"may take debater.gpu_memory_fraction={debater.gpu_memory_fraction:g} of its GPU: set it to at most "
                f"{1 / policies:.2f}, or train adapters (debater.lora.rank=16), which share one model."
            )

    def _policies(self, sides: int, watched: bool) -> int:
        """Return the most policies that a worker holds at a time: all names that it has once played stay with it."""
        if sides < 2:
            return 1
        held = self.held()
        return 1 + max(1, held + int(watched and held > 0 and not self.includes_base))

    def held(self) -> int:
        """Return how many policies besides the current one a rollout worker holds."""
        return 1

    def against_itself(self, questions: int) -> int:
        """Return how many of an iteration's questions the policy argues against itself."""
        return questions

    def kept(self, iterations: int) -> range:
        """Return the iterations whose published weights are needed later on."""
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
