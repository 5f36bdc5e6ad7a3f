"""vLLM under workers of Ray: nothing outlives them, and an engine that is killed costs a second try and no more."""

import contextlib
from collections.abc import Callable

import psutil
import pytest

from rostrum.envs.questions.base import load_questions
from rostrum.trainer import setup
from rostrum.trainer.config import Config
from rostrum.trainer.models import loading
from rostrum.trainer.rollouts.local import Outcome, Shard
from rostrum.trainer.rollouts.schedule import matchups_of, shards_of
from rostrum.trainer.train import train
from rostrum.trainer.types import Policy, Rollout
from tests.with_vllm.test_vllm_runs import VLLM, metrics, moved

pytestmark = pytest.mark.long


def descendants() -> set[psutil.Process]:
    """The processes with vLLM in them that this one has started, itself or by way of Ray."""
    found = set()
    for process in psutil.Process().children(recursive=True):
        with contextlib.suppress(psutil.NoSuchProcess):  # one of Ray's that is just ending
            if "vllm.server" in " ".join(process.cmdline()):
                found.add(process)
    return found


def test_workers_of_ray_around_vllm(configure: Callable[..., Config], monkeypatch: pytest.MonkeyPatch) -> None:
    """Both workers take the learner's weights over, which the parity check sees. They are killed at the end of the run,
    and what they had started must follow them."""
    import ray

    from rostrum.trainer.cluster.workers import RayRolloutWorkers

    before, started, close = descendants(), set[psutil.Process](), RayRolloutWorkers.close

    def noted(played: RayRolloutWorkers) -> None:
        started.update(descendants() - before)
        close(played)

    monkeypatch.setattr(RayRolloutWorkers, "close", noted)
    config = configure(
        "iterations=2",
        "cluster.rollout_workers=2",
        "cluster.weight_transfer=gloo",
        "cluster.sleep=true",
        *VLLM[:1],
        *VLLM[2:],
    )
    try:
        train(config)
    finally:
        ray.shutdown()
    rows = metrics(config)
    assert len(rows) == 2 and all(row["parity"] < config.parity_tolerance and not row.get("failed") for row in rows)
    assert moved(config, "model.safetensors") > 1e-5
    assert len(started) == 4, "the models and the processes that they were forked from"
    assert not psutil.wait_procs(started, timeout=60)[1]


def test_an_engine_killed_in_mid_run_costs_its_shard_a_second_try(configure: Callable[..., Config]) -> None:
    """vLLM alone is killed, under a Ray worker that lives: the worker goes too, and what it comes back with is the
    same."""
    import ray

    config = configure("cluster.rollout_workers=1", "cluster.shard_size=2", "debater.engine=vllm", *VLLM[2:])
    policies = {"current": Policy("current", 3, loading.resolve(config.debater.model))}
    questions = load_questions(config.questions).questions("train")[:4]
    shards = shards_of(matchups_of(questions, config.protocol, 1), 2, seed=5)
    before = descendants()
    try:
        played = setup.rollout_workers(config)
        playing = played.play(shards, policies)
        results = dict([_indexed(next(playing))])
        started = descendants() - before  # a fork server and what it forked
        (engine,) = (process for process in started if process.ppid() in {other.pid for other in started})
        engine.kill()
        for shard, outcomes in playing:
            assert shard.index not in results
            results[shard.index] = outcomes
        again = dict(map(_indexed, played.play(shards, policies)))
        played.close()
    finally:
        ray.shutdown()
    assert sorted(results) == [0, 1, 2, 3] and results == again
    assert all(isinstance(outcome, Rollout) for outcomes in results.values() for outcome in outcomes)


def _indexed(result: tuple[Shard, list[Outcome]]) -> tuple[int, list[Outcome]]:
    return result[0].index, result[1]
