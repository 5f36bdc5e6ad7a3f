"""Which debates are played, by whom, and how they are cut into shards: pure functions of the seed."""

import zlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace

import numpy as np

from rostrum.envs.types import Protocol, Question, Side
from rostrum.trainer.policies import Policies, voices
from rostrum.trainer.rollouts.local import Shard
from rostrum.trainer.types import Matchup

Cast = Callable[[int], Mapping[str, str]]
"""The policy of each speaker in the debates about a question, by the question's place (from 0)."""


def questions_of(questions: Sequence[Question], iteration: int, count: int, seed: int) -> list[Question]:
    """Return the `count` questions of an iteration (from 1): a walk through the set, reshuffled each time it comes
    round."""
    start = (iteration - 1) * count
    return [_at(questions, start + i, seed) for i in range(count)]


def _at(questions: Sequence[Question], position: int, seed: int) -> Question:
    lap, place = divmod(position, len(questions))
    return questions[int(np.random.default_rng([seed, lap]).permutation(len(questions))[place])]


def both_seatings(questions: Sequence[Question], cast: Cast) -> list[Matchup]:
    """Return a matchup for each question and seating: who defends which answer is exchanged in the second."""
    return [
        Matchup(f"{i:05d}-{'ba' if swapped else 'ab'}", question, swapped, cast(i))
        for i, question in enumerate(questions)
        for swapped in (False, True)
    ]


def alone(protocol: Protocol, policies: Policies) -> Cast:
    """Return the cast of one set of policies, which speak for every speaker."""
    speaking = voices(protocol, dict.fromkeys(protocol.sides, policies))
    return lambda i: speaking


def in_turns(protocol: Protocol, one: Policies, other: Policies) -> Cast:
    """Return the cast of two sets of policies: the first has the first side, with all its speakers, in every other
    question.

    So over the set, in both seatings, each argues either answer from either side equally often.
    """

    def cast(i: int) -> Mapping[str, str]:
        order = (one, other) if i % 2 == 0 else (other, one)
        return voices(protocol, dict(zip(protocol.sides, order, strict=False)))  # a lone consultant has one side

    return cast


def matchups_of(
    questions: Sequence[Question], protocol: Protocol, repeats: int, branches: int = 1, turns: int = 1, seed: int = 0
) -> list[Matchup]:
    """Return each question in both seatings, `repeats` times, every speaker's policy as the protocol names it.

    With `branches` > 1 the siblings part at a turn drawn per matchup.
    """
    named = {name: speaker.policy for name, speaker in protocol.speakers.items()}
    return [
        replace(
            matchup,
            id=f"{matchup.id}-{repeat}",
            branches=branches,
            branch_turn=derive(seed, place // 2, int(matchup.swapped_seats), repeat) % turns,
        )
        for place, matchup in enumerate(both_seatings(questions, lambda i: named))
        for repeat in range(repeats)
    ]


def by_side(protocol: Protocol, policies: Mapping[Side, str]) -> dict[str, str]:
    """Return which policy speaks for each speaker, where each side has one policy for all of its speakers."""
    return {name: policies[speaker.side] for name, speaker in protocol.speakers.items()}


def shards_of(matchups: Sequence[Matchup], size: int, seed: int) -> list[Shard]:
    """Return consecutive matchups, `size` at a time."""
    return [
        Shard(index, derive(seed, index), tuple(matchups[start : start + size]))
        for index, start in enumerate(range(0, len(matchups), size))
    ]


def derive(*parts: int | str) -> int:
    """Return a seed named by its parts, the same on every machine."""
    return zlib.crc32(":".join(map(str, parts)).encode())
