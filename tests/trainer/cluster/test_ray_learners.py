"""Ranks that are actors of Ray learn what one process learns, also when one of them dies."""

import os
import shutil
import signal
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from safetensors.torch import load_file

from rostrum.launch import compose
from rostrum.launch.commands.train import train_rank
from rostrum.launch.errors import sentence
from rostrum.trainer.cluster import cluster as ray_cluster
from rostrum.trainer.cluster import learners as ray_learners
from rostrum.trainer.cluster.cluster import ClusterError
from rostrum.trainer.config import Cluster, Config
from rostrum.trainer.cost import OF_THE_MACHINE
from rostrum.trainer.store.run_folder import RunFolder, read_lines
from rostrum.trainer.train import train

pytestmark = pytest.mark.long

SMALL = (
    "algorithm=ppo",
    "algorithm.kl=0.1",
    "algorithm.learning_rate=1e-3",
    "algorithm.epochs=1",
    "algorithm.questions_per_iteration=2",
    "algorithm.debates_per_seating=2",
    "algorithm.minibatches=1",
    "questions.train=20",
    "iterations=4",
    "save_every=1",
    "judge.min_mass=0",
    "heldout_judges=testimony",
    "monitor.questions=6",
    "monitor.attacks=1",
    "monitor.stop=true",
)


@pytest.fixture(scope="module")
def make(tiny: Path, tmp_path_factory: pytest.TempPathFactory) -> Callable[..., Config]:
    folder = tmp_path_factory.mktemp("learners")
    models = (f"debater.model={tiny}/debater", f"judge.model={tiny}/judge")
    return lambda name, *more: compose.load([*SMALL, *models, f"output={folder}/{name}", *more])


@pytest.fixture(scope="module", autouse=True)
def ray_runtime() -> Iterator[None]:
    import ray

    ray.init("local", num_cpus=5, include_dashboard=False, log_to_driver=False)
    yield
    ray.shutdown()


@pytest.fixture(scope="module")
def pair(make: Callable[..., Config]) -> Config:
    """A finished run of two ranks, which the monitor has stopped after three of four iterations."""
    settings = make("pair", "cluster.learners=2")
    ray_learners.train(settings, after(watchful()))
    return settings


def after(prepare: Callable[[], None]) -> Callable[[Config], None]:
    """Return what a rank does if something is to happen first."""

    def work(settings: Config) -> None:
        prepare()
        train_rank(settings)

    return work


def watchful() -> Callable[[], None]:
    """Called in every actor: the monitor will raise its alarm at the fourth look."""

    def prepare() -> None:
        from rostrum.trainer.evaluation import monitor

        monitor.raises_alarm = lambda suspicious, _: len(suspicious) == 4

    return prepare


def planted(sabotage: Callable[[], None], marker: Path, rank: int) -> Callable[[], None]:
    """Called in every actor: does something to that rank, unless the marker says that it has had its effect."""
    begin = watchful()

    def prepare() -> None:
        begin()
        if int(os.environ["RANK"]) == rank and not marker.exists():
            sabotage()

    return prepare


def metrics(settings: Config) -> list[dict[str, Any]]:
    rows = read_lines(RunFolder(settings.output).metrics)
    return [{key: value for key, value in row.items() if key not in OF_THE_MACHINE} for row in rows]


def debates(settings: Config) -> list[tuple[int, str]]:
    lines = read_lines(RunFolder(settings.output).transcripts)
    return [(line["extra"]["iteration"], line["record"]["provenance"]["match"]) for line in lines]


def looks(settings: Config) -> list[dict[str, Any]]:
    return read_lines(RunFolder(settings.output).monitor)


def weights(settings: Config, iteration: int) -> dict[str, Any]:
    return load_file(RunFolder(settings.output).policy(iteration) / "model.safetensors")


def test_two_ranks_take_one_ranks_step(pair: Config, make: Callable[..., Config]) -> None:
    """Tolerances as in test_deepspeed.py: sums in another order, in float32."""
    alone = make("alone", "iterations=1")
    train(alone)
    together, one = metrics(pair), metrics(alone)
    assert [row["iteration"] for row in together] == [1, 2, 3]
    assert together[0].keys() == one[0].keys()
    for key in ("reward", "debates", "invalid", "entropy", "approval_seat_a", "words_per_speech"):
        assert together[0][key] == one[0][key], key
    for key in ("loss", "kl", "grad_norm", "value_loss"):
        assert together[0][key] == pytest.approx(one[0][key], rel=1e-3, abs=1e-5), key
    assert together[0]["grad_norm"] > 0
    ours, theirs, base = weights(pair, 1), weights(alone, 1), weights(pair, 0)
    off, moved = (sum(float((a[k] - b[k]).abs().sum()) for k in a) for a, b in ((ours, theirs), (ours, base)))
    assert moved > 0 and off < 0.1 * moved, (off, moved)


def test_the_watch_ends_the_training_of_all_ranks(pair: Config) -> None:
    """Rank 0 decides and the other one ends with it; a run that was stopped stays as it is."""
    folder = RunFolder(pair.output)
    assert [look["stop"] for look in looks(pair)] == [False, False, False, True]
    assert folder.stopped() == 3 == folder.final(pair.iterations) and folder.published() == [0, 1, 2, 3]
    before = folder.metrics.read_bytes(), folder.monitor.read_bytes()
    assert train(pair) == folder.policy(3)
    assert (folder.metrics.read_bytes(), folder.monitor.read_bytes()) == before


@pytest.mark.exhaustive
@pytest.mark.parametrize("rank", [0, 1])
def test_a_killed_learner_changes_nothing(pair: Config, make: Callable[..., Config], tmp_path: Path, rank: int) -> None:
    """It is killed when it is about to learn from the second iteration, whose debates rank 0 has recorded by then.
    They were played by a rollout worker, which ends and starts again with rank 0, as do the judges' two workers; there
    is no room to spare, and rank 0 cannot give back what it has reserved for the judges when it is killed itself."""
    marker = tmp_path / "killed"

    def sabotage() -> None:
        from rostrum.trainer.learners.policy_gradient import PolicyGradient

        update = PolicyGradient.update

        def die(self: Any, rows: Any, policy: Any) -> Any:
            if policy.version == 1:
                marker.touch()
                os.kill(os.getpid(), signal.SIGKILL)
            return update(self, rows, policy)

        PolicyGradient.update = die

    killed = make(f"killed{rank}", "cluster.learners=2", "cluster.rollout_workers=1", "cluster.judge_workers=1")
    ray_learners.train(killed, after(planted(sabotage, marker, rank)))
    assert marker.exists(), "it was killed"
    assert metrics(killed) == metrics(pair) and looks(killed) == looks(pair)
    assert debates(killed) == debates(pair) and len(set(debates(killed))) == len(debates(killed)) == 24
    name = "policies/iteration-0003/model.safetensors"
    assert (killed.output / name).read_bytes() == (pair.output / name).read_bytes()


def test_one_rank_goes_on_where_two_left_off(pair: Config, make: Callable[..., Config]) -> None:
    moved = make("moved", "iterations=3", "monitor.stop=false")
    shutil.copytree(pair.output, moved.output)
    RunFolder(moved.output).monitor.unlink()
    newest = RunFolder(moved.output).checkpoint()
    assert newest is not None and newest[1]["iteration"] == 3
    shutil.rmtree(newest[0])
    train(moved)
    ours, theirs = metrics(moved), metrics(pair)
    assert ours[:2] == theirs[:2] and ours[2]["debates"] == 8
    assert ours[2]["reward"] == theirs[2]["reward"], "the same policy plays the same debates"
    assert ours[2]["loss"] == pytest.approx(theirs[2]["loss"], rel=1e-3, abs=1e-5)


def test_what_an_actor_cannot_do_is_told_in_a_sentence(make: Callable[..., Config], tmp_path: Path) -> None:
    """The disk fills up while the second policy is published; nothing half-written stays, and the run can go on."""
    marker = tmp_path / "full"

    def sabotage() -> None:
        import transformers
        from safetensors import SafetensorError

        save = transformers.PreTrainedModel.save_pretrained

        def full(self: Any, folder: Any, *arguments: Any, **named: Any) -> None:
            if "iteration-0001" in str(folder):
                marker.touch()
                Path(folder).mkdir(exist_ok=True)
                (Path(folder) / "config.json").touch()
                raise SafetensorError("Error while serializing: I/O error: No space left on device (os error 28)")
            save(self, folder, *arguments, **named)

        transformers.PreTrainedModel.save_pretrained = full

    settings = make("full", "cluster.learners=1", "iterations=2", "monitor.questions=0")
    with pytest.raises(Exception, match="No space left") as caught:
        ray_learners.train(settings, after(planted(sabotage, marker, rank=0)))
    assert "The disk is full" in (sentence(caught.value) or "")
    assert RunFolder(settings.output).published() == [0]
    train(settings)
    assert [row["iteration"] for row in metrics(settings)] == [1, 2]
    assert RunFolder(settings.output).published() == [0, 1, 2]


def test_learners_that_keep_dying_end_the_run(make: Callable[..., Config]) -> None:
    settings = make("dying", "cluster.learners=1")

    def suicide() -> None:
        os.kill(os.getpid(), signal.SIGKILL)

    with pytest.raises(ray_learners.LearnerError, match=f"lost 4 times .*rostrum train resume={settings.output}"):
        ray_learners.train(settings, after(suicide))


def test_more_learners_than_the_cluster_holds_are_refused(make: Callable[..., Config]) -> None:
    with pytest.raises(ClusterError, match="9 CPU in 9 actors"):
        ray_learners.train(make("many", "cluster.learners=9"), train_rank)


def test_a_gpu_is_asked_for_where_the_cluster_has_one(monkeypatch: pytest.MonkeyPatch) -> None:
    import ray

    assert ray_cluster.learner_bundle(Cluster()) == {"CPU": 1}
    monkeypatch.setattr(ray, "cluster_resources", lambda: {"CPU": 8.0, "GPU": 8.0})
    assert ray_cluster.learner_bundle(Cluster()) == {"CPU": 1, "GPU": 1}
    assert ray_cluster.learner_bundle(Cluster(gpus_per_learner=0.5)) == {"CPU": 1, "GPU": 0.5}
    assert ray_cluster.rollout_bundle(Cluster(gpus_per_worker=0.2)) == {"CPU": 1, "GPU": 0.2}
