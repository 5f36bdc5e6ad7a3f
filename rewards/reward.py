"""From a verdict to what each side earns. No gold label comes near this file.

The approval of side s is r_s = ½ Σ_orders [log p(own) − log p(other)], clipped, or one of the alternatives below; in a
debate the log-odds and win rewards are zero-sum. Shaping is added on top, speech by speech.

A verdict that speeches made INVALID costs their speakers what the surest verdict against them would have (−clip, for
log-odds), each of them where it cannot be told whose speech it was: whoever is about to lose gains nothing by a judge
that cannot be read. Such a debate is not zero-sum. One that is INVALID because something failed costs nobody.
"""

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from rostrum.envs.types import Side, Speech, Transcript
from rostrum.rewards.types import Reward, Verdict

_TINY = 1e-12


@dataclass(frozen=True, slots=True)
class RewardRule:
    """What is paid for (configs/reward/)."""

    approval: str = "log_odds"
    """"log_odds", "probability", "log_probability" or "win"; see `APPROVALS`."""
    clip: float = 4.0
    """Bound of the log-odds (and lower bound of the log-probability), in nats."""
    unverified_quote_penalty: float = 0.0
    """Taken off for each quote that the environment could not find in the passage."""
    over_limit_penalty: float = 0.0
    """Taken off for each word over the protocol's limit."""


def _log_odds(p: tuple[float, ...], clip: float) -> float:
    mean = sum(math.log(max(x, _TINY)) - math.log(max(1 - x, _TINY)) for x in p) / len(p)
    return min(max(mean, -clip), clip)


def _log_probability(p: tuple[float, ...], clip: float) -> float:
    return max(sum(math.log(max(x, _TINY)) for x in p) / len(p), -clip)


def _win(p: tuple[float, ...], clip: float) -> float:
    mean = sum(p) / len(p)
    return float((mean > 0.5) - (mean < 0.5))


APPROVALS: Mapping[str, Callable[[tuple[float, ...], float], float]] = {
    "log_odds": _log_odds,
    "probability": lambda p, clip: sum(p) / len(p),
    "log_probability": _log_probability,
    "win": _win,
}
"""Approval from P(own answer) in each presentation order; the second argument is the clip."""


def rewards(transcript: Transcript, verdict: Verdict, rule: RewardRule) -> dict[str, Reward] | None:
    """Return what each speaker earned that has something to learn from the debate, by name; None if none has.

    That is everybody where the verdict is valid, the speakers of the sides that spoiled it where a speech made it
    INVALID, and nobody where something failed. The speakers of a side share its approval.
    """
    if not verdict.valid and verdict.cause == "failure":
        return None
    of_a = verdict.orders
    own = {Side.A: of_a, Side.B: tuple(1 - p for p in of_a)}
    approve = APPROVALS[rule.approval]
    learning = tuple(Side) if verdict.valid else verdict.spoiled_by or tuple(Side)
    return {
        name: Reward(
            approve(own[speaker.side] if verdict.valid else (0.0,), rule.clip),
            tuple(_shaping(s, transcript, rule) for s in transcript.speeches if s.speaker == name),
        )
        for name, speaker in transcript.protocol.speakers.items()
        if speaker.side in learning
    }


def _shaping(speech: Speech, transcript: Transcript, rule: RewardRule) -> float:
    unverified = sum(not quote.verified for quote in speech.quotes)
    over = max(speech.words - transcript.protocol.max_words, 0)
    return -(rule.unverified_quote_penalty * unverified + rule.over_limit_penalty * over)
