"""Who sits where in an iteration's debates: opponents, sides, and what the policy's win rate against them was.

Debates of one question have the same opponent and the policy on the same side, in both seatings and every repeat: so
siblings (algorithm=rloo) can be compared, and a win rate is over both answers alike. From one question to the next the
policy changes its side.
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pkgutil import resolve_name
from typing import Any

from rostrum.envs.types import Side
from rostrum.rewards.types import pick
from rostrum.trainer.config import Config
from rostrum.trainer.rollouts.schedule import by_side
from rostrum.trainer.store.run_folder import RunFolder
from rostrum.trainer.types import BASE, Batch, Judged, Matchup, Policy, sides_of


class Opponents:
    """Nobody but the policy itself; the other kinds say whom else it meets. Lives in the main process."""

    def __init__(self, settings: Config) -> None:
        self.settings, self.folder = settings, RunFolder(settings.output)

    def drawn(self, iteration: int) -> list[Policy]:
        """Return the opponents of an iteration, each for the same share of its questions; one may be there more than
        once."""
        return []

    def policies(self, iteration: int) -> list[Policy]:
        """Return whom the rollout workers need besides the current policy."""
        return list(dict.fromkeys(self.drawn(iteration)))

    def line_up(self, iteration: int, matchups: Sequence[Matchup], current: str = "current") -> list[Matchup]:
        """Return the matchups, all of a question side by side, with the opponents on their side."""
        drawn, protocol = self.drawn(iteration), self.settings.protocol
        if not drawn:
            return list(matchups)
        questions = self.settings.algorithm.questions_per_iteration
        alone, each = self.settings.opponent.against_itself(questions), len(matchups) // questions
        found = list(matchups[: alone * each])
        for place in range(questions - alone):
            opponent = drawn[place * len(drawn) // (questions - alone)].name
            own = protocol.sides[(place + iteration) % len(protocol.sides)]
            policies = by_side(protocol, {own: current, own.other: opponent})
            first = (alone + place) * each
            found += [self._seated(matchup, own, policies) for matchup in matchups[first : first + each]]
        return found

    def _seated(self, matchup: Matchup, own: Side, policies: Mapping[str, str]) -> Matchup:
        """Return the matchup with these policies, branched where the policy speaks: nothing is learned from the
        opponent's speeches."""
        protocol = self.settings.protocol
        ours = set(protocol.on(own))
        turns = [turn for turn, speaking in enumerate(protocol.order()) if ours & set(speaking)]
        return replace(matchup, policies=policies, branch_turn=turns[matchup.branch_turn % len(turns)])

    def learn(self, batch: Batch) -> dict[str, Any]:
        """Take note of who won, and return it for the metrics."""
        scores = [score for met in scores_of(batch).values() for score in met]
        return {"win_rate": sum(scores) / len(scores)} if scores else {}

    @property
    def state(self) -> dict[str, Any]:
        """What a resumed run must know to meet the same opponents; empty if that is nothing."""
        return {}

    def restore(self, state: Mapping[str, Any]) -> None:
        """Go on from the state that a checkpoint holds."""


def opponents(settings: Config) -> Opponents:
    """Return whom the configuration lets the policy meet."""
    made: type[Opponents] = resolve_name(settings.opponent.opponents)
    return made(settings)


class BaseOpponent(Opponents):
    """The base debater, as it was published before the first update."""

    def drawn(self, iteration: int) -> list[Policy]:
        """Return the base."""
        return [Policy(BASE, 0, str(self.folder.policy(0)))]


def scores_of(batch: Batch) -> dict[int, list[float]]:
    """Return what the policy scored in debates with others (1 won, 0 lost, .5 a tie), by the opponent's version.

    By the judge that gave the reward; INVALID verdicts are left out. Where several policies learn, each meets the
    others and there is no such opponent.
    """
    scores: dict[int, list[float]] = {}
    learning = list(batch.policies)
    for judged in batch.judged if len(learning) == 1 else ():
        sides = sides_of(judged, learning[0])
        if not judged.verdict.valid or len(sides) != 1:
            continue
        (own,) = sides
        if (version := _opponent(judged, own)) is not None:
            scores.setdefault(version, []).append(pick(judged.verdict, own))
    return scores


def _opponent(judged: Judged, own: Side) -> int | None:
    """Return the version of whoever sat opposite; None if nobody did."""
    speeches = judged.rollout.transcript.speeches
    return next((speech.policy_version for speech in speeches if speech.side is not own), None)
