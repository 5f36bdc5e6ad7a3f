"""What debaters do at inference beside sampling a speech (configs/decoding/). An installed package adds a way by an
entry point of the group `rostrum.decoding`: a frozen `DecodingSettings`."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, ClassVar, Literal, Self, Union

from pydantic import BaseModel, ConfigDict, Field, model_validator

from rostrum.envs import registry
from rostrum.rewards.judges import AnyJudge, JudgeSettings, ModelSettings
from rostrum.trainer.section import RunView, SectionError


class DecodingSettings(BaseModel):
    """The settings of a way of speaking; each adds its own and `kind: Literal["its name"]`."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    way: ClassVar[str]
    """The function that gives its `trainer.rollouts.decoding.turns.Way`, as module:function; it is handed these
    settings, the protocol, the debaters' prompt set and the judge that gives the reward."""
    as_sampled: ClassVar[bool] = False
    """Whether each speech is what the policy samples in its place, so that it can be learned from."""
    revises: ClassVar[bool] = False
    """Whether debaters criticise and rewrite drafts, which takes prompts of its own."""

    kind: str

    def check(self, run: RunView) -> None:
        """Refuse to learn from anything but what the policy samples in its place.

        Raises:
            SectionError: speeches would be chosen among samples, or written elsewhere.
            PromptError: the protocol lets the judge ask, and its prompt set has no template for that.
        """
        if not self.as_sampled:
            raise SectionError(
                f"decoding={self.kind} is for evaluations: train without it, then `rostrum evaluate run=RUN "
                f"decoding={self.kind}`."
            )
        run.check_decoding()

    def chooser(self, judge: JudgeSettings) -> JudgeSettings:
        """Return the judge that chooses, where the run's is `judge`."""
        return judge

    def options(self) -> int:
        """Return how many options the chooser reads for each speech; 0 where nobody is asked."""
        return 0

    def needs(self) -> Sequence[ModelSettings]:
        """Return every model that a judge named here reads with."""
        return ()


class _Choosing(DecodingSettings):
    judge: AnyJudge | None = None
    """The judge that chooses; none: the run's reward judge, on a copy of its model in each process that plays."""

    def chooser(self, judge: JudgeSettings) -> JudgeSettings:
        return self.judge or judge

    def needs(self) -> Sequence[ModelSettings]:
        return () if self.judge is None else self.judge.needs()


class Plain(DecodingSettings):
    """Every speech is sampled once."""

    way = "rostrum.trainer.rollouts.decoding.turns:plain"
    as_sampled = True

    kind: Literal["plain"] = "plain"


class BestOf(_Choosing):
    """Each speech is the candidate that a judge likes best; of every policy but one named "base", the opponent."""

    way = "rostrum.trainer.rollouts.decoding.best_of:prepare"

    kind: Literal["best_of"]
    candidates: int = Field(4, ge=2)

    def options(self) -> int:
        return self.candidates


class Refine(_Choosing):
    """A draft of each speech is criticised by the policy itself and rewritten; of every policy but one named "base"."""

    way = "rostrum.trainer.rollouts.decoding.refine:prepare"
    revises = True

    kind: Literal["refine"]
    critiques: int = Field(2, ge=1)
    choose: Literal["auto", "helpfulness", "speech"] = "auto"
    """helpfulness: the judge's model says which critique helps most, and that one is heeded; speech: each is heeded in
    a rewrite of its own, and the rewrite that the judge likes best is spoken; auto: helpfulness where the judge's
    prompt set has a helpful.j2."""

    def options(self) -> int:
        return self.critiques if self.critiques > 1 else 0


class LengthMatched(DecodingSettings):
    """An untrained debater whose speeches are as long as a trained one's: of the candidates the one whose number of
    words is nearest to a target; of policies of version 0 alone, in whatever side. No judge is asked."""

    way = "rostrum.trainer.rollouts.decoding.length_matched:prepare"

    kind: Literal["length_matched"]
    candidates: int = Field(8, ge=2)
    words: int | None = Field(None, ge=0)
    """The target for every speech, or:"""
    lengths: Path | None = None
    """A file that `rostrum evaluate` has written (RUN/lengths/CHECKPOINT.json): the target is drawn from the lengths of
    that checkpoint's speeches at the same turn."""

    @model_validator(mode="after")
    def _one_target(self) -> Self:
        if (self.words is None) == (self.lengths is None):
            raise ValueError("give decoding.words=N or decoding.lengths=RUN/lengths/CHECKPOINT.json, and not both")
        return self


if TYPE_CHECKING:
    AnyDecoding = DecodingSettings
else:
    _KINDS = (Plain, BestOf, Refine, LengthMatched)
    _ADDED = registry.installed("rostrum.decoding", taken=("plain", "best_of", "refine", "length_matched"))
    AnyDecoding = Annotated[Union[(*_KINDS, *_ADDED.values())], Field(discriminator="kind")]  # noqa: UP007
    """Any way of speaking; pydantic tells which by `kind`."""
