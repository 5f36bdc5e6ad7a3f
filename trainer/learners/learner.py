"""What the loop asks of whatever learns a policy."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from pkgutil import resolve_name
from typing import TYPE_CHECKING

from rostrum.envs.types import TRAINED
from rostrum.trainer.rollouts.local import Send
from rostrum.trainer.types import Policy, Trajectory
from rostrum.trainer.weights.logprobs import Scores
from rostrum.trainer.weights.publish import Weights, publish

if TYPE_CHECKING:
    import torch
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


@dataclass(frozen=True, slots=True)
class Rehearsed:
    """What the largest micro-batch of an iteration has come to."""

    rows: int
    tokens: int
    """Of the longest row."""
    seconds: float
    """What an update on all of the iteration's rows would take at its pace."""
    moments: int
    """Bytes of the optimizer's state on this rank, which is there from the first step on."""


class Learner(ABC):
    """Learns one policy. Every rank has one, and all ranks call its methods together."""

    @abstractmethod
    def __init__(self, setup: LearnerSetup) -> None: ...

    @abstractmethod
    def update(self, rows: Sequence[Trajectory], policy: Policy) -> dict[str, float]:
        """Learn from an iteration's rows, the same ones on every rank. The learner has the published `policy`, which
        has sampled them; with staleness=1 the one before it has.

        Returns:
            what is recorded of it, by the names of metrics.jsonl.

        Raises:
            ParityError: in the first batch, the learner is not the policy that sampled it.
            FiniteError: weights have become NaN or infinite.
            NothingLearned: rewards differed, and no weight has changed.
        """

    def begin(self, rows: Sequence[Trajectory], policy: Policy) -> Callable[[], dict[str, float]]:
        """Begin an `update`; return what waits for its end and returns what is recorded.

        What learns in this process has ended by then; what learns elsewhere lets others begin meanwhile.
        """
        learned = self.update(rows, policy)
        return lambda: learned

    @abstractmethod
    def rehearse(self, rows: Sequence[Trajectory], policy: Policy) -> Rehearsed:
        """Compute loss and gradient of the largest micro-batch that these rows of an iteration can come in, and drop
        them, whatever the rewards. The learner stays as it was; random numbers are the caller's to keep. Not to be
        called under DeepSpeed, whose backward pass begins a step."""

    @abstractmethod
    def logprobs(self, rows: Sequence[Sequence[int]]) -> Scores:
        """Return the log-probability of every token but the first of each row, in the arithmetic that it learns in."""

    @abstractmethod
    def publish(
        self,
        tokenizer: "PreTrainedTokenizerBase",
        folder: Path,
        version: int,
        send: Send | None = None,
        name: str = TRAINED,
    ) -> None:
        """Write the weights to a folder, and send them to the engines where there is `send` (see `publish`)."""

    @abstractmethod
    def save(self, folder: Path) -> None:
        """Write everything that `load` needs to go on to the last digit into a folder that is there."""

    @abstractmethod
    def load(self, folder: Path) -> None:
        """Take over what `save` has written."""


class LocalLearner(Learner):
    """A learner whose weights are in this process, or its part of them in that of each rank."""

    @abstractmethod
    def weights(self) -> Weights:
        """Return the weights as they are to be published."""

    def publish(
        self,
        tokenizer: "PreTrainedTokenizerBase",
        folder: Path,
        version: int,
        send: Send | None = None,
        name: str = TRAINED,
    ) -> None:
        publish(self.weights(), tokenizer, folder, version, send, name)


def moments(parameters: Iterable["torch.nn.Parameter"]) -> int:
    """Return the bytes of Adam's two moments of those parameters that are trained."""
    return sum(2 * each.numel() * each.element_size() for each in parameters if each.requires_grad)


def learner_here(setup: LearnerSetup) -> Learner:
    """Return the learner that the algorithm asks for, in this process."""
    learner: type[Learner] = resolve_name(setup.config.algorithm.learner)
    return learner(setup)
