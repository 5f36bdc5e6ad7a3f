"""A way of speaking: the shortest of several samples."""

from collections.abc import Sequence
from functools import partial

from rostrum.envs.types import Protocol
from rostrum.rewards.settings import JudgeSettings, Models
from rostrum.trainer.engines.base import Engine, Sampling
from rostrum.trainer.rollouts.decoding.turns import Choice, Turn, Way, candidates, cost
from rostrum.trainer.types import Policy
from rostrum_plugin_example.shortest_settings import Settings


def prepare(settings: Settings, protocol: Protocol, prompts: str, judge: JudgeSettings) -> Way:
    """Return what makes it in the process that plays."""
    return partial(Shortest, settings.candidates)


class Shortest:
    """Speaks the shortest of so many samples, the first of equals."""

    def __init__(self, count: int, models: Models | None) -> None:
        self._count = count

    def serves(self, policy: Policy) -> bool:
        """Return whether this policy speaks so: each does."""
        return True

    def speak(self, turns: Sequence[Turn], engine: Engine, sampling: Sampling, policy: Policy) -> list[Choice]:
        """Return what each speaker says, and what sampling it has cost."""
        drawn = candidates(turns, self._count, engine, sampling, policy)
        return [Choice(min(of, key=lambda said: len(said.token_ids)), cost(of)) for of in drawn]
