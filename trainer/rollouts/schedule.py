"""Which questions an iteration argues, and how its debates are cut into shards: pure functions of the seed."""

import zlib
from collections.abc import Mapping, Sequence

import numpy as np

from rostrum.envs.types import Protocol, Question, Side
from rostrum.trainer.rollouts.local import Shard
from rostrum.trainer.types import Matchup


def questions_of(questions: Sequence[Question], iteration: int, count: int, seed: int) -> list[Question]:
    """The `count` questions of an iteration (from 1): a walk through the set, reshuffled each time it comes round."""
    start = (iteration - 1) * count
    return [_at(questions, start + i, seed) for i in range(count)]


def _at(questions: Sequence[Question], position: int, seed: int) -> Question:
    lap, place = divmod(position, len(questions))
    return questions[int(np.random.default_rng([seed, lap]).permutation(len(questions))[place])]


def matches_of(
    questions: Sequence[Question], protocol: Protocol, repeats: int, branches: int = 1, turns: int = 1, seed: int = 0
) -> list[Matchup]:
    """Each question in both seatings, `repeats` times, every speaker's policy as the protocol names it.

    With `branches` > 1 the siblings part at a turn drawn per match.
    """
    return [
        Matchup(
            f"{i:05d}-{'ba' if swapped else 'ab'}-{repeat}",
            question,
            swapped,
            {name: speaker.policy for name, speaker in protocol.speakers.items()},
            branches,
            derive(seed, i, int(swapped), repeat) % turns,
        )
        for i, question in enumerate(questions)
        for swapped in (False, True)
        for repeat in range(repeats)
    ]


def by_side(protocol: Protocol, policies: Mapping[Side, str]) -> dict[str, str]:
    """Return which policy speaks for each speaker, where each side has one policy for all of its speakers."""
    return {name: policies[speaker.side] for name, speaker in protocol.speakers.items()}


def shards_of(matches: Sequence[Matchup], size: int, seed: int) -> list[Shard]:
    """Consecutive matches, `size` at a time."""
    return [
        Shard(index, derive(seed, index), tuple(matches[start : start + size]))
        for index, start in enumerate(range(0, len(matches), size))
    ]


def derive(*parts: int | str) -> int:
    """A seed named by its parts, the same on every machine."""
    return zlib.crc32(":".join(map(str, parts)).encode())
