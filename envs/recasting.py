"""Finished debates told otherwise: one debater alone, or what was said in the mouth of somebody else.

For judging and for controls. What is said, and which answer each side defends, stays as it was.
"""

import hashlib
from collections.abc import Callable
from dataclasses import replace

from envs.types import Side, Speech, Transcript


def alone(transcript: Transcript, side: Side) -> Transcript:
    """What one side said, as a consultancy: nobody else has spoken."""
    protocol = replace(transcript.protocol, seats=(side,), judged_apart=False)
    speeches = tuple(speech for speech in transcript.speeches if speech.seat is side)
    return replace(transcript, protocol=protocol, speeches=speeches)


def exchanged(transcript: Transcript) -> Transcript:
    """Every speech in the mouth of the other side, which defends the other answer."""
    return _recast(transcript, lambda speech: speech.seat.other)


def shuffled(transcript: Transcript, seed: int) -> Transcript:
    """Every speech in the mouth of a side drawn for it, evenly.

    The draw depends on the seed, the question, the seating and the speech's place in the debate, and on nothing else.
    """
    about = f"{seed}:{transcript.question.id}:{transcript.swapped_seats}"

    def draw(speech: Speech) -> Side:
        return (Side.A, Side.B)[hashlib.sha256(f"{about}:{speech.ply}:{speech.seat}".encode()).digest()[0] % 2]

    return _recast(transcript, draw)


def _recast(transcript: Transcript, speaker: Callable[[Speech], Side]) -> Transcript:
    speeches = tuple(replace(speech, seat=speaker(speech)) for speech in transcript.speeches)
    return replace(transcript, speeches=speeches)
