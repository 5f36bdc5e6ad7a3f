"""What debaters do at inference beside sampling a speech (configs/inference/)."""

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

from rewards.judges import AnyJudge, ModelSettings


class _Inference(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)

    def needs(self) -> Sequence[ModelSettings]:
        """Every model that a judge named here reads with."""
        return ()


class _Choosing(_Inference):
    judge: AnyJudge | None = None
    """The judge that chooses; none: the run's reward judge, on a copy of its model in each process that plays."""

    def needs(self) -> Sequence[ModelSettings]:
        return () if self.judge is None else self.judge.needs()


class Plain(_Inference):
    """Every speech is sampled once."""

    kind: Literal["plain"] = "plain"


class BestOf(_Choosing):
    """Each speech is the candidate that a judge likes best; of every policy but one named "base", the opponent."""

    kind: Literal["best_of"]
    candidates: int = Field(4, ge=2)


class Refine(_Choosing):
    """A draft of each speech is criticised by the policy itself and rewritten; of every policy but one named "base"."""

    kind: Literal["refine"]
    critiques: int = Field(2, ge=1)
    choose: Literal["auto", "helpfulness", "speech"] = "auto"
    """helpfulness: the judge's model says which critique helps most, and that one is heeded; speech: each is heeded in
    a rewrite of its own, and the rewrite that the judge likes best is spoken; auto: helpfulness where the judge's
    prompt set has a helpful.j2."""


class LengthMatched(_Inference):
    """An untrained debater whose speeches are as long as a trained one's: of the candidates the one whose number of
    words is nearest to a target; of policies of version 0 alone, in whatever seat. No judge is asked."""

    kind: Literal["length_matched"]
    candidates: int = Field(8, ge=2)
    words: int | None = Field(None, ge=0)
    """The target for every speech, or:"""
    lengths: Path | None = None
    """A file that `rostrum evaluate` has written (RUN/lengths/CHECKPOINT.json): the target is drawn from the lengths of
    that checkpoint's speeches at the same ply."""

    @model_validator(mode="after")
    def _one_target(self) -> Self:
        if (self.words is None) == (self.lengths is None):
            raise ValueError("give inference.words=N or inference.lengths=RUN/lengths/CHECKPOINT.json, and not both")
        return self


AnyInference = Annotated[Plain | BestOf | Refine | LengthMatched, Field(discriminator="kind")]
