"""Debates for measuring, not for learning: a checkpoint against itself or against the base, in both seatings."""

from collections.abc import Sequence
from dataclasses import dataclass

from rostrum.envs.types import Failure, Protocol, Question, Transcript
from rostrum.trainer.evaluation.verdict_table import SELF
from rostrum.trainer.progress import debates_bar
from rostrum.trainer.rollouts.local import RolloutWorkers
from rostrum.trainer.rollouts.schedule import by_side, shards_of
from rostrum.trainer.types import Matchup, Policy


@dataclass(frozen=True, slots=True)
class Played:
    """What became of the matches, in their order: finished debates, and those that could not be finished."""

    finished: list[Transcript]
    failures: list[Failure]


def matches_of_matchup(
    questions: Sequence[Question], protocol: Protocol, matchup: str, own: str, other: str
) -> list[Matchup]:
    """Each question in both seatings, by the policy named `own` for every speaker or against the one named `other`.

    Against the other the own policy has side A in every other question, with all its speakers, so that over the set it
    argues either answer from either side equally often.
    """

    def policies(index: int) -> dict[str, str]:
        if matchup == SELF:
            return dict.fromkeys(protocol.speakers, own)
        place = protocol.sides[index % 2]
        return by_side(protocol, {place: own, place.other: other})

    return [
        Matchup(f"{i:05d}-{'ba' if swapped else 'ab'}", question, swapped, policies(i))
        for i, question in enumerate(questions)
        for swapped in (False, True)
    ]


def play_matches(
    rollouts: RolloutWorkers,
    matches: Sequence[Matchup],
    policies: Sequence[Policy],
    shard_size: int,
    seed: int,
    title: str,
) -> Played:
    """Plays all of them, with a bar of this title. The policies are found by their names."""
    outcomes = {}
    with debates_bar(title, len(matches)) as bar:
        for shard, played in rollouts.play(shards_of(matches, shard_size, seed), {p.name: p for p in policies}):
            outcomes[shard.index] = played
            bar.advance(len(played))
    ordered = [outcome for index in sorted(outcomes) for outcome in outcomes[index]]
    return Played(
        [outcome.transcript for outcome in ordered if not isinstance(outcome, Failure)],
        [outcome for outcome in ordered if isinstance(outcome, Failure)],
    )
