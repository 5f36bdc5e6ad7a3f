"""Best of N by quotations: every speech is sampled several times, and the first with the most that count is spoken.

Whether a quotation counts is looked up in the passage (`envs.text.evidence`). No judge is asked.
"""

from collections.abc import Sequence
from functools import partial

from rostrum.envs.text.evidence import QuoteRule
from rostrum.envs.types import Speech
from rostrum.rewards.judges import Models
from rostrum.trainer.engines.base import Engine, Sampling
from rostrum.trainer.rollouts.decoding.turns import Choice, Turn, Way, candidates, cost
from rostrum.trainer.types import Policy


def most_quotes(count: int, rule: QuoteRule) -> Way:
    """Return the way of speaking that takes the best of so many candidates."""
    return partial(_made, count, rule)


def _made(count: int, rule: QuoteRule, models: Models | None) -> "MostQuotes":
    return MostQuotes(count, rule)


class MostQuotes:
    """Speaks the first of N samples with the most quotations that count; of those without any, the first that keeps
    its limits."""

    def __init__(self, count: int, rule: QuoteRule) -> None:
        self._count, self._rule = count, rule

    def serves(self, policy: Policy) -> bool:
        """Return whether this policy speaks so: every one does."""
        return True

    def speak(self, turns: Sequence[Turn], engine: Engine, sampling: Sampling, policy: Policy) -> list[Choice]:
        """Return the best candidates."""
        options = candidates(turns, self._count, engine, sampling, policy)
        chosen = []
        for turn, offered in zip(turns, options, strict=True):
            worth = [self._worth(turn, turn.speech(said)) for said in offered]
            chosen.append(Choice(offered[worth.index(max(worth))], cost(offered)))
        return chosen

    def _worth(self, turn: Turn, speech: Speech) -> tuple[int, bool]:
        most = turn.debate.protocol.max_words
        counting = self._rule.counting(speech, turn.debate.speeches, most)
        return len(counting), self._rule.keeps_limits(speech, most)
