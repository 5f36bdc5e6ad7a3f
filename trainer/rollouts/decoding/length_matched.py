"""The length-matched control: an untrained debater that speaks as long as a trained one, and no better."""

import json
import random
from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path

from rostrum.envs.files import write_atomically
from rostrum.envs.types import Protocol, Speech, Transcript
from rostrum.rewards.judges import JudgeSettings, Models
from rostrum.trainer.config.decoding import LengthMatched as Matching
from rostrum.trainer.engines.base import Engine, Sampling
from rostrum.trainer.policies import belongs
from rostrum.trainer.rollouts.decoding.turns import Choice, Turn, Way, candidates, cost
from rostrum.trainer.types import Policy

Lengths = Mapping[int, Sequence[int]]
"""Words of each of a debater's speeches, by turn."""


class LengthError(ValueError):
    """Lengths that cannot be matched; the message says what to do."""


def prepare(settings: Matching, protocol: Protocol, prompts: str, judge: JudgeSettings) -> Way:
    """Return the way of decoding=length_matched.

    Raises:
        LengthError: there are no lengths to match.
    """
    if settings.lengths is not None:
        return partial(_made, settings.candidates, read_lengths(settings.lengths, protocol))
    assert settings.words is not None  # the settings see to it that one of the two is given
    return partial(_made, settings.candidates, {turn: [settings.words] for turn in range(len(protocol.order()))})


def _made(count: int, lengths: Lengths, models: Models | None) -> "LengthMatched":
    return LengthMatched(count, lengths)


class LengthMatched:
    """Speaks the candidate whose number of words is nearest to a target; the first of equals."""

    def __init__(self, count: int, lengths: Lengths) -> None:
        self._count, self._lengths = count, lengths

    def serves(self, policy: Policy) -> bool:
        """Return whether this policy speaks so: untrained debaters do."""
        return policy.version == 0

    def speak(self, turns: Sequence[Turn], engine: Engine, sampling: Sampling, policy: Policy) -> list[Choice]:
        """Return the candidates of nearly the right length."""
        options = candidates(turns, self._count, engine, sampling, policy)
        chosen = []
        for turn, offered in zip(turns, options, strict=True):
            target = self._target(turn, sampling.seed)
            nearest = min(offered, key=lambda said: abs(turn.speech(said).words - target))
            chosen.append(Choice(nearest, cost(offered)))
        return chosen

    def _target(self, turn: Turn, seed: int) -> int:
        return random.Random(f"{seed}:{turn.id}:{turn.label}").choice(self._lengths[turn.debate.turn])


def lengths_of(transcripts: Sequence[Transcript], policy: str) -> dict[int, list[int]]:
    """Return the lengths of the speeches of a policy, or of a set that is called so, in these debates."""
    own = [speech for transcript in transcripts for speech in transcript.speeches if belongs(speech.policy, policy)]
    return {turn: [speech.words for speech in own if speech.turn == turn] for turn in sorted({_turn(s) for s in own})}


def write_lengths(path: Path, lengths: Lengths) -> None:
    """Write them as JSON: an object of lists by turn."""
    write_atomically(path, json.dumps({str(turn): list(words) for turn, words in lengths.items()}))


def read_lengths(path: Path, protocol: Protocol) -> dict[int, list[int]]:
    """Return the lengths in a file.

    Raises:
        LengthError: the file cannot be read, or knows nothing of a turn of the protocol.
    """
    try:
        stored = json.loads(path.read_text("utf-8"))
        found = {int(turn): [int(words) for words in values] for turn, values in stored.items()}
    except (OSError, ValueError, TypeError, AttributeError):
        raise LengthError(
            f"{path} cannot be read as lengths of speeches: give a file RUN/lengths/CHECKPOINT.json that `rostrum "
            "evaluate` has written."
        ) from None
    missing = [turn for turn in range(len(protocol.order())) if not found.get(turn)]
    if missing:
        raise LengthError(
            f"{path} has no speech at turn {missing[0]}, and {protocol.name} has one: give the lengths of a debater "
            "under the same protocol."
        )
    return found


def _turn(speech: Speech) -> int:
    return speech.turn
