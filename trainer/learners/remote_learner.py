"""A learner whose ranks are other processes than the one that asks it to learn."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from accelerate.utils import set_seed

from rostrum.envs.types import TRAINED
from rostrum.trainer import setup as run_setup
from rostrum.trainer.learners.learner import Learner, LearnerSetup, Rehearsed, learner_here
from rostrum.trainer.rollouts.local import Send
from rostrum.trainer.types import Policy, Trajectory
from rostrum.trainer.weights.logprobs import Scores

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

    from rostrum.trainer.cluster.learner_groups import Group


class RemoteLearner(Learner):
    """Has all ranks of a group do what it is asked, and answers what the first of them does.

    Every method raises `Lost` where a rank is gone.
    """

    def __init__(self, setup: LearnerSetup, group: "Group") -> None:
        self._group = group
        self._made: Callable[[], None] = group.make(in_a_rank, setup)

    def _ask(self, method: str, *arguments: Any) -> Callable[[], Any]:
        self._made()
        return self._group.ask(method, *arguments)

    def update(self, rows: Sequence[Trajectory], policy: Policy) -> dict[str, float]:
        return self.begin(rows, policy)()

    def begin(self, rows: Sequence[Trajectory], policy: Policy) -> Callable[[], dict[str, float]]:
        return self._ask("update", rows, policy)

    def rehearse(self, rows: Sequence[Trajectory], policy: Policy) -> Rehearsed:
        rehearsed: Rehearsed = self._ask("rehearse", rows, policy)()
        return rehearsed

    def logprobs(self, rows: Sequence[Sequence[int]]) -> Scores:
        scores: Scores = self._ask("logprobs", rows)()
        return scores

    def publish(
        self,
        tokenizer: "PreTrainedTokenizerBase",
        folder: Path,
        version: int,
        send: Send | None = None,
        name: str = TRAINED,
    ) -> None:
        assert send is None, "engines read the folders of several policies"
        self._ask("publish", tokenizer, folder, version, None, name)()

    def save(self, folder: Path) -> None:
        self._ask("save", folder)()

    def load(self, folder: Path) -> None:
        self._ask("load", folder)()


def in_a_rank(setup: LearnerSetup, rank: int, world: int) -> Learner:
    """Return the learner itself, in the process of one of its ranks."""
    set_seed(setup.config.seed)
    run_setup.join_ranks(setup.config.cluster.deepspeed)
    return learner_here(replace(setup, rank=rank, world=world))
