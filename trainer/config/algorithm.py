"""How the debater learns (configs/algorithm/)."""

from typing import Annotated, Any, Literal

from pydantic import Field, model_validator

from trainer.config.section import Section


class PolicyGradient(Section):
    """TRL's clipped surrogate and KL term with our advantages; what the advantages are, the algorithm's name says."""

    learning_rate: float = Field(gt=0)
    questions_per_iteration: int = Field(ge=1)
    """Each is played in both seatings."""
    debates_per_seating: int = Field(ge=1)
    epochs: int = Field(2, ge=1)
    """Passes over each iteration's rows."""
    minibatches: int = Field(4, ge=1)
    """Optimizer steps per pass."""
    micro_batch_rows: int | None = Field(None, ge=1)
    """Rows in memory at once; smaller than a minibatch means gradient accumulation."""
    clip: float = Field(0.2, gt=0)
    kl: float = Field(ge=0)
    """Weight of the KL penalty to the reference (the base debater)."""
    normalise_advantages: bool = True
    """Divide the advantages of an iteration by their standard deviation (and centre those of ppo)."""
    max_grad_norm: float = Field(1.0, gt=0)

    @model_validator(mode="before")
    @classmethod
    def _credit_is_in_the_name(cls, values: Any) -> Any:
        if isinstance(values, dict) and "credit" in values:
            raise ValueError(
                f"credit={values['credit']} has become the algorithm's name: leave it out and choose algorithm=ppo "
                "(gae), algorithm=rloo (group) or algorithm=rae (role_ema)"
            )
        return values


class Ppo(PolicyGradient):
    """Proximal policy optimisation with a critic: generalised advantage estimation (configs/algorithm/ppo.yaml)."""

    name: Literal["ppo"]
    gamma: float = Field(1.0, gt=0, le=1)
    lam: float = Field(1.0, ge=0, le=1)
    value_coefficient: float = Field(0.1, ge=0)
    """Weight of the critic's loss."""


class Rloo(PolicyGradient):
    """A leave-one-out baseline: the question's other debates (Ahmadian et al. 2024; configs/algorithm/rloo.yaml)."""

    name: Literal["rloo"]

    @model_validator(mode="after")
    def _groups_have_siblings(self) -> "Rloo":
        if self.debates_per_seating < 2:
            raise ValueError("rloo compares debates of one question: set debates_per_seating to at least 2")
        return self


class Rae(PolicyGradient):
    """Role-conditioned advantage estimation: a running baseline for each seat, answer and turn (SPIRAL, Liu et al.
    2025; configs/algorithm/rae.yaml)."""

    name: Literal["rae"]
    ema_decay: float = Field(0.9, ge=0, lt=1)
    """How slowly the baselines move."""


class Dpo(Section):
    """trl.DPOTrainer on sibling speeches, one round per iteration (configs/algorithm/dpo.yaml)."""

    name: Literal["dpo"]
    learning_rate: float = Field(gt=0)
    questions_per_iteration: int = Field(ge=1)
    branches: int = Field(4, ge=2)
    """Siblings sampled at the branching ply; the best and the worst for the speaker make a pair."""
    min_gap: float = Field(0.5, ge=0)
    """Smallest difference in reward between the two of a pair."""
    beta: float = Field(0.1, gt=0)
    reference: Literal["previous", "base"] = "base"
    epochs: int = Field(1, ge=1)
    batch_rows: int = Field(64, ge=1)
    """Pairs per optimizer step."""
    micro_batch_rows: int | None = Field(None, ge=1)
    """Pairs in memory at once; it must divide what a rank has of a step. None: all of it."""
    max_length: int = Field(ge=2)
    """Longest prompt and speech together, in tokens; longer pairs are an error, never cut."""
    max_grad_norm: float = Field(1.0, gt=0)


Algorithm = Annotated[Ppo | Rloo | Rae | Dpo, Field(discriminator="name")]
