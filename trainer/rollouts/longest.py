"""The longest debates that a run can come to, played without a model: every speech has as many tokens as the engine
allows, made of the words of its question.

They are what the largest batches of engines, judge and learner are made of before a run begins (`trainer.rehearsal`).
"""

import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import cast

from rostrum.envs.debate import Utterance
from rostrum.envs.prompts.prompt_sets import load_prompts
from rostrum.envs.types import Question, Transcript
from rostrum.rewards.inquirer import Inquirer
from rostrum.trainer.engines.base import Engine, Sampling
from rostrum.trainer.engines.formats import Format
from rostrum.trainer.rollouts.decoding.decoding_setup import Decoding
from rostrum.trainer.rollouts.decoding.turns import Choice, Turn
from rostrum.trainer.rollouts.local import PlaySetup, Shard
from rostrum.trainer.rollouts.play import play
from rostrum.trainer.types import Policy, Rollout

Prompts = tuple[tuple[int, ...], ...]
"""Contexts in tokens, (N, T) with rows of unequal length."""


@dataclass(frozen=True, slots=True)
class Call:
    """What an engine is asked at once: the speeches of one policy in one turn of a shard."""

    policy: str
    lengths: tuple[int, ...]
    """Tokens of each context."""
    last: bool
    """Whether the speakers speak no more in these debates: these contexts begin with all of their earlier ones."""


@dataclass(slots=True)
class FullLength:
    """Speaks words of the question until no token is left, without asking the engine. Debates of a question begin at
    different words, so that their speeches have no more in common than sampled ones."""

    calls: list[Call] = field(default_factory=list)
    largest: dict[str, Prompts] = field(default_factory=dict)
    """The contexts of each policy's call with most tokens."""

    def serves(self, policy: Policy) -> bool:
        return True

    def speak(self, turns: Sequence[Turn], engine: Engine, sampling: Sampling, policy: Policy) -> list[Choice]:
        """Return a speech of `sampling.max_tokens` for each turn, and note what the engine would have been asked."""
        contexts = tuple(tuple(turn.context) for turn in turns)
        self.calls.append(Call(policy.name, tuple(map(len, contexts)), all(map(_last, turns))))
        if _tokens(contexts) >= _tokens(self.largest.get(policy.name, ())):
            self.largest[policy.name] = contexts
        return [Choice(_said(turn, engine, sampling.max_tokens, policy)) for turn in turns]


class FullQuestions(Inquirer):
    """Asks as many words as a judge may, without its model."""

    def __init__(self) -> None:
        """Do without a model."""

    def write(self, transcripts: Sequence[Transcript]) -> Sequence[str]:
        """Return a question of the protocol's number of words for each debate."""
        return [f"{' '.join(_words(t.question, 0, t.protocol.max_words))}?" for t in transcripts]


@dataclass(frozen=True, slots=True)
class Reader:
    """Stands for an engine of which only the format and the context are asked."""

    format: Format
    max_context: int


def longest(questions: Sequence[Question], count: int, characters: int | None = None) -> list[Question]:
    """Return the questions with the longest texts, longest first; some twice where there are fewer than `count`. Of a
    passage no more than so many `characters` count, where they are limited."""

    def read(question: Question) -> int:
        return len(question.passage[:characters]) + len(question.text) + sum(map(len, question.answers))

    ordered = sorted(questions, key=read, reverse=True)
    return [ordered[place % len(ordered)] for place in range(count)]


def play_longest(
    setup: PlaySetup, shards: Sequence[Shard], policies: Mapping[str, Policy], readers: Mapping[str, Reader]
) -> tuple[list[Rollout], FullLength]:
    """Return the debates of the shards with speeches of full length, and what engines would be asked for them.

    `readers` has each policy's format and context. Debates that exceed a context are left out, as in play.
    """
    spoken, prompts = FullLength(), load_prompts(setup.prompts)
    decoding = Decoding(spoken, None if setup.decoding.asks is None else FullQuestions())
    sampling, engines = Sampling(setup.max_tokens), cast(Mapping[str, Engine], readers)
    played: list[Rollout] = []
    for shard in shards:
        outcomes = play(
            shard.matchups,
            setup.protocol,
            prompts,
            engines,
            sampling,
            policies,
            setup.row_per_speech,
            setup.window,
            decoding,
        )
        played += [outcome for outcome in outcomes if isinstance(outcome, Rollout)]
    return played, spoken


def _last(turn: Turn) -> bool:
    """Return whether the speaker has no later turn in this debate."""
    return all(turn.speaker not in speaking for speaking in turn.debate.protocol.order()[turn.debate.turn + 1 :])


def _tokens(contexts: Prompts) -> int:
    return sum(map(len, contexts))


def _said(turn: Turn, engine: Engine, count: int, policy: Policy) -> Utterance:
    """Return so many tokens of the question's own words, beginning at one that depends on debate, speaker and turn."""
    start = zlib.crc32(f"{turn.id}:{turn.speaker}:{turn.debate.turn}".encode())
    tokens = tuple(engine.format.choice(" ".join(_words(turn.debate.question, start, count)))[:count])
    return Utterance(engine.format.decode(tokens), tokens, (0.0,) * len(tokens), "length", policy.name, policy.version)


def _words(question: Question, start: int, count: int) -> list[str]:
    """Return so many of a question's words, beginning at one of them, and again from the first after the last."""
    words = f"{question.passage} {question.text} {' '.join(question.answers)}".split() or ["word"]
    return [words[(start + place) % len(words)] for place in range(count)]
