"""A league of the run's own snapshots: who is in it, who is drawn, and how the policy does against each.

Prioritised fictitious self-play (Vinyals et al. 2019, "Grandmaster level in StarCraft II using multi-agent
reinforcement learning"): a snapshot is drawn with probability proportional to f(p) = (1 - p)^k, where p is the current
policy's win rate against it, so those that the policy loses to come most. p is measured in the training debates
themselves, by the judge that gives the reward; no gold label is needed. It starts at one half, which is what it was
when the snapshot was the current policy, and then is a running mean over the iterations in which the two have met.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rostrum.trainer.config import Config
from rostrum.trainer.config import opponent as kinds
from rostrum.trainer.opponents.lineup import Opponents, scores_of
from rostrum.trainer.rollouts.schedule import derive
from rostrum.trainer.types import Batch, Policy

EVEN = 0.5


def chances(win_rates: Sequence[float], rule: kinds.League) -> NDArray[np.float64]:
    """Return how likely each snapshot is drawn; all alike if the policy wins against every one of them always."""
    power = rule.power if rule.draw == "prioritised" else 0.0
    weights = (1 - np.asarray(win_rates, np.float64)) ** power
    return weights / weights.sum() if weights.sum() > 0 else np.full(len(weights), 1 / len(weights))


class LeagueOpponents(Opponents):
    """Snapshots of the run, drawn anew for every iteration."""

    def __init__(self, settings: Config) -> None:
        super().__init__(settings)
        assert isinstance(settings.opponent, kinds.League)
        self.rule = settings.opponent
        self.win_rates: dict[int, float] = {}
        """The policy's win rate by snapshot (iterations after which it was published), of those that it has met."""

    def snapshots(self, iteration: int) -> list[int]:
        """Return who is in the league in an iteration: all before the policy that plays; at first the base alone."""
        return list(range(0, self.settings.algorithm.version_playing(iteration), self.rule.every)) or [0]

    def drawn(self, iteration: int) -> list[Policy]:
        """Return independent draws, with replacement. An opponent's name is the place that it takes in a worker's
        memory."""
        known = self.snapshots(iteration)
        rates = [self.win_rates.get(snapshot, EVEN) for snapshot in known]
        random = np.random.default_rng(derive(self.settings.seed, "league", iteration))
        drawn = sorted(random.choice(known, self._draws, p=chances(rates, self.rule)).tolist())
        places = {snapshot: place for place, snapshot in enumerate(dict.fromkeys(drawn), start=1)}
        return [Policy(f"league-{places[s]}", s, str(self.folder.policy(s))) for s in drawn]

    @property
    def _draws(self) -> int:
        """No more than there are questions to be argued with others."""
        questions = self.settings.algorithm.questions_per_iteration
        return min(self.rule.at_once, questions - self.rule.against_itself(questions))

    def learn(self, batch: Batch) -> dict[str, Any]:
        """Move the win rates of those whom the policy has met."""
        for snapshot, scores in scores_of(batch).items():
            before, now = self.win_rates.get(snapshot, EVEN), sum(scores) / len(scores)
            self.win_rates[snapshot] = self.rule.decay * before + (1 - self.rule.decay) * now
        rates = {str(snapshot): rate for snapshot, rate in sorted(self.win_rates.items())}
        return {**super().learn(batch), "league": rates}

    @property
    def state(self) -> dict[str, Any]:
        """The win rates, as JSON."""
        return {"win_rates": [[snapshot, rate] for snapshot, rate in sorted(self.win_rates.items())]}

    def restore(self, state: Mapping[str, Any]) -> None:
        """Go on from the win rates that a checkpoint holds."""
        self.win_rates = {int(snapshot): float(rate) for snapshot, rate in state.get("win_rates", [])}
