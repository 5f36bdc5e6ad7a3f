"""A rehearsal before a run's first iteration: the largest batches that it can come to are played, judged and learned
from once, and nothing is kept. What does not fit into the memory fails now, and from the seconds that it took follows
what the run will take (`trainer.run_estimate`).

Questions are the longest of the run's, and speeches have all the tokens that they may have. Times are scaled to
questions of average length; speeches stay those of full length.
"""

import random
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import partial

import numpy as np
import torch

from rostrum.envs.types import Transcript
from rostrum.rewards.reward import rewards
from rostrum.rewards.types import Judge, Verdict
from rostrum.trainer import setup
from rostrum.trainer.config import Config
from rostrum.trainer.cost import now
from rostrum.trainer.engines import sleeping
from rostrum.trainer.engines.base import Completion, EngineSettings, Sampling
from rostrum.trainer.learners.learner import Learner, Rehearsed
from rostrum.trainer.machine import memory_ran_out
from rostrum.trainer.models import loading
from rostrum.trainer.progress import activity
from rostrum.trainer.rollouts.local import RolloutWorkers
from rostrum.trainer.rollouts.longest import Call, Prompts, Reader, play_longest
from rostrum.trainer.rollouts.schedule import shards_of
from rostrum.trainer.run_estimate import Estimate, Memory, RehearsalError, begin_peak, remedies
from rostrum.trainer.types import Batch, Judged, Matchup, Policy, Rollout, Trajectory

PAYS_FROM = 50_000_000
"""Parameters of a debater from which on `rehearse=auto` rehearses without a GPU."""
FEW, MORE = 4, 8
"""New tokens of two calls of an engine; from their difference follows the time of one."""
TYPICAL = 20
"""Questions from all over the set whose debates say how long an average one is."""

FEWER_SPEECHES = (
    "lower debater.batch_size, or shorten speeches and passages (debater.max_tokens, debater.window.tokens) in a new "
    "run"
)
"""What lowers an engine's memory."""

Sample = Callable[[Prompts, Sampling], list[Completion]]
"""Samples after each prompt."""


@dataclass(frozen=True, slots=True)
class Pace:
    """How fast an engine is with its largest batch, in seconds."""

    token_read: float
    step: float
    """For a new token in each of the batch's rows."""


@dataclass(frozen=True, slots=True)
class Staged:
    """What playing and judging came to, and the rows of an iteration of the longest debates."""

    rows: Mapping[str, Sequence[Trajectory]]
    """By policy, for its learner."""
    play: float
    """Seconds of an iteration."""
    judge: float
    share: float
    """How long rows about average questions are, relative to these."""
    left_out: tuple[str, ...]
    """What the seconds do not hold."""


def due(config: Config, resumed: bool) -> bool:
    """Return whether a run is rehearsed: where that is left open, new runs on a GPU or with a debater that is not
    small."""
    if config.rehearse != "auto":
        return config.rehearse == "always"
    if resumed:
        return False
    on_gpu = loading.default_device() != "cpu"
    return on_gpu or max(loading.count_parameters(of.model) for of in config.debaters) >= PAYS_FROM


@contextmanager
def without_a_trace() -> Iterator[None]:
    """Keep all random numbers as they are, and begin the peak of memory that is measured anew before and after."""
    python, numpys = random.getstate(), np.random.get_state()
    begin_peak()
    with torch.random.fork_rng([torch.cuda.current_device()] if torch.cuda.is_available() else []):
        yield
    random.setstate(python)
    np.random.set_state(numpys)
    begin_peak()


@contextmanager
def refused(what: str, remedy: str) -> Iterator[None]:
    """Tell in a sentence that what is done does not fit into the memory.

    Raises:
        RehearsalError: it does not.
    """
    try:
        yield
    except Exception as error:
        cause = getattr(error, "cause", None)  # what an actor of Ray's has raised
        if not memory_ran_out(cause if isinstance(cause, Exception) else error):
            raise
        raise RehearsalError(f"{what} does not fit into the memory: {remedy}.") from error


def stage(
    config: Config,
    policies: Mapping[str, Policy],
    matchups: Sequence[Matchup],
    typical: Sequence[Matchup],
    workers: RolloutWorkers,
    judge: Judge,
) -> Staged | None:
    """Play the largest batches of an iteration of the longest `matchups`, and have the judge read one of its batches.

    `policies` are all that play, published; `typical` matchups are about questions of average length. None where no
    debate with speeches of full length fits into the context.

    Raises:
        RehearsalError: it does not fit into the memory.
    """
    shards, played = shards_of(matchups, config.cluster.shard_size, 0), setup.play_setup(config)
    readers = {name: _reader(config.of(name)) for name in policies}
    with activity("rehearsing: making the longest debates"):
        debates, spoken = play_longest(played, shards, policies, readers)
        others, _ = play_longest(played, shards_of(typical, len(typical), 0), policies, readers)
    rows, typical_rows = (rows_of(config, policies, of) for of in (debates, others))
    if not all(rows.values()) or not any(typical_rows.values()):
        return None
    share = min(mean_length(typical_rows) / mean_length(rows), 1.0)
    paces, most, batch = dict[str, Pace](), config.debater.max_tokens, config.debater.batch_size
    sampling = Sampling(most, config.debater.temperature)
    for name, prompts in spoken.largest.items():
        what = f"A batch of {min(batch, len(prompts))} speeches"
        with activity("rehearsing the largest batch of speeches"), refused(what, FEWER_SPEECHES):
            sample = partial(workers.sample, policy=policies[name])
            paces[name] = pace(sample, prompts[:batch], sampling, played.engine.caches_prefixes)
    keeps = keeps_contexts(played.engine, spoken.calls)
    seconds = playing_seconds(spoken.calls, paces, batch, most, keeps, share)
    rounds = -(-len(shards) // max(config.cluster.rollout_workers, 1))  # in which workers play a shard each
    judging = _judging(config, judge, [debate.transcript for debate in debates])
    sleeping.all_sleep()
    return Staged(rows, seconds * rounds / len(shards), judging, share, left_out(config))


def learn(
    config: Config,
    learners: Mapping[str, Learner],
    rows: Mapping[str, Sequence[Trajectory]],
    policies: Mapping[str, Policy],
) -> dict[str, Rehearsed]:
    """Have each policy's learner rehearse on these rows of an iteration; all ranks call this. Those under DeepSpeed do
    not: its backward pass begins a step.

    Raises:
        RehearsalError: a micro-batch does not fit into the memory.
    """
    found = dict[str, Rehearsed]()
    for name, learner in learners.items() if config.cluster.deepspeed is None else ():
        remedy = remedies(config.of(name))
        with activity("rehearsing the largest micro-batch"), refused("The learner's largest micro-batch", remedy):
            found[name] = learner.rehearse(rows[name], policies[name])
    return found


def estimate(
    config: Config, iterations: int, staged: Staged, learned: Mapping[str, Rehearsed], publish: float
) -> Estimate:
    """Return what so many iterations will take, given what each policy's learner came to and the seconds of
    publishing."""
    return Estimate(
        iterations,
        staged.play,
        staged.judge,
        sum(of.seconds for of in learned.values()) * staged.share,
        publish,
        bool(config.algorithm.staleness) and config.plays_apart,
        Memory.after(sum(of.moments for of in learned.values())),
        {name: (of.rows, of.tokens) for name, of in learned.items()},
        staged.left_out,
    )


def rows_of(config: Config, policies: Mapping[str, Policy], debates: Sequence[Rollout]) -> dict[str, list[Trajectory]]:
    """Return the rows that each policy which learns has in these debates; nobody has won them."""
    undecided = Verdict("", 0.5, 0.5)
    judged = tuple(Judged(of, undecided, rewards(of.transcript, undecided, config.reward)) for of in debates)
    batch = Batch(0, policies, judged, (), 0.0)
    return {name: batch.trajectories(name) for name in config.policies}


def mean_length(rows: Mapping[str, Sequence[Trajectory]]) -> float:
    """Return the mean tokens of the rows of all policies."""
    lengths = [len(of.row.prompt) + len(of.row.completion) for own in rows.values() for of in own]
    return sum(lengths) / len(lengths)


def left_out(config: Config) -> tuple[str, ...]:
    """Return what the seconds do not hold."""
    needs, found = config.judge.needs(), list[str]()
    if any(model.endpoint is not None for model in needs):
        found.append("the judge, which is behind an endpoint")
    if config.protocol.judge_asks:
        found.append("the judge's questions")
    if config.cluster.deepspeed is not None:
        found.append("learning, with its memory, as it is under DeepSpeed")
    return tuple(found)


def pace(sample: Sample, prompts: Prompts, sampling: Sampling, caches: bool, clock: Callable[[], float] = now) -> Pace:
    """Return the pace of an engine with these prompts, from calls with few of the new tokens of `sampling`. One that
    always `caches` what it reads is asked for the fewest twice: the second time it reads nothing."""
    few, more = (replace(sampling, max_tokens=min(count, sampling.max_tokens)) for count in (FEW, MORE))
    sample((prompts[0][::-1],), few)  # the first call loads kernels; read backwards, nothing of it is cached

    def timed(sampling: Sampling) -> tuple[float, int]:
        start = clock()
        completions = sample(prompts, sampling)
        return clock() - start, max(len(completion.token_ids) for completion in completions)

    first, steps = timed(few)
    short = timed(few)[0] if caches else first
    long, more_steps = timed(more)
    step = max((long - short) / (more_steps - steps), 0.0) if more_steps > steps else 0.0
    return Pace(max(first - steps * step, 0.0) / sum(map(len, prompts)), step)


def keeps_contexts(engine: EngineSettings, calls: Sequence[Call]) -> bool:
    """Return whether an engine reads of a speaker's context what is new alone, as far as it has room."""
    shortest = min(length for call in calls for length in call.lengths)
    return engine.caches_prefixes or (engine.forgets and shortest >= engine.keeps_from)


def playing_seconds(
    calls: Sequence[Call], paces: Mapping[str, Pace], batch: int, max_tokens: int, keeps: bool, share: float
) -> float:
    """Return the seconds that calls of engines take one after the other.

    Each batch of a call takes `max_tokens` steps, and of the contexts' tokens a `share` is read. An engine that `keeps`
    what it has read has in the end read the last contexts alone.
    """
    total = 0.0
    for call in calls:
        its = paces[call.policy]
        total += -(-len(call.lengths) // batch) * max_tokens * its.step
        if call.last or not keeps:
            total += share * its.token_read * sum(call.lengths)
    return total


def _reader(config: Config) -> Reader:
    return Reader(setup.debater_format(config), loading.read_context_length(config.debater.model))


def _judging(config: Config, judge: Judge, debates: Sequence[Transcript]) -> float:
    """Return the seconds in which a judge with models here reads all debates, from one shard of them."""
    needs = config.judge.needs()
    if not needs or any(model.endpoint is not None for model in needs):
        return 0.0
    read = debates[: config.cluster.shard_size]
    remedy = "lower judge.batch_size, or shorten speeches (debater.max_tokens)"
    with activity("rehearsing the judge's largest batch"), refused(f"A batch of {len(read)} debates to judge", remedy):
        judge.judge(read[:1])  # the first call loads kernels
        start = now()
        judge.judge(read)
        return (now() - start) * len(debates) / len(read)
