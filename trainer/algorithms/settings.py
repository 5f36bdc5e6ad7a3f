"""What the settings of algorithms have in common (configs/algorithm/)."""

import operator
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import ClassVar, Literal

from pydantic import Field, PositiveFloat, model_validator

from rostrum.trainer.algorithms import advantages
from rostrum.trainer.algorithms.advantages import Floats, Role
from rostrum.trainer.section import RunView, Section, SectionError
from rostrum.trainer.types import Trajectory

LONG_PREFIX = 1000
"""Tokens that a row has in common with its question's others, on average, from which on `auto` shares them."""


class AlgorithmError(ValueError):
    """An algorithm that cannot be run as it is configured; the message says what to do."""


class AlgorithmSettings(Section, ABC):
    """The settings of an algorithm; each adds its own (`trainer/algorithms/`) and `name: Literal[...]`."""

    title: ClassVar[str]
    """What model cards call it."""
    learner: ClassVar[str]
    """The `Learner` that learns by it, as module:class."""
    keeps_optimizer: ClassVar[bool]
    """Whether Adam's moments outlive an iteration, and are in checkpoints beside the weights."""

    name: str
    learning_rate: float = Field(gt=0)
    questions_per_iteration: int = Field(ge=1)
    """Each is played in both seatings."""
    micro_batch_rows: int | None = Field(None, ge=1)
    """Rows in memory at once; fewer than a step has means gradient accumulation. null: all of a step's."""
    max_grad_norm: float = Field(1.0, gt=0)
    share_prefix: Literal["auto", "always", "never"] = Field("auto", exclude_if=lambda value: value == "auto")
    """Whether the learner computes once what the rows of a micro-batch begin with in common (a passage). `auto`: where
    that is 1000 tokens or more on average. Rows of a question are then in one minibatch."""
    staleness: Literal[0, 1] = Field(0, exclude_if=operator.not_)
    """How many updates old the policy is that has sampled what is learned from. 1: the next batch is played while the
    learner works on the last one."""

    def version_playing(self, iteration: int) -> int:
        """Return which policy plays the debates of an iteration (from 1): the one after that many updates."""
        return max(iteration - 1 - self.staleness, 0)

    def shares_prefix(self, tokens: float) -> bool:
        """Return whether rows that have so many tokens in common on average are computed together."""
        return self.share_prefix == "always" or (self.share_prefix == "auto" and tokens >= LONG_PREFIX)

    @property
    @abstractmethod
    def repeats(self) -> int:
        """Return how many debates of a question are begun in each seating."""

    @property
    def siblings(self) -> int:
        """Return in how many ways each of these debates is gone on with from the turn at which it branches."""
        return 1

    @property
    def longest_row(self) -> int | None:
        """Return how many tokens a row may have; None if the model's context is the only limit."""
        return None

    def check(self, run: RunView) -> None:
        """Ask for rows that divide, and for a precision that keeps what is learned.

        Raises:
            SectionError: what an iteration changes would be rounded away, or engines would have to play and to sleep.
            AlgorithmError: the rows of an iteration do not suit it.
        """
        if self.staleness and run.config.cluster.sleep:
            raise SectionError(
                "cluster.sleep gives the engines' memory to the learner while it works, and with algorithm.staleness=1 "
                "they play meanwhile: leave one of the two out."
            )
        if not self.keeps_optimizer:
            self._check_updates_are_kept(run)
        self.check_rows(run.rows_per_iteration(), run.config.cluster.learners or run.machine.ranks)

    def _check_updates_are_kept(self, run: RunView) -> None:
        """Ask for more than bfloat16 between iterations: DeepSpeed's copies of the weights in float32 end with its
        trainer, and an algorithm that keeps nothing but the weights (DPO) has a new one in each iteration, which starts
        from what was published.

        Raises:
            SectionError: bfloat16 is too coarse for what an iteration changes.
        """
        debater, stage = run.config.debater, run.config.cluster.deepspeed
        if stage is not None and debater.dtype == "bfloat16" and debater.lora is None:
            raise SectionError(
                f"algorithm={self.name} with cluster.deepspeed={stage} would round full weights to bfloat16 after "
                "every iteration, which undoes small updates: train an adapter (debater.lora.rank=16), or choose "
                "debater.dtype=float32."
            )

    @abstractmethod
    def check_rows(self, rows: int, ranks: int) -> None:
        """Look whether an iteration with up to so many rows can be learned from by so many ranks.

        Raises:
            AlgorithmError: it cannot.
        """


@dataclass(frozen=True, slots=True)
class Credit:
    """What the rows of an iteration are worth: an array (T,) for each row, 0 where a token was not sampled."""

    advantages: list[Floats]
    returns: list[Floats] | None = None
    """What the critic is to predict; None without a critic."""
    baselines: Mapping[Role, float] | None = None
    """What the next iteration is to be given; None keeps nothing."""


class PolicyGradientSettings(AlgorithmSettings):
    """TRL's clipped surrogate and KL term with our advantages; what the advantages are, the algorithm's name says."""

    learner = "rostrum.trainer.learners.policy_gradient:PolicyGradient"
    keeps_optimizer = True
    critic: ClassVar[bool] = False
    """Whether a value head is learned besides; see `CriticSettings`."""
    ratio: ClassVar[Literal["token", "speech"]] = "token"
    """What the probability ratio that is clipped is taken of: each token, or a whole speech."""

    debates_per_seating: int = Field(ge=1)
    epochs: int = Field(2, ge=1)
    """Passes over each iteration's rows."""
    minibatches: int = Field(4, ge=1)
    """Optimizer steps per pass."""
    micro_batch_tokens: int | None = Field(None, ge=1, exclude_if=operator.not_)
    """Tokens computed at once, in the place of micro_batch_rows: as many rows as have no more, and one at least."""
    clip: float = Field(0.2, gt=0)
    kl: float = Field(ge=0)
    """Weight of the KL penalty to the reference (the base debater)."""
    normalise_advantages: bool = True
    """Divide the advantages of an iteration by their standard deviation (and centre those of ppo)."""
    tis: Literal["auto"] | PositiveFloat | None = Field("auto", exclude_if=lambda value: value == "auto")
    """Truncated importance sampling (Yao et al. 2025): where learner and engine differ by more than 1e-4 nats per
    token, a token's advantage is multiplied by min(exp(learner - engine), tis). auto: 2 in bfloat16, else null; null:
    advantages stay as they are. With staleness=1 all tokens are weighed, whatever the difference, and auto is 2."""

    @abstractmethod
    def credit(self, rows: Sequence[Trajectory], values: Sequence[Floats], baselines: Mapping[Role, float]) -> Credit:
        """Return what the rows of an iteration are worth, before they are normalised.

        `values` are the critic's, (T,) each, and empty without a critic; `baselines` are those of the iteration before.
        """

    @property
    def repeats(self) -> int:
        return self.debates_per_seating

    @model_validator(mode="after")
    def _micro_batches_have_one_size(self) -> "PolicyGradientSettings":
        if self.micro_batch_rows and self.micro_batch_tokens:
            raise ValueError("micro-batches are cut by rows or by tokens: set micro_batch_rows or micro_batch_tokens")
        return self

    @model_validator(mode="after")
    def _stale_tokens_are_weighed(self) -> "PolicyGradientSettings":
        if self.staleness and self.tis is None:
            raise ValueError(
                "with staleness=1 an older policy has sampled the tokens, and they are weighed: leave tis out, or set "
                "it to a number"
            )
        return self

    def most_importance(self, dtype: str) -> float | None:
        """Return `tis` for a debater of this dtype; None where tokens are not weighted."""
        if self.tis == "auto":
            return 2.0 if self.staleness or dtype == "bfloat16" else None
        return self.tis

    def shares_prefix(self, tokens: float) -> bool:
        alone = self.share_prefix == "auto" and self.micro_batch_rows == 1  # a row in memory has none to share with
        return super().shares_prefix(tokens) and not alone

    def check_rows(self, rows: int, ranks: int) -> None:
        step, left_over = divmod(rows, self.minibatches * ranks)
        micro = min(self.micro_batch_rows or step, step)
        if left_over or step % micro:
            raise AlgorithmError(
                f"{rows} rows per iteration do not divide into {self.minibatches} minibatches on {ranks} ranks in "
                f"micro-batches of {micro}: change algorithm.minibatches or algorithm.micro_batch_rows."
            )


class CriticSettings(PolicyGradientSettings):
    """A policy gradient with a value head, whose values `credit` is given."""

    critic = True

    value_coefficient: float = Field(0.1, ge=0)
    """Weight of the critic's loss."""


class GroupSettings(PolicyGradientSettings):
    """A policy gradient whose baseline is the question's other debates."""

    @model_validator(mode="after")
    def _groups_have_siblings(self) -> "GroupSettings":
        if self.debates_per_seating < 2:
            raise ValueError(f"{self.name} compares debates of one question: set debates_per_seating to at least 2")
        return self

    def credit(self, rows: Sequence[Trajectory], values: Sequence[Floats], baselines: Mapping[Role, float]) -> Credit:
        return Credit(advantages.on_tokens(rows, advantages.group(rows)))
