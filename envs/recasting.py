"""Finished debates told otherwise: one debater alone, or what was said in the mouth of somebody else.

For judging and for controls. What is said, and which answer each side defends, stays as it was.
"""

import hashlib
from collections.abc import Callable
from dataclasses import replace

from rostrum.envs.types import Side, Speech, Transcript


def alone(transcript: Transcript, side: Side) -> Transcript:
    """Return what one side said as a consultancy: nobody else has spoken."""
    speakers = {name: transcript.protocol.speakers[name] for name in transcript.protocol.on(side)}
    turns = tuple(
        own for turn in transcript.protocol.turns if (own := {n: r for n, r in turn.items() if n in speakers})
    )
    protocol = replace(transcript.protocol, speakers=speakers, turns=turns, judged_apart=False)
    speeches = tuple(speech for speech in transcript.speeches if speech.side is side)
    return replace(transcript, protocol=protocol, speeches=speeches)


def exchanged(transcript: Transcript) -> Transcript:
    """Return every speech in the mouth of the other side, which defends the other answer."""
    return _recast(transcript, lambda speech: speech.side.other)


def shuffled(transcript: Transcript, seed: int) -> Transcript:
    """Return every speech in the mouth of a side drawn for it, evenly.

    The draw depends on the seed, the question, the seating and the speech's place in the debate, and on nothing else.
    """
    about = f"{seed}:{transcript.question.id}:{transcript.swapped_seats}"

    def draw(speech: Speech) -> Side:
        drawn = hashlib.sha256(f"{about}:{speech.turn}:{transcript.label(speech)}".encode()).digest()[0]
        return (Side.A, Side.B)[drawn % 2]

    return _recast(transcript, draw)


def _recast(transcript: Transcript, side_of: Callable[[Speech], Side]) -> Transcript:
    speeches = tuple(replace(speech, side=side_of(speech)) for speech in transcript.speeches)
    return replace(transcript, speeches=speeches)
