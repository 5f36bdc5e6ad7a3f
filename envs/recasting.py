"""Finished debates told otherwise: one debater alone, or what was said in the mouth of somebody else.

For judging and for controls. What is said, and which answer each seat defends, stays as it was.
"""

import hashlib
from collections.abc import Callable
from dataclasses import replace

from envs.types import Seat, Speech, Transcript


def alone(transcript: Transcript, seat: Seat) -> Transcript:
    """What one seat said, as a consultancy: nobody else has spoken."""
    protocol = replace(transcript.protocol, seats=(seat,), judged_apart=False)
    speeches = tuple(speech for speech in transcript.speeches if speech.seat is seat)
    return replace(transcript, protocol=protocol, speeches=speeches)


def exchanged(transcript: Transcript) -> Transcript:
    """Every speech in the mouth of the other seat, which defends the other answer."""
    return _recast(transcript, lambda speech: speech.seat.other)


def shuffled(transcript: Transcript, seed: int) -> Transcript:
    """Every speech in the mouth of a seat drawn for it, evenly.

    The draw depends on the seed, the question, the seating and the speech's place in the debate, and on nothing else.
    """
    about = f"{seed}:{transcript.question.id}:{transcript.swapped_seats}"

    def draw(speech: Speech) -> Seat:
        return (Seat.A, Seat.B)[hashlib.sha256(f"{about}:{speech.ply}:{speech.seat}".encode()).digest()[0] % 2]

    return _recast(transcript, draw)


def _recast(transcript: Transcript, speaker: Callable[[Speech], Seat]) -> Transcript:
    speeches = tuple(replace(speech, seat=speaker(speech)) for speech in transcript.speeches)
    return replace(transcript, speeches=speeches)
