"""Best of N: every speech is sampled several times, and the judge's favourite is spoken (Khan et al. 2024).

Candidates are read in the real transcript so far. In a simultaneous round that is the transcript before the round with
the candidate alone: the opponent's speech of the same round is not known to anybody who chooses.
"""

from collections.abc import Sequence
from functools import partial

from rostrum.envs.debate import Utterance
from rostrum.envs.types import Protocol
from rostrum.rewards.judges import JudgeSettings, Models
from rostrum.rewards.preference import best, in_both_orders, preferences
from rostrum.rewards.types import Judge
from rostrum.trainer.config.decoding import BestOf
from rostrum.trainer.engines.base import Engine, Sampling
from rostrum.trainer.policies import belongs
from rostrum.trainer.rollouts.decoding.turns import Choice, Turn, Way, candidates, cost
from rostrum.trainer.types import BASE, Policy


def prepare(settings: BestOf, protocol: Protocol, prompts: str, judge: JudgeSettings) -> Way:
    """Return the way of decoding=best_of."""
    return partial(_made, settings.candidates, in_both_orders(settings.chooser(judge)))


def _made(count: int, judge: JudgeSettings, models: Models | None) -> "BestOfN":
    assert models is not None
    return BestOfN(count, judge.make(models))


class Favourite:
    """Chooses what the judge likes best; the first of equals."""

    def __init__(self, judge: Judge) -> None:
        self._judge = judge

    def choose(self, turns: Sequence[Turn], options: Sequence[Sequence[Utterance]]) -> list[tuple[Utterance, int]]:
        """Return for each turn the favourite among its options, and how often a model read for it."""
        supposed = [
            turn.debate.supposing(turn.speaker, said)
            for turn, offered in zip(turns, options, strict=True)
            for said in offered
        ]
        liked = iter(preferences(self._judge, [(debate, debate.speeches[-1].side) for debate in supposed]))
        chosen = []
        for offered in options:
            own = [next(liked) for _ in offered]
            chosen.append((offered[best(own)], sum(preference.readings for preference in own)))
        return chosen


class BestOfN:
    """Speaks the favourite of N samples."""

    def __init__(self, count: int, judge: Judge) -> None:
        self._count, self._favourite = count, Favourite(judge)

    def serves(self, policy: Policy) -> bool:
        """Return whether this policy speaks so: all do but the opponent that checkpoints are measured against."""
        return not belongs(policy.name, BASE)

    def speak(self, turns: Sequence[Turn], engine: Engine, sampling: Sampling, policy: Policy) -> list[Choice]:
        """Return the favourites."""
        options = candidates(turns, self._count, engine, sampling, policy)
        chosen = self._favourite.choose(turns, options)
        return [
            Choice(said, cost(offered, readings)) for (said, readings), offered in zip(chosen, options, strict=True)
        ]
