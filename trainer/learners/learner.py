"""What the loop asks of whatever learns a policy."""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from rostrum.trainer.types import Policy, Trajectory
from rostrum.trainer.weights.logprobs import Scores
from rostrum.trainer.weights.publish import Weights

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

    from rostrum.trainer.config import Config


@dataclass(frozen=True, slots=True)
class LearnerSetup:
    """What a learner is made from, the same on every rank."""

    config: "Config"
    tokenizer: "PreTrainedTokenizerBase"
    probe: Sequence[Sequence[int]]
    """Rows of tokens on which log-probabilities are compared."""
    policy: str | None = None
    """The name of the policy that is learned, whose speakers' rows come; None where there is one for everybody."""
    rank: int = 0
    world: int = 1

    @property
    def autocast(self) -> bool:
        """Return whether the learner computes in bfloat16 with weights held in float32; DeepSpeed casts the weights."""
        return self.config.debater.dtype == "bfloat16" and self.config.cluster.deepspeed is None


class Learner(ABC):
    """Learns one policy. Every rank has one, and all ranks call its methods together."""

    @abstractmethod
    def __init__(self, setup: LearnerSetup) -> None: ...

    @abstractmethod
    def update(self, rows: Sequence[Trajectory], policy: Policy) -> dict[str, float]:
        """Learn from an iteration's rows, the same ones on every rank, which the published policy has sampled.

        Returns:
            what is recorded of it, by the names of metrics.jsonl.

        Raises:
            ParityError: in the first batch, the learner is not the policy that sampled it.
            FiniteError: weights have become NaN or infinite.
            NothingLearned: rewards differed, and no weight has changed.
        """

    @abstractmethod
    def logprobs(self, rows: Sequence[Sequence[int]]) -> Scores:
        """Return the log-probability of every token but the first of each row, in the arithmetic that it learns in."""

    @abstractmethod
    def weights(self) -> Weights:
        """Return the weights as they are to be published."""

    @abstractmethod
    def save(self, folder: Path) -> None:
        """Write everything that `load` needs to go on to the last digit into a folder that is there."""

    @abstractmethod
    def load(self, folder: Path) -> None:
        """Take over what `save` has written."""
