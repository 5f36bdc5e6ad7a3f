"""Two policies learn on every way of running what they learn in one process, also when a rank dies."""

import os
import signal
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
from safetensors.torch import load_file

from rostrum.launch import compose, environment
from rostrum.launch.commands.train import train_rank
from rostrum.trainer.cluster import learner_groups
from rostrum.trainer.cluster import learners as ray_learners
from rostrum.trainer.cluster.cluster import ClusterError
from rostrum.trainer.config import Config
from rostrum.trainer.cost import OF_THE_MACHINE
from rostrum.trainer.store.run_folder import RunFolder, read_lines
from rostrum.trainer.train import train

pytestmark = pytest.mark.long

NAMES = ("first", "second")
SMALL = (
    "protocol.speakers.A.policy=first",
    "protocol.speakers.B.policy=second",
    "learners={first: {}, second: {algorithm: {learning_rate: 2e-3}}}",
    "algorithm=ppo",
    "algorithm.kl=0.1",
    "algorithm.learning_rate=1e-3",
    "algorithm.epochs=1",
    "algorithm.questions_per_iteration=2",
    "algorithm.debates_per_seating=2",
    "algorithm.minibatches=1",
    "questions.train=20",
    "iterations=2",
    "save_every=1",
    "judge.min_mass=0",
    "heldout_judges=none",
)


@pytest.fixture(scope="module")
def make(tiny: Path, tmp_path_factory: pytest.TempPathFactory) -> Callable[..., Config]:
    folder = tmp_path_factory.mktemp("groups")
    models = (f"debater.model={tiny}/debater", f"judge.model={tiny}/judge")
    return lambda name, *more: compose.load([*SMALL, *models, f"output={folder}/{name}", *more])


@pytest.fixture(scope="module", autouse=True)
def ray_runtime() -> Iterator[None]:
    import ray

    ray.init("local", num_cpus=4, resources={"wide": 6}, include_dashboard=False, log_to_driver=False)
    yield
    ray.shutdown()


@pytest.fixture(scope="module")
def alone(make: Callable[..., Config]) -> Config:
    """A finished run in one process, without DeepSpeed."""
    settings = make("alone")
    train(settings)
    return settings


@pytest.fixture(scope="module")
def apart(make: Callable[..., Config]) -> Config:
    """A finished run of two groups of one rank, with ZeRO-2."""
    settings = make("apart", "cluster=zero2", "cluster.learners=1")
    learner_groups.train(settings, train_rank, environment.quieten)
    return settings


def metrics(settings: Config) -> list[dict[str, Any]]:
    rows = read_lines(RunFolder(settings.output).metrics)
    return [{key: value for key, value in row.items() if key not in OF_THE_MACHINE} for row in rows]


def file_of(settings: Config, iteration: int, policy: str) -> Path:
    return RunFolder(settings.output).policy(iteration) / policy / "model.safetensors"


def check_same_step(ours: Config, theirs: Config) -> None:
    """Compare first iterations: the same debates, and learning as near as sums in another order are in float32.

    Tolerances as in test_deepspeed.py: 1e-3 relative on what the learners tell, and a tenth of the way that the one
    optimizer step moves the weights.
    """
    mine, others = metrics(ours), metrics(theirs)
    assert [row["iteration"] for row in mine] == [*range(1, ours.iterations + 1)]
    assert mine[0].keys() == others[0].keys()
    learned = {f"{name}/{key}" for name in NAMES for key in ("loss", "kl", "grad_norm", "value_loss", "clip_fraction")}
    gaps = {key for key in mine[0] if "parity" in key or "engine_gap" in key}
    assert all(mine[0][key] < 1e-3 for key in gaps) and all(mine[0][f"{name}/grad_norm"] > 0 for name in NAMES)
    padded = {f"{name}/padding_share" for name in NAMES}  # a rank pads its own rows
    for key in mine[0].keys() - learned - gaps - padded:
        assert mine[0][key] == others[0][key], key
    for key in learned:
        assert mine[0][key] == pytest.approx(others[0][key], rel=1e-3, abs=1e-5), key
    for name in NAMES:
        a, b, base = (load_file(file_of(*of, name)) for of in ((ours, 1), (theirs, 1), (ours, 0)))
        off, moved = (sum(float((x[k] - y[k]).abs().sum()) for k in x) for x, y in ((a, b), (a, base)))
        assert moved > 0 and off < 0.1 * moved, (name, off, moved)


def test_groups_learn_what_one_process_learns(apart: Config, alone: Config) -> None:
    check_same_step(apart, alone)
    folder = apart.output / "trainer" / "checkpoint-2"
    assert {path.name for path in folder.iterdir()} == {*NAMES, "rostrum.json"}
    assert file_of(apart, 2, "first").read_bytes() != file_of(apart, 2, "second").read_bytes()


def dies_once(marker: Path, policy: str) -> Callable[[], None]:
    """Called in every rank: the rank of this policy is killed when it is about to learn from the second iteration."""

    def prepare() -> None:
        from rostrum.trainer.learners.policy_gradient import PolicyGradient

        update = PolicyGradient.update

        def die(self: Any, rows: Any, of: Any) -> Any:
            if (of.version, of.name, os.environ["RANK"]) == (1, policy, "0") and not marker.exists():
                marker.touch()
                os.kill(os.getpid(), signal.SIGKILL)
            return update(self, rows, of)

        PolicyGradient.update = die

    return prepare


@pytest.mark.exhaustive
def test_a_killed_rank_changes_nothing(apart: Config, make: Callable[..., Config], tmp_path: Path) -> None:
    """All groups start again, and the first one goes back to the checkpoint after the first iteration, too."""
    killed, marker = make("killed", "cluster=zero2", "cluster.learners=1"), tmp_path / "killed"
    learner_groups.train(killed, train_rank, dies_once(marker, "second"))
    assert marker.exists(), "it was killed"
    assert metrics(killed) == metrics(apart)
    for name in NAMES:
        assert file_of(killed, 2, name).read_bytes() == file_of(apart, 2, name).read_bytes()


@pytest.mark.exhaustive
def test_who_does_not_learn_keeps_its_weights(make: Callable[..., Config]) -> None:
    """To the byte, through ZeRO-3's shards and back, while the other one learns beside it."""

    def loop(settings: Config, groups: Mapping[str, Any]) -> None:
        from rostrum.trainer.run import Run

        train_rank_quietly()
        with Run(settings, groups) as run:
            policies = run.publish(0)
            rows = run.collect(1, policies)
            run.learners["first"].update(rows["first"], policies["first"])
            run.publish(1)

    train_rank_quietly = environment.quieten
    settings = make("still", "cluster=zero3", "cluster.learners=1", "+cluster.resources.learner={wide: 3}")
    learner_groups.train(settings, loop, environment.quieten)
    before, after = ([file_of(settings, at, name).read_bytes() for name in NAMES] for at in (0, 1))
    assert before[0] == before[1] == after[1] != after[0]


@pytest.mark.exhaustive
@pytest.mark.parametrize("overrides", [("algorithm=ppo",), ("debater.lora.rank=4",)], ids=["full", "adapter"])
def test_two_ranks_of_zero3_for_each(make: Callable[..., Config], tmp_path: Path, overrides: tuple[str, ...]) -> None:
    """Killed in the middle, too."""
    name = overrides[0].partition("=")[0]
    runs = [make(f"{name}-{i}", *overrides, "cluster=zero3", "cluster.learners=2") for i in range(2)]
    learner_groups.train(runs[0], train_rank, environment.quieten)
    learner_groups.train(runs[1], train_rank, dies_once(tmp_path / "killed", "first"))
    assert metrics(runs[0]) == metrics(runs[1]) and len(metrics(runs[0])) == 2
    if "lora" not in name:
        one = make(f"{name}-alone", *overrides, "iterations=1")
        train(one)
        check_same_step(runs[0], one)


@pytest.mark.exhaustive
def test_two_ranks_that_have_both_policies(alone: Config, make: Callable[..., Config]) -> None:
    """Without DeepSpeed every rank has every learner."""
    pair = make("pair", "cluster.learners=2", "iterations=1")
    ray_learners.train(pair, train_rank)
    check_same_step(pair, alone)


def test_rollout_workers_play_both_policies(alone: Config, make: Callable[..., Config]) -> None:
    played = make("played", "cluster.rollout_workers=2")
    train(played)
    assert metrics(played) == metrics(alone)
    for name in NAMES:
        assert file_of(played, 2, name).read_bytes() == file_of(alone, 2, name).read_bytes()


def test_room_is_asked_for_all_groups(make: Callable[..., Config]) -> None:
    settings = make("many", "cluster=zero2", "cluster.learners=5", "cluster.rollout_workers=1")
    with pytest.raises(ClusterError, match="11 CPU in 11 actors"):
        learner_groups.train(settings, train_rank, environment.quieten)
