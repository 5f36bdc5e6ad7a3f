"""Who sits where in an iteration's debates: opponents, seats, and what the policy's win rate against them was.

Debates of one question have the same opponent and the policy in the same seat, in both seatings and every repeat: so
siblings (algorithm=rloo) can be compared, and a win rate is over both answers alike. From one question to the next the
policy changes its seat.
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pkgutil import resolve_name
from typing import Any

from envs.types import Side
from trainer.config import Config
from trainer.run_folder import RunFolder
from trainer.types import Experience, Judged, Match, Policy, seats_of
from trainer.verdicts import BASE


class Opponents:
    """Nobody but the policy itself; the other kinds say whom else it meets. Lives in the main process."""

    def __init__(self, settings: Config) -> None:
        self.settings, self.folder = settings, RunFolder(settings.output)

    def drawn(self, iteration: int) -> list[Policy]:
        """The opponents of an iteration, each for the same share of its questions; one may be there more than once."""
        return []

    def policies(self, iteration: int) -> list[Policy]:
        """Whom the rollout workers need besides the current policy."""
        return list(dict.fromkeys(self.drawn(iteration)))

    def line_up(self, iteration: int, matches: Sequence[Match], current: str = "current") -> list[Match]:
        """The matches, all of a question side by side, with the opponents in their seats."""
        drawn, seats = self.drawn(iteration), self.settings.protocol.seats
        if not drawn:
            return list(matches)
        questions = self.settings.algorithm.questions_per_iteration
        alone, each = self.settings.opponent.against_itself(questions), len(matches) // questions
        found = list(matches[: alone * each])
        for place in range(questions - alone):
            opponent = drawn[place * len(drawn) // (questions - alone)].name
            own = seats[(place + iteration) % len(seats)]
            policies = {seat: current if seat is own else opponent for seat in seats}
            first = (alone + place) * each
            found += [self._seated(match, own, policies) for match in matches[first : first + each]]
        return found

    def _seated(self, match: Match, own: Side, policies: Mapping[Side, str]) -> Match:
        """Siblings part where the policy speaks: nothing is learned from the opponent's speeches."""
        plies = [ply for ply, seats in enumerate(self.settings.protocol.plies()) if own in seats]
        return replace(match, policies=policies, branch_ply=plies[match.branch_ply % len(plies)])

    def learn(self, experience: Experience) -> dict[str, Any]:
        """Takes note of who won, and returns it for the metrics."""
        scores = [score for met in scores_of(experience).values() for score in met]
        return {"win_rate": sum(scores) / len(scores)} if scores else {}

    @property
    def state(self) -> dict[str, Any]:
        """What a resumed run must know to meet the same opponents; empty if that is nothing."""
        return {}

    def restore(self, state: Mapping[str, Any]) -> None:
        """Goes on from the state that a checkpoint holds."""


def opponents(settings: Config) -> Opponents:
    """Return whom the configuration lets the policy meet."""
    made: type[Opponents] = resolve_name(settings.opponent.opponents)
    return made(settings)


class BaseOpponent(Opponents):
    """The base debater, as it was published before the first update."""

    def drawn(self, iteration: int) -> list[Policy]:
        """The base."""
        return [Policy(BASE, 0, str(self.folder.policy(0)))]


def scores_of(experience: Experience) -> dict[int, list[float]]:
    """What the policy scored in debates with others (1 won, 0 lost, .5 a tie), by the opponent's version.

    By the judge that gave the reward; INVALID verdicts are left out.
    """
    scores: dict[int, list[float]] = {}
    for judged in experience.judged:
        own = seats_of(judged, experience.policy.name)
        if judged.verdict.valid and len(own) == 1 and (version := _opponent(judged, own[0])) is not None:
            p = judged.verdict.mean if own[0] is Side.A else 1 - judged.verdict.mean
            scores.setdefault(version, []).append(0.5 if p == 0.5 else float(p > 0.5))
    return scores


def _opponent(judged: Judged, own: Side) -> int | None:
    """The version of whoever sat opposite; None if nobody did."""
    speeches = judged.episode.transcript.speeches
    return next((speech.policy_version for speech in speeches if speech.seat is not own), None)
