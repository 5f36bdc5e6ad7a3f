"""Local and Ray rollouts play the same debates, also when a worker is killed."""

import json
import os
import signal
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from rostrum.envs.testimony.world import TestimonyWorld
from rostrum.envs.types import Protocol
from rostrum.launch.errors import sentence
from rostrum.trainer import setup
from rostrum.trainer.cluster.cluster import ClusterError
from rostrum.trainer.cluster.workers import RayRolloutWorkers, RolloutError
from rostrum.trainer.config import Cluster, Config, Resources
from rostrum.trainer.cost import OF_THE_MACHINE
from rostrum.trainer.engines import engine_settings
from rostrum.trainer.evaluation.evaluate import evaluate
from rostrum.trainer.rollouts.local import LocalRolloutWorkers, Outcome, PlaySetup, RolloutWorkers, Shard, Worker
from rostrum.trainer.rollouts.schedule import matchups_of, shards_of
from rostrum.trainer.store.frozen import model_hash
from rostrum.trainer.store.provenance import verdicts_hash
from rostrum.trainer.store.run_folder import read_lines
from rostrum.trainer.train import train
from rostrum.trainer.types import Policy, Rollout
from tests.conftest import ScriptedEngine

pytestmark = pytest.mark.long

SETUP = PlaySetup(Protocol("debate"), "testimony", 8, 1.0, engine_settings(batch_size=64))
SHARDS = shards_of(matchups_of(TestimonyWorld(train=6, heldout=0).questions("train"), SETUP.protocol, 2), 4, seed=5)
PROBE = [[5, 6, 7, 8], [9, 10]]
LEAGUE = (
    "opponent=league",
    "opponent.at_once=2",
    "iterations=2",
    "save_every=2",
    "debater.lora.rank=4",
    "algorithm.learning_rate=3e-3",
    "algorithm.minibatches=2",
    "cluster.shard_size=4",
)


def policy(tiny: Path, version: int = 0, name: str = "debater") -> dict[str, Policy]:
    return {"current": Policy("current", version, str(tiny / name))}


def collected(played: Iterator[tuple[Shard, list[Outcome]]]) -> dict[int, list[Outcome]]:
    found = [(shard.index, outcomes) for shard, outcomes in played]
    assert sorted(index for index, _ in found) == [shard.index for shard in SHARDS], "each shard comes exactly once"
    return dict(found)


@pytest.fixture(scope="module")
def locally(tiny: Path) -> dict[int, list[Outcome]]:
    return collected(LocalRolloutWorkers(SETUP).play(SHARDS, policy(tiny)))


@pytest.fixture(scope="module")
def ray_runtime() -> Iterator[None]:
    import ray

    ray.init("local", num_cpus=5, include_dashboard=False, log_to_driver=False)
    yield
    ray.shutdown()


@pytest.fixture(scope="module")
def pair(ray_runtime: None) -> Iterator[RayRolloutWorkers]:
    workers = RayRolloutWorkers(SETUP, Cluster(rollout_workers=2))
    yield workers
    workers.close()


def test_local_rollouts_play_every_match(locally: dict[int, list[Outcome]]) -> None:
    assert len(SHARDS) == 6
    outcomes = [outcome for shard in SHARDS for outcome in locally[shard.index]]
    assert [o.matchup for o in outcomes if isinstance(o, Rollout)] == [m.id for shard in SHARDS for m in shard.matchups]


def test_a_shard_does_not_depend_on_the_others(tiny: Path, locally: dict[int, list[Outcome]]) -> None:
    ((_, alone),) = LocalRolloutWorkers(SETUP).play(SHARDS[3:4], policy(tiny))
    assert alone == locally[3]
    assert locally[3] != locally[4]


def test_a_new_version_is_loaded_and_stamped(tiny: Path, locally: dict[int, list[Outcome]]) -> None:
    workers = LocalRolloutWorkers(SETUP)
    first = dict(enumerate(outcomes for _, outcomes in workers.play(SHARDS[:1], policy(tiny))))
    ((_, moved),) = workers.play(SHARDS[:1], policy(tiny, 1, "judge"))
    assert first[0] == locally[0] != moved
    for outcomes, version in ((first[0], 0), (moved, 1)):
        versions = {s.policy_version for o in outcomes if isinstance(o, Rollout) for s in o.transcript.speeches}
        assert versions == {version}
    (before,), (after,) = (workers.logprobs(PROBE, p["current"]) for p in (policy(tiny), policy(tiny, 1, "judge")))
    assert before != after


def test_an_adapter_is_not_loaded_into_an_engine_on_full_weights(tmp_path: Path) -> None:
    """A tournament's players take turns under two names, and may be whole models and adapters of several ranks."""
    made, loaded = list[str](), list[str]()

    class Noting(ScriptedEngine):
        def load(self, policy: Policy) -> None:
            loaded.append(Path(policy.path).name)

    def start(path: str, _: object) -> Any:
        made.append(Path(path).name)
        return Noting(str)

    for name, rank in {"base": None, "full": None, "four": 4, "other-four": 4, "eight": 8}.items():
        (tmp_path / name).mkdir()
        if rank:
            (tmp_path / name / "adapter_config.json").write_text(json.dumps({"r": rank}), "utf-8")
    worker = Worker(SETUP, start)
    for name in ("base", "full", "four", "other-four", "eight", "base"):
        worker.logprobs(PROBE, Policy("one", 0, str(tmp_path / name)))
    assert (made, loaded) == (["base", "four", "eight", "base"], ["full", "other-four"])


def test_one_ray_worker_plays_what_is_played_here(
    ray_runtime: None, tiny: Path, locally: dict[int, list[Outcome]]
) -> None:
    workers = RayRolloutWorkers(SETUP, Cluster(rollout_workers=1))
    assert collected(workers.play(SHARDS, policy(tiny))) == locally
    workers.close()


def test_two_ray_workers_play_what_is_played_here(
    pair: RayRolloutWorkers, tiny: Path, locally: dict[int, list[Outcome]]
) -> None:
    assert collected(pair.play(SHARDS, policy(tiny))) == locally
    (here,), there = (
        LocalRolloutWorkers(SETUP).logprobs(PROBE, policy(tiny)["current"]),
        pair.logprobs(PROBE, policy(tiny)["current"]),
    )
    assert there == [here, here]


@pytest.mark.exhaustive
def test_a_run_is_the_same_to_the_byte_with_one_or_two_workers(
    ray_runtime: None, configure: Callable[..., Config], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An adapter trained in a league and evaluated, here and with workers: metrics but for the speed, all debates,
    weights, and verdicts."""
    make, close, made = setup.rollout_workers, RayRolloutWorkers.close, dict[int, RolloutWorkers]()

    def once(settings: Config) -> RolloutWorkers:
        workers = settings.cluster.rollout_workers
        if workers not in made:
            made[workers] = make(settings)
        return made[workers]

    # the same workers train and evaluate: starting them takes longest
    monkeypatch.setattr(setup, "rollout_workers", once)
    monkeypatch.setattr(RayRolloutWorkers, "close", lambda self: None)

    def run(workers: int) -> tuple[list[dict[str, Any]], bytes, str, str]:
        folder = tmp_path / str(workers) / "run"
        settings = configure(*LEAGUE, f"cluster.rollout_workers={workers}", f"output={folder}")
        train(settings)
        table = pd.read_parquet(evaluate(settings))
        assert len(table) == 2 * 2 + 3 * 4  # naive and expert; base, final and final against base in both seatings
        metrics = [{**line, **dict.fromkeys(OF_THE_MACHINE)} for line in read_lines(folder / "metrics.jsonl")]
        said = (folder / "transcripts.jsonl").read_bytes()
        return metrics, said, model_hash(str(folder / "policies" / "iteration-0002")), verdicts_hash(table)

    here, one, two = run(0), run(1), run(2)
    for workers in (1, 2):
        kept = made[workers]
        assert isinstance(kept, RayRolloutWorkers) and len(kept.actors) == workers
        close(kept)
    assert here[0][1]["league"] and here == one == two


def test_a_killed_worker_changes_nothing(
    pair: RayRolloutWorkers, tiny: Path, locally: dict[int, list[Outcome]]
) -> None:
    """One worker is killed in mid-run, under a newer version of the weights than the one it started with."""
    import ray

    current = {"current": Policy("current", 9, policy(tiny)["current"].path)}
    undisturbed = collected(LocalRolloutWorkers(SETUP).play(SHARDS, current))
    pids: Sequence[int] = ray.get([actor.pid.remote() for actor in pair.actors])
    playing = pair.play(SHARDS, current)
    first = next(playing)
    os.kill(pids[0], signal.SIGKILL)
    results = {first[0].index: first[1], **{shard.index: outcomes for shard, outcomes in playing}}
    assert results == undisturbed and results != locally
    assert ray.get(pair.actors[0].pid.options(max_task_retries=-1).remote()) != pids[0], "the worker was restarted"
    ray.wait(list(pair._recovering), timeout=60)
    assert len(pair.logprobs(PROBE, current["current"])) == 2, "and it is back"


def test_a_worker_gone_for_good_leaves_its_work_to_the_others(
    pair: RayRolloutWorkers, tiny: Path, locally: dict[int, list[Outcome]]
) -> None:
    import ray

    playing = pair.play(SHARDS, policy(tiny))
    first = next(playing)
    ray.kill(pair.actors[1], no_restart=True)
    assert collected(iter([first, *playing])) == locally
    assert len(pair.logprobs(PROBE, policy(tiny)["current"])) == 1
    assert collected(pair.play(SHARDS, policy(tiny))) == locally


def test_a_policy_that_a_node_does_not_see_is_told_in_a_sentence(pair: RayRolloutWorkers, tmp_path: Path) -> None:
    nowhere = {"current": Policy("current", 1, str(tmp_path / "none"))}
    with pytest.raises(Exception, match="none") as caught:
        collected(pair.play(SHARDS, nowhere))
    assert "a file system that all nodes share" in (sentence(caught.value) or "")


def test_without_any_worker_the_run_says_how_to_go_on(pair: RayRolloutWorkers, tiny: Path) -> None:
    import ray

    for actor in pair.actors:
        ray.kill(actor, no_restart=True)
    with pytest.raises(RolloutError, match="rostrum train resume="):
        collected(pair.play(SHARDS, policy(tiny)))
    with pytest.raises(RolloutError):
        pair.logprobs(PROBE, policy(tiny)["current"])


def test_more_than_the_cluster_has_is_refused(ray_runtime: None) -> None:
    with pytest.raises(ClusterError, match=r"asks for 9 CPU in 9 actors, .*5 CPU"):
        RayRolloutWorkers(SETUP, Cluster(rollout_workers=9))
    with pytest.raises(ClusterError, match="2 fast_node"):
        RayRolloutWorkers(SETUP, Cluster(rollout_workers=2, resources=Resources(rollout={"fast_node": 1})))
