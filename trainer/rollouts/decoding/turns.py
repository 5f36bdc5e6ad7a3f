"""A speaker's turn to speak, what it may come to, and the sampling that every way of speaking is made of."""

import zlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Protocol as Interface

from rostrum.envs.debate import Debate, Utterance
from rostrum.envs.types import Protocol, Speech, Transcript
from rostrum.rewards.judges import JudgeSettings, Models
from rostrum.trainer.engines.base import Completion, Engine, Request, Sampling, Streams, complete
from rostrum.trainer.policies import belongs
from rostrum.trainer.types import SPENT, Policy


@dataclass(frozen=True, slots=True)
class Turn:
    """A speaker that is to speak now."""

    id: str
    """Of the debate, by which chance is told from that of other debates."""
    debate: Debate
    speaker: str
    context: Sequence[int]
    """All that it has been told and has said, as tokens."""

    @property
    def label(self) -> str:
        """What the debate calls the speaker: A or B, A1, A2, …"""
        protocol = self.debate.protocol
        return protocol.label(self.speaker, protocol.speakers[self.speaker].side)

    def speech(self, said: Utterance) -> Speech:
        """Return what judge and opponent would get of it."""
        return self.debate.speech(self.speaker, said)


@dataclass(frozen=True, slots=True)
class Choice:
    """What a speaker says, and what that has cost beside the tokens of the speech itself."""

    said: Utterance | None
    spent: Mapping[str, int] = field(default_factory=dict)
    """Counts by the names of `SPENT`; they go into the transcript's provenance, after the policy's name."""
    problem: str = ""
    """Why nothing is said: the debate fails."""


class Speaking(Interface):
    """How speeches are sampled."""

    def serves(self, policy: Policy) -> bool:
        """Return whether this policy speaks so; the others say what they sample first."""

    def speak(self, turns: Sequence[Turn], engine: Engine, sampling: Sampling, policy: Policy) -> list[Choice]:
        """Return what each speaker says, given an engine that serves the policy and the seed for this turn."""


Way = Callable[[Models | None], Speaking]
"""Makes a way of speaking, with the judges that it needs, in the process that plays; it travels to workers."""


class OneSample:
    """The first thing that comes to mind."""

    def serves(self, policy: Policy) -> bool:
        return True

    def speak(self, turns: Sequence[Turn], engine: Engine, sampling: Sampling, policy: Policy) -> list[Choice]:
        """Return one sample for each turn."""
        return [Choice(said) for said in utterances(drawing(turns, engine, sampling)(), engine, policy)]


def plain(settings: object, protocol: Protocol, prompts: str, judge: JudgeSettings) -> Way:
    """Return the way of decoding=plain."""
    return one_sample


def one_sample(models: Models | None) -> OneSample:
    """Return the way of speaking that needs no judge."""
    return OneSample()


def at_turn(sampling: Sampling, turn: int, policy: Policy) -> Sampling:
    """Return the sampling of a policy's speeches at one turn of debates that are played together."""
    return replace(sampling, seed=zlib.crc32(f"{sampling.seed}:{turn}:{policy.name}".encode()))


def request(turn: Turn, number: int, sampling: Sampling) -> Request:
    """Return a turn's request. Its seed is named by the debate and the speaker, so that it is the same in whichever
    order debates are played."""
    return Request(number, turn.context, zlib.crc32(f"{sampling.seed}:{turn.id}:{turn.speaker}".encode()))


def drawing(turns: Sequence[Turn], engine: Engine, sampling: Sampling) -> Callable[[], list[Completion]]:
    """Return what draws one completion for each turn."""
    if isinstance(engine, Streams):
        requests = [request(turn, number, sampling) for number, turn in enumerate(turns)]
        return partial(complete, engine, requests, sampling)
    return partial(engine.generate, [turn.context for turn in turns], sampling)


def sample(contexts: Sequence[Sequence[int]], engine: Engine, sampling: Sampling, policy: Policy) -> list[Utterance]:
    """Return one utterance after each context."""
    return utterances(engine.generate(contexts, sampling), engine, policy)


def utterances(completions: Sequence[Completion], engine: Engine, policy: Policy) -> list[Utterance]:
    """Return what a policy has sampled as utterances of its own."""
    return [
        Utterance(
            engine.format.decode(completion.token_ids),
            completion.token_ids,
            completion.logprobs,
            completion.finish_reason,
            policy.name,
            policy.version,
        )
        for completion in completions
    ]


def candidates(
    turns: Sequence[Turn], count: int, engine: Engine, sampling: Sampling, policy: Policy
) -> list[tuple[Utterance, ...]]:
    """Return so many utterances for each turn. The first of each is what would be said plainly, and more of them begin
    with what fewer would have been."""
    drawn = [drawing(turns, engine, reseeded(sampling, "candidate", n))() for n in range(count)]
    return list(zip(*(utterances(completions, engine, policy) for completions in drawn), strict=True))


def reseeded(sampling: Sampling, purpose: str, number: int = 0) -> Sampling:
    """Return the same sampling with a seed of its own; that of candidate 0 is the one given."""
    if (purpose, number) == ("candidate", 0):
        return sampling
    return replace(sampling, seed=zlib.crc32(f"{sampling.seed}:{purpose}:{number}".encode()))


def cost(sampled: Sequence[Utterance], readings: int = 0) -> dict[str, int]:
    """Return what was sampled for a speech, itself included, and how often a judge's model read for it."""
    return dict(zip(SPENT, (len(sampled), sum(len(said.token_ids) for said in sampled), readings), strict=True))


def budget(transcript: Transcript, policy: str) -> dict[str, int]:
    """Return the same for all speeches of a policy in a debate, or of a set that is called so; those that were sampled
    once cost their own tokens alone."""
    own: dict[str, list[Speech]] = {policy: []}
    for speech in transcript.speeches:
        if belongs(speech.policy, policy):
            own.setdefault(speech.policy, []).append(speech)
    found = dict.fromkeys(SPENT, 0)
    for name, speeches in own.items():
        plain = (len(speeches), sum(len(speech.token_ids) for speech in speeches), 0)
        for what, count in zip(SPENT, plain, strict=True):
            found[what] += int(transcript.provenance.get(f"{name} {what}", count))
    return found
