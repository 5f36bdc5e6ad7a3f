"""One update stale: who plays what and who learns it, how tokens are weighed, and that neither processes nor a cut-off
change anything."""

import itertools
import multiprocessing
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import torch

from rostrum.launch import compose
from rostrum.trainer.algorithms import rloo
from rostrum.trainer.config import Config
from rostrum.trainer.cost import OF_THE_MACHINE
from rostrum.trainer.engines.transformers.causal import TransformersEngine
from rostrum.trainer.learners.policy_gradient import importance
from rostrum.trainer.opponents.lineup import opponents
from rostrum.trainer.rollouts.ahead import Abandoned, Ahead
from rostrum.trainer.run_context import RunContext
from rostrum.trainer.section import SectionError
from rostrum.trainer.store.run_folder import RunFolder, read_lines
from rostrum.trainer.train import train
from tests.trainer.watched_learner import DEBATES, Cut, Watched, WatchedSettings

pytestmark = pytest.mark.long

Alone = tuple[Config, list[Any], list[Any]]
STALE = (
    "algorithm.staleness=1",
    "iterations=4",
    "save_every=2",
    "algorithm.learning_rate=3e-3",
    "cluster.shard_size=4",
)
APART = ("cluster.rollout_workers=1", "cluster.judge_workers=1")
SMALL = (
    "algorithm=ppo",
    "algorithm.questions_per_iteration=2",
    "algorithm.debates_per_seating=2",
    "algorithm.minibatches=1",
    "questions.train=12",
    "judge.min_mass=0",
    "heldout_judges=none",
)


@pytest.fixture(scope="module")
def make(tiny: Path, tmp_path_factory: pytest.TempPathFactory) -> Callable[..., Config]:
    """Makes the configuration of a run whose updates are watched."""
    folder = tmp_path_factory.mktemp("stale")
    models = (f"debater.model={tiny}/debater", f"judge.model={tiny}/judge")

    def made(name: str, *words: str) -> Config:
        config = compose.load([*SMALL, *models, *STALE, f"output={folder}/{name}", *words])
        return config.model_copy(update={"algorithm": WatchedSettings.model_validate(config.algorithm.model_dump())})

    return made


@pytest.fixture(scope="module")
def alone(make: Callable[..., Config]) -> Alone:
    """A run in one process that kept all policies, and what its updates were given."""
    config = make("alone", "evaluation.checkpoints=[1,2,3]")
    Watched.seen, Watched.weighed = [], []
    train(config)
    return config, Watched.seen, Watched.weighed


@pytest.fixture(autouse=True)
def unhurried() -> Iterator[None]:
    yield
    Watched.seen, Watched.weighed, Watched.awaited, Watched.cut_at = [], [], 0, 0


def recorded(config: Config) -> tuple[list[Any], list[Any], bytes]:
    """Return all that a run leaves behind and that does not depend on the machine."""
    folder = RunFolder(config.output)
    metrics = [
        {key: value for key, value in row.items() if key not in OF_THE_MACHINE} for row in read_lines(folder.metrics)
    ]
    weights = folder.policy(config.iterations) / "model.safetensors"
    return metrics, read_lines(folder.transcripts), weights.read_bytes()


def test_a_batch_is_played_by_one_policy_and_learned_by_the_next(alone: Alone) -> None:
    """From the weights themselves: an engine with what was published before the last update gives each sampled token
    the log-probability that it was sampled with, one with what is published now that of the learner."""
    config, seen, _ = alone
    folder, lines = RunFolder(config.output), read_lines(RunFolder(config.output).metrics)
    assert [policy.version for policy, _, _ in seen] == [0, 1, 2, 3]
    assert [line["policy_version"] for line in lines] == [0, 0, 1, 2]
    for iteration, (_, rows, learner) in enumerate(seen, 1):
        assert {of.policy_version for of in rows} == {max(iteration - 2, 0)}
        tokens = [[*of.row.prompt, *of.row.completion] for of in rows]
        player, now = (
            TransformersEngine(str(folder.policy(version))).logprobs(tokens)
            for version in (max(iteration - 2, 0), iteration - 1)
        )
        for of, of_player, of_now, of_learner in zip(rows, player, now, learner, strict=True):
            own = [len(of.row.prompt) - 1 + place for place, mine in enumerate(of.row.mask) if mine]
            sampled = [value for value, mine in zip(of.row.logprobs, of.row.mask, strict=True) if mine]
            assert [of_player[place] for place in own] == pytest.approx(sampled, abs=1e-4)
            assert [of_now[place] for place in own] == pytest.approx([of_learner[place] for place in own], abs=1e-4)
    gaps = [line["engine_gap_mean"] for line in lines]
    assert gaps[0] < 1e-4 and min(gaps[1:]) > 1e-3, "only the first batch is not stale"


def test_every_token_is_weighed_whatever_the_difference(alone: Alone) -> None:
    """In float32 too, and in the first batch, where nothing comes of it."""
    _, _, batches = alone
    for plain, batch in batches:
        assert torch.equal(batch["advantages"], plain * importance(batch, 2.0))
    moved = [float((batch["advantages"] - plain).abs().max()) for plain, batch in batches]
    assert 0 < moved[0] < 1e-3 < min(moved[1:])


@pytest.mark.parametrize("awaited", [DEBATES, pytest.param(0, marks=pytest.mark.exhaustive)])
def test_it_is_the_same_run_wherever_and_whenever_debates_are_played(
    alone: Alone, make: Callable[..., Config], awaited: int
) -> None:
    """In turns in one process, or by a worker and a judge on Ray: at their own pace, or all of them before each update,
    which cannot end unless the next debates are played and judged while the learner is at work."""
    config = make(f"apart-{awaited}", *APART)
    Watched.awaited = awaited
    train(config)
    assert recorded(config) == recorded(alone[0])
    assert not (RunFolder(config.output).judging / "training.jsonl").exists()
    told, of_alone = (read_lines(RunFolder(of.output).metrics) for of in (config, alone[0]))
    assert ["waiting_seconds" in line for line in told] == [True, True, True, False]
    assert not any("waiting_seconds" in line for line in of_alone)


@pytest.mark.parametrize(
    ("first", "then"), [(APART, ()), pytest.param((), (), marks=pytest.mark.exhaustive)], ids=["apart", "in turns"]
)
def test_cut_off_while_the_next_batch_is_half_judged(
    alone: Alone, make: Callable[..., Config], first: tuple[str, ...], then: tuple[str, ...]
) -> None:
    """In the third iteration, after the checkpoint of the second: the third batch is played again by the policy before
    that checkpoint's, and the run need not go on where it was begun."""
    broken, mended = (make(f"broken-{len(first)}", *words) for words in (first, then))
    Watched.cut_at, Watched.awaited = 3, DEBATES // 2 if first else 0
    with pytest.raises(Cut):
        train(broken)
    assert RunFolder(broken.output).published() == [0, 1, 2]
    Watched.cut_at = Watched.awaited = 0
    train(mended)
    assert recorded(mended) == recorded(alone[0])
    assert RunFolder(mended.output).published() == [0, 2, 4], "who plays after a checkpoint is needed no more"


@pytest.mark.exhaustive
def test_killed_while_the_next_batch_is_in_flight(alone: Alone, make: Callable[..., Config]) -> None:
    """By the system, which leaves nobody time for anything: the second iteration is recorded, and of the debates that
    were played ahead at least one shard is judged."""
    config = make("killed", *APART)
    folder = RunFolder(config.output)
    process = multiprocessing.get_context("spawn").Process(target=train, args=(config,))
    process.start()
    deadline = time.monotonic() + 400
    while count(folder.metrics) < 2 or count(folder.judging / "training.jsonl") <= DEBATES:
        assert process.is_alive() and time.monotonic() < deadline
        time.sleep(0.01)
    process.kill()
    process.join()
    train(config)
    assert recorded(config) == recorded(alone[0])


def count(path: Path) -> int:
    """Return how many whole lines a file has."""
    return path.read_bytes().count(b"\n") if path.exists() else 0


def test_pairs_of_the_policy_before(configure: Callable[..., Config]) -> None:
    config = configure("algorithm=dpo", "algorithm.min_gap=0", *STALE, "iterations=3")
    train(config)
    lines = read_lines(RunFolder(config.output).metrics)
    assert [line["policy_version"] for line in lines] == [0, 0, 1]
    assert lines[0]["engine_gap_mean"] < 1e-4 < lines[2]["engine_gap_mean"]


def test_weights_make_the_gradient_that_of_the_learners_own_tokens() -> None:
    """By enumeration: the policy before sampled tokens with b = (.5, .3, .2), the learner has p = (.4, .4, .2), both
    clipped terms begin at a ratio of 1. The mean of w min(r A, clip(r) A) over b has the gradient of the mean of A over
    p: dJ/dlogit_k = p_k (A_k - mean of A). With weights cut at 1.2 the second token counts for .3 * 1.2 = .36, not .4.
    """
    b, logits = torch.tensor([0.5, 0.3, 0.2]), torch.tensor([0.4, 0.4, 0.2]).log().requires_grad_()
    advantage = torch.tensor([1.0, -2.0, 0.5])
    now = logits.log_softmax(0)
    batch = {
        "completion_mask": torch.ones(1, 3), "tool_mask": torch.ones(1, 3),
        "old_per_token_logps": now.detach()[None], "sampling_per_token_logps": b.log()[None],
    }  # fmt: skip
    for most, counts in ((2.0, [0.4, 0.4, 0.2]), (1.2, [0.4, 0.36, 0.2])):
        weighed = advantage * importance(batch, most)[0]
        ratio = (now - now.detach()).exp()
        (b * torch.min(ratio * weighed, ratio.clamp(0.8, 1.2) * weighed)).sum().backward(retain_graph=True)
        share = torch.tensor(counts) * advantage
        expected = share - torch.tensor([0.4, 0.4, 0.2]) * share.sum()
        assert logits.grad is not None and torch.allclose(logits.grad, expected, atol=1e-6)
        logits.grad = None


def test_stale_tokens_are_weighed_whatever_the_difference(configure: Callable[..., Config]) -> None:
    auto = configure("algorithm=rloo", "algorithm.staleness=1").algorithm
    assert isinstance(auto, rloo.Settings) and auto.most_importance("float32") == 2.0
    with pytest.raises(Exception, match="leave tis out, or set it to a number"):
        configure("algorithm=rloo", "algorithm.staleness=1", "algorithm.tis=null")
    own = "learners={first: {}, second: {algorithm: {staleness: 1}}}"
    with pytest.raises(Exception, match="play alike"):
        configure(own, "protocol.speakers.A.policy=first", "protocol.speakers.B.policy=second")


def test_nothing_is_told_of_it_where_it_is_off(configure: Callable[..., Config]) -> None:
    assert "staleness" not in configure().algorithm.model_dump()
    assert configure("algorithm.staleness=1").algorithm.model_dump()["staleness"] == 1


def test_engines_cannot_sleep_while_they_play(configure: Callable[..., Config]) -> None:
    config = configure("algorithm.staleness=1", "cluster.sleep=true", "debater.engine=vllm")
    with pytest.raises(SectionError, match="leave one of the two out"):
        config.algorithm.check(RunContext(config))


@pytest.mark.parametrize(("workers", "judges", "apart"), [(0, 0, False), (1, 0, False), (0, 1, False), (1, 1, True)])
def test_debates_go_on_meanwhile_where_nothing_of_them_is_computed_here(
    configure: Callable[..., Config], workers: int, judges: int, apart: bool
) -> None:
    config = configure(f"cluster.rollout_workers={workers}", f"cluster.judge_workers={judges}")
    assert config.plays_apart is apart


def test_what_is_done_ahead_is_taken_once_and_its_errors_too() -> None:
    ahead, calls = Ahead[int](), itertools.count()
    assert ahead.take(1, lambda: 5)() == 5
    ahead.begin(2, lambda: next(calls))
    ahead.wait()
    assert (ahead.take(2, lambda: 9)(), ahead.take(2, lambda: 9)()) == (0, 9)

    def fail() -> int:
        raise OSError("gone")

    ahead.begin(3, fail)
    ahead.wait()
    with pytest.raises(OSError, match="gone"):
        ahead.take(3, lambda: 9)()
    ahead.check_wanted()
    ahead.close()
    with pytest.raises(Abandoned):
        ahead.check_wanted()


def test_a_league_holds_who_came_before_the_policy_that_plays(configure: Callable[..., Config]) -> None:
    league: Any = opponents(configure("opponent=league", "algorithm.staleness=1"))
    assert [league.snapshots(iteration) for iteration in (1, 2, 3, 4, 5)] == [[0], [0], [0], [0, 1], [0, 1, 2]]
