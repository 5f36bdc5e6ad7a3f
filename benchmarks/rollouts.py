"""How much the rollout path loses against the engines alone, and what a second worker brings."""

import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import ray

from benchmarks.measure import Measurement, clock, rates, ratios, seconds
from benchmarks.recording import Call, recorded
from rostrum.envs.questions.base import load_questions
from rostrum.rewards.types import Judge
from rostrum.trainer import setup
from rostrum.trainer.cluster.workers import RayRolloutWorkers
from rostrum.trainer.config import Config
from rostrum.trainer.models import loading
from rostrum.trainer.rollouts.collect import collect
from rostrum.trainer.rollouts.local import RolloutWorkers
from rostrum.trainer.rollouts.schedule import matchups_of, questions_of, shards_of
from rostrum.trainer.types import Batch, Matchup, Policy
from rostrum.trainer.weights.logprobs import learner_logprobs
from rostrum.trainer.weights.parity import rows_of
from rostrum.trainer.weights.publish import Weights, check_parity, publish

TARGET = 0.8
"""Least share of the raw engines' speed that the rollout path should reach."""
_SEED = 0


class Bench:
    """One iteration's matchups under the configuration, played again and again by the base policy."""

    def __init__(self, settings: Config) -> None:
        self.settings = settings
        self.judge: Judge = setup.judge(settings.judge)
        self.policy = Policy("current", 0, loading.resolve(settings.debater.model))
        questions = load_questions(settings.questions).questions("train")
        algorithm = settings.algorithm
        repeats = getattr(algorithm, "debates_per_seating", 1)
        chosen = questions_of(questions, 1, algorithm.questions_per_iteration, settings.seed)
        self.matchups: list[Matchup] = matchups_of(chosen, settings.protocol, repeats)

    def workers(self, count: int) -> RolloutWorkers:
        """Return that many Ray workers, 0 for this process."""
        cluster = self.settings.cluster.model_copy(update={"rollout_workers": count})
        return setup.rollout_workers(self.settings.model_copy(update={"cluster": cluster}))

    def collect(self, workers: RolloutWorkers) -> Batch:
        """Do what a training run does once per iteration."""
        return collect(
            1,
            self.matchups,
            {self.policy.name: self.policy},
            workers,
            self.judge,
            self.settings.reward,
            self.settings.cluster.shard_size,
            _SEED,
            waiting="players" if isinstance(workers, RayRolloutWorkers) else None,
        )

    def play(self, workers: RolloutWorkers) -> None:
        """Play the same debates without judge and rewards."""
        shards = shards_of(self.matchups, self.settings.cluster.shard_size, _SEED)
        for _ in workers.play(shards, {self.policy.name: self.policy}):
            pass


def against_raw_engine(bench: Bench, repeats: int) -> tuple[list[Measurement], Batch]:
    """Measure the rollout path and the engine calls inside it, in turns; return the batch that was collected too."""
    workers, section = bench.workers(0), "rollout path"
    bench.collect(workers)
    with recorded() as calls:
        batch = bench.collect(workers)
    tokens = sum(_tokens(call, call()) for call in calls)
    ours, raw = [], []
    for _ in range(repeats):
        ours.append(seconds(lambda: bench.collect(workers)))
        raw.append(seconds(lambda: [call() for call in calls]))
    return [
        rates(section, "debates", "1/s", len(bench.matchups), ours),
        rates(section, "tokens read and sampled", "1/s", tokens, ours),
        rates(section, "the same engine calls alone", "tokens/s", tokens, raw),
        ratios(section, "ratio to the raw engines", raw, ours, TARGET),
        Measurement(section, "publish, load and probe new weights", "s", tuple(_publish(bench, workers, repeats))),
    ], batch


def _tokens(call: Call, result: Any) -> int:
    """Return tokens that a recorded call makes an engine read and sample."""
    engine, first = call.args[0], call.args[1]
    if call.func.__name__ == "generate":
        return sum(map(len, first)) + sum(len(completion.token_ids) for completion in result)
    return sum(len(engine.format.open([prompt])) for prompt in first)


def _publish(bench: Bench, workers: RolloutWorkers, repeats: int) -> Iterator[float]:
    settings = bench.settings
    model = setup.policy_model(settings.debater).to(loading.default_device())
    tokenizer = loading.load_tokenizer(settings.debater.model)
    probe = rows_of(settings)
    with tempfile.TemporaryDirectory() as folder:
        for version in range(1, repeats + 1):
            start = clock()
            policy = publish(Weights(model, model.state_dict()), tokenizer, Path(folder) / f"policy-{version}", version)
            learner = learner_logprobs(model, probe, autocast=settings.debater.dtype == "bfloat16")
            check_parity(learner, probe, workers, policy, settings.parity_tolerance)
            yield clock() - start


def workers(bench: Bench, repeats: int) -> tuple[list[Measurement], list[int]]:
    """Measure one Ray worker against two, in turns; return the process ids of the workers, which are left running."""
    address = bench.settings.cluster.address
    ray.init(address or "local", num_cpus=None if address else 3, include_dashboard=False, log_to_driver=False)
    one, two = bench.workers(1), bench.workers(2)
    assert isinstance(one, RayRolloutWorkers) and isinstance(two, RayRolloutWorkers)
    for workers in (one, two):
        workers.logprobs([[0, 1]], bench.policy)  # every worker loads its engine
        bench.collect(workers)
    found, count = [], len(bench.matchups)
    for what, work in (("played and judged", bench.collect), ("played", bench.play)):
        alone, together = [], []
        for _ in range(repeats):
            alone.append(seconds(lambda work=work: work(one)))  # type: ignore[misc]
            together.append(seconds(lambda work=work: work(two)))  # type: ignore[misc]
        found += [
            rates("rollout workers", f"debates {what}, 1 worker", "1/s", count, alone),
            rates("rollout workers", f"debates {what}, 2 workers", "1/s", count, together),
            ratios("rollout workers", f"2 workers over 1, {what}", alone, together),
        ]
    return found, [ray.get(actor.pid.remote()) for actor in (*one.actors, *two.actors)]
