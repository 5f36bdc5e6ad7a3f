"""Where debates are played: in this process, or by Ray actors that each play whole debates on a shard.

Work is cut into shards of a fixed size whose seeds depend on the iteration and the shard alone. So the number of
workers changes who plays a shard, not what is played; and a shard that was lost with its worker is played again.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any, cast
from typing import Protocol as Interface

from rostrum.envs.prompts.prompt_sets import load_prompts
from rostrum.envs.text.windows import Window
from rostrum.envs.types import Failure, Protocol, Transcript
from rostrum.trainer.engines import make_engine
from rostrum.trainer.engines.base import (
    FINISH,
    Completion,
    Engine,
    EngineSettings,
    Forgetful,
    Receiver,
    Receivers,
    Sampling,
    lora_rank,
)
from rostrum.trainer.engines.errors import EngineError, TransferError
from rostrum.trainer.models.loading import end_tokens, load_tokenizer
from rostrum.trainer.rollouts.decoding.decoding_setup import Decoding, DecodingSetup
from rostrum.trainer.rollouts.examples import Example, OwnExample
from rostrum.trainer.rollouts.play import begin, outcomes_of, turn_by_turn
from rostrum.trainer.rollouts.resumed import resumed
from rostrum.trainer.rollouts.streamed import streamed, streams
from rostrum.trainer.types import Matchup, Policy, Rollout

if TYPE_CHECKING:
    import torch

Outcome = Rollout | Failure

Send = Callable[[Policy, Mapping[str, "torch.Tensor"]], None]
"""Brings weights, by name as in the policy's folder, to the engines without their having to read it."""


@dataclass(frozen=True, slots=True)
class PlaySetup:
    """Everything about playing that does not change during a run."""

    protocol: Protocol
    prompts: str
    max_tokens: int
    temperature: float
    engine: EngineSettings
    row_per_speech: bool = False
    window: Window | None = None
    decoding: DecodingSetup = DecodingSetup()
    examples: tuple[Example | OwnExample, ...] = ()
    """Example speeches that every speaker has before it."""


@dataclass(frozen=True, slots=True)
class Shard:
    """Matches that one worker plays together."""

    index: int
    seed: int
    matchups: tuple[Matchup, ...]


class PlayedShard(list[Outcome]):
    """A shard's debates, each as an episode or a failure."""

    prompt_tokens = 0
    """Tokens of the prompts that were given to engines which keep what they read for as long as a shard is played."""
    cache_hit_tokens = 0
    """Those of them that did not have to be read."""


class Worker:
    """Plays shards with one engine per policy name. Carries no state that a restart could lose: every call names the
    policies that it is to be played with, and an engine that holds other weights loads them first."""

    def __init__(self, setup: PlaySetup, start: Callable[[str, EngineSettings], Engine] = make_engine) -> None:
        self._setup, self._start = setup, start
        self._prompts = load_prompts(setup.prompts)
        self._engines: dict[str, Engine] = {}
        self._serving: dict[str, Policy] = {}
        self._decoding: Decoding | None = None

    def play(self, shard: Shard, policies: Mapping[str, Policy]) -> list[Outcome]:
        """Return the shard's debates (a `PlayedShard`). Engines keep nothing that they have read from shard to
        shard."""
        engines = {name: self._engine(policies[name]) for name in _names(shard.matchups)}
        setup = self._setup
        self._decoding = self._decoding or setup.decoding.make()
        sampling = Sampling(setup.max_tokens, setup.temperature, shard.seed)
        keeping = cast(list[Forgetful], list(engines.values())) if setup.engine.forgets else []
        before = _begun_anew(keeping)
        row_per_speech, window, examples = setup.row_per_speech, setup.window, setup.examples
        tables = begin(shard.matchups, setup.protocol, self._prompts, engines, row_per_speech, window, examples)
        if streams(engines, self._decoding):
            tables = streamed(tables, engines, sampling, policies)
        else:
            for live in turn_by_turn(tables, engines, sampling, policies, self._decoding):
                tables = live
        outcomes, after = PlayedShard(outcomes_of(tables, sampling)), _begun_anew(keeping)
        outcomes.prompt_tokens, outcomes.cache_hit_tokens = after[0] - before[0], after[1] - before[1]
        return outcomes

    def go_on(
        self, matchup: Matchup, so_far: Transcript, asked: str, seed: int, policies: Mapping[str, Policy]
    ) -> Transcript | Failure:
        """Return a debate with one round more, after a question of the judge's (empty: it asks nothing). The protocol
        lets the judge ask now. Seeds derive from `seed`, turn and policy, so the same round comes out again."""
        engines, setup = {name: self._engine(policies[name]) for name in _names([matchup])}, self._setup
        self._decoding = self._decoding or setup.decoding.make()
        _begun_anew(cast(list[Forgetful], list(engines.values())) if setup.engine.forgets else [])
        sampling = Sampling(setup.max_tokens, setup.temperature, seed)
        end = partial(_end_of, policies)
        table = resumed(matchup, so_far, setup.protocol, self._prompts, engines, setup.window, end)
        table.debate.ask(asked, problem="" if asked else "the judge asked nothing")
        for _ in turn_by_turn([table], engines, sampling, policies, self._decoding):
            if table.failure is not None:
                return table.failure
            if table.debate.finished or table.debate.awaits_question:
                break
        return table.debate.transcript({"seed": seed, "match": matchup.id, **table.spent})

    def logprobs(self, rows: Sequence[Sequence[int]], policy: Policy) -> list[tuple[float, ...]]:
        """Return what the engine makes of these rows under these weights (the parity probe)."""
        return self._engine(policy).logprobs(rows)

    def sample(self, prompts: Sequence[Sequence[int]], sampling: Sampling, policy: Policy) -> list[Completion]:
        """Return what the engine samples after these prompts; one that keeps what it reads for as long as a shard is
        played keeps nothing of them."""
        engine = self._engine(policy)
        completions = engine.generate(prompts, sampling)
        if self._setup.engine.forgets:
            cast(Forgetful, engine).forget()
        return completions

    def receiver(self, policy: Policy) -> str:
        """Return the engine that takes over the weights of policies of this name; the first is started on the
        folder."""
        if policy.name not in self._engines:
            self._engine(policy)
        return self._receiver(policy).receiver

    def transfer(self, policy: Policy, step: str, payload: Any) -> None:
        """Do one step of the transfer of a policy's weights to its engine."""
        self._receiver(policy).transfer(step, payload)
        if step == FINISH:
            self._serving[policy.name] = policy

    def _receiver(self, policy: Policy) -> Receiver:
        return cast(Receiver, self._engines[policy.name])  # an engine with `transports` is one

    def let_go(self, policy: Policy) -> None:
        """End the engine of policies of this name; the next call starts another on the folder."""
        self._engines.pop(policy.name, None)

    def close(self) -> None:
        """Drop the engines; the next call starts them again."""
        self._engines.clear()
        self._serving.clear()
        self._decoding = None

    def _engine(self, policy: Policy) -> Engine:
        if policy.name in self._engines and lora_rank(self._serving[policy.name].path) != lora_rank(policy.path):
            del self._engines[policy.name]  # before the other one starts, which may need its memory
        if policy.name not in self._engines:
            self._engines[policy.name] = self._start(policy.path, self._setup.engine)
        elif self._serving[policy.name] != policy:
            self._engines[policy.name].load(policy)
        self._serving[policy.name] = policy
        return self._engines[policy.name]


def _begun_anew(engines: Sequence[Forgetful]) -> tuple[int, int]:
    """Have engines drop what they keep; return the tokens that all have looked up and found so far."""
    for engine in engines:
        engine.forget()
    counts = [engine.prefix_cache for engine in engines]
    return sum(asked for asked, _ in counts), sum(found for _, found in counts)


def _end_of(policies: Mapping[str, Policy], name: str) -> int:
    """Return the token with which a policy ends its speeches."""
    tokenizer = load_tokenizer(policies[name].path)
    ends = end_tokens(policies[name].path, tokenizer)
    return int(tokenizer.eos_token_id) if tokenizer.eos_token_id in ends else min(ends)


def _names(matchups: Sequence[Matchup]) -> set[str]:
    return {name for matchup in matchups for name in matchup.policies.values()}


class RolloutWorkers(Receivers, Interface):
    """Plays shards, in any order, and hands each result over as it comes."""

    def play(
        self, shards: Sequence[Shard], policies: Mapping[str, Policy]
    ) -> Iterator[tuple[Shard, list[Outcome]]]: ...

    def logprobs(self, rows: Sequence[Sequence[int]], policy: Policy) -> list[list[tuple[float, ...]]]:
        """Return the probe's log-probabilities from every worker."""

    def sample(self, prompts: Sequence[Sequence[int]], sampling: Sampling, policy: Policy) -> list[Completion]:
        """Have every worker sample after these prompts at the same time, and return what one of them has sampled."""

    def close(self) -> None: ...


class LocalRolloutWorkers:
    """One worker, in this process."""

    def __init__(self, setup: PlaySetup) -> None:
        self._worker = Worker(setup)

    def play(self, shards: Sequence[Shard], policies: Mapping[str, Policy]) -> Iterator[tuple[Shard, list[Outcome]]]:
        return zip(shards, map(partial(self._worker.play, policies=policies), shards), strict=True)

    def logprobs(self, rows: Sequence[Sequence[int]], policy: Policy) -> list[list[tuple[float, ...]]]:
        return [self._worker.logprobs(rows, policy)]

    def sample(self, prompts: Sequence[Sequence[int]], sampling: Sampling, policy: Policy) -> list[Completion]:
        return self._worker.sample(prompts, sampling, policy)

    def receivers(self, policy: Policy) -> list[str]:
        return [self._worker.receiver(policy)]

    def transfer(self, policy: Policy, step: str, payload: Callable[[int], Any]) -> None:
        try:
            self._worker.transfer(policy, step, payload(0))
        except EngineError as error:
            raise TransferError(str(error)) from error

    def let_go(self, policy: Policy) -> None:
        self._worker.let_go(policy)

    def close(self) -> None:
        """Drop the engines."""
        self._worker.close()
