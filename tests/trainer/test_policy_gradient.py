"""Policy gradients through TRL's loss: the batch that it is given, that it learns, and what it must not learn from."""

import math
from collections.abc import Callable, Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

from rostrum.rewards.types import Verdict
from rostrum.trainer.algorithms.settings import AlgorithmError
from rostrum.trainer.config import Config
from rostrum.trainer.engines.transformers.causal import TransformersEngine
from rostrum.trainer.learners.clipped_surrogate import ClippedSurrogate, speech_ratios
from rostrum.trainer.learners.policy_gradient import ROUNDING, PolicyGradient, importance
from rostrum.trainer.rollouts.unjudged import NothingJudgedError
from rostrum.trainer.store.run_folder import RunFolder, read_lines
from rostrum.trainer.train import train
from rostrum.trainer.types import Policy, Trajectory

LEARNING = (
    "protocol=consultancy",
    "iterations=4",
    "algorithm.questions_per_iteration=12",
    "algorithm.learning_rate=1e-2",
    "algorithm.epochs=2",
    "algorithm.minibatches=2",
    "algorithm.kl=0.001",
)


Seen = list[tuple[Sequence[Trajectory], dict[str, torch.Tensor]]]


@pytest.fixture
def batches(monkeypatch: pytest.MonkeyPatch) -> Seen:
    """The rows of every update, and the batch that TRL's loss is given for them."""
    seen: Seen = []
    update, learn = PolicyGradient.update, ClippedSurrogate.learn

    def of_rows(self: PolicyGradient, rows: Sequence[Trajectory], policy: Policy) -> dict[str, float]:
        seen.append((rows, {}))
        return update(self, rows, policy)

    def of_batch(self: ClippedSurrogate, batch: dict[str, torch.Tensor], order: torch.Tensor) -> dict[str, float]:
        seen[-1][1].update({name: tensor.clone() for name, tensor in batch.items()})
        return learn(self, batch, order)

    monkeypatch.setattr(PolicyGradient, "update", of_rows)
    monkeypatch.setattr(ClippedSurrogate, "learn", of_batch)
    return seen


def weights(folder: Path) -> dict[str, torch.Tensor]:
    return load_file(folder / "model.safetensors")


@pytest.mark.parametrize("algorithm", ["rloo", "ppo"])
def test_the_batch_is_what_trl_expects_and_what_was_sampled(
    configure: Callable[..., Config],
    plant: Callable[..., Any],
    batches: Seen,
    algorithm: str,
) -> None:
    plant(invalid_every=3)
    train(configure(f"algorithm={algorithm}", "algorithm.kl=0.1"))
    ((rows, batch),) = batches
    expected = {
        "prompt_ids",
        "prompt_mask",
        "completion_ids",
        "completion_mask",
        "advantages",
        "num_items_in_batch",
        "old_per_token_logps",
        "sampling_per_token_logps",
        "ref_per_token_logps",
        "tool_mask",
        "speeches",
    }
    assert set(batch) == expected | ({"returns"} if algorithm == "ppo" else set())
    shape = batch["completion_ids"].shape
    assert shape[0] == 12 == len(rows), "two of eight verdicts were INVALID, and nobody learns from them"
    assert batch["prompt_ids"].shape == batch["prompt_mask"].shape
    for key in expected - {"prompt_ids", "prompt_mask", "num_items_in_batch"}:
        assert batch[key].shape == shape, key
    sampled = (batch["completion_mask"] * batch["tool_mask"]).bool()
    assert batch["num_items_in_batch"] == sampled.sum()
    assert not batch["advantages"][~sampled].any() and batch["advantages"][sampled].abs().sum() > 0
    for i, trajectory in enumerate(rows):
        length = len(trajectory.row.completion)
        assert tuple(batch["completion_ids"][i, :length].tolist()) == trajectory.row.completion
        assert tuple(sampled[i, :length].int().tolist()) == trajectory.row.mask and not sampled[i, length:].any()
        prompt = batch["prompt_ids"][i][batch["prompt_mask"][i].bool()]
        assert tuple(prompt.tolist()) == trajectory.row.prompt
    learner, engine = batch["old_per_token_logps"], batch["sampling_per_token_logps"]
    assert torch.allclose(learner[sampled], engine[sampled], atol=1e-4), "the learner is what sampled"
    assert torch.allclose(learner[sampled], batch["ref_per_token_logps"][sampled], atol=1e-4), (
        "and starts as the reference"
    )


def test_a_row_for_each_speech_is_credited_as_one_row_for_all_would_be(
    configure: Callable[..., Config], plant: Callable[..., Any], batches: Seen
) -> None:
    """Values are 0 before the first update: a speech's last token has what was paid for it, and lambda times what the
    first token of the side's next speech has."""
    plant(invalid_every=3)
    words = ("algorithm=ppo", "debater.rows=speech", "algorithm.normalise_advantages=false", "algorithm.lam=0.5")
    train(configure(*words, "reward.unverified_quote_penalty=0.25", "algorithm.gamma=1"))
    ((rows, batch),) = batches
    followed = [i for i, t in enumerate(rows) if not t.last]
    assert len(followed) == 12 and len(rows) == 24
    for i in followed:
        one, other = rows[i], rows[i + 1]
        assert one.side is other.side and one.turns < other.turns
        passed_on = batch["advantages"][i, len(one.row.completion) - 1] - one.reward.shaping[-1]
        assert passed_on == pytest.approx(0.5 * float(batch["advantages"][i + 1, 0]), abs=1e-6)


def test_a_value_is_read_where_its_token_is_predicted() -> None:
    """Six positions, the last two of them the completion: their values stand at positions 3 and 4."""
    trainer = SimpleNamespace(_values=torch.arange(6.0)[None])
    assert ClippedSurrogate._take_values(trainer, 2).tolist() == [[3, 4]]  # type: ignore[arg-type]
    assert trainer._values is None, "values are used once"


def _role(trajectory: Trajectory) -> tuple[str, bool, str]:
    return trajectory.question_id, trajectory.swapped_seats, trajectory.speaker


def test_group_advantages_are_those_of_the_speeches(
    configure: Callable[..., Config], plant: Callable[..., Any], batches: Seen
) -> None:
    """Two debates per question and seating: each speech's advantage is the difference of the two returns, also where
    one of the two made the judge unreadable."""
    plant(3, "speech")
    train(configure("algorithm=rloo", "algorithm.normalise_advantages=false"))
    ((rows, batch),) = batches
    for i, trajectory in enumerate(rows):
        (sibling,) = [t for t in rows if t is not trajectory and _role(t) == _role(trajectory)]
        ends = list(trajectory.row.ends)
        expected = [a - b for a, b in zip(trajectory.returns, sibling.returns, strict=True)]
        assert batch["advantages"][i, ends].tolist() == pytest.approx(expected, abs=1e-6)


def test_gae_starts_from_a_critic_that_knows_nothing(
    configure: Callable[..., Config], plant: Callable[..., Any], batches: Seen
) -> None:
    """A new value head says 0, so with gamma = lambda = 1 advantage and return of every token are the side's return."""
    plant()
    train(configure("algorithm=ppo", "algorithm.normalise_advantages=false"))
    ((rows, batch),) = batches
    for i, trajectory in enumerate(rows):
        own = np.flatnonzero(trajectory.row.mask)
        assert batch["advantages"][i, own].tolist() == pytest.approx([trajectory.reward.total] * len(own), abs=1e-5)
        assert batch["returns"][i, own].tolist() == pytest.approx([trajectory.reward.total] * len(own), abs=1e-5)


@pytest.mark.parametrize("algorithm", ["rloo", "rae", "ppo", "gspo"])
def test_it_learns_what_the_judge_likes(
    configure: Callable[..., Config], plant: Callable[..., Any], algorithm: str
) -> None:
    plant()
    settings = configure(*LEARNING, f"algorithm={algorithm}", *(["algorithm.clip=0.2"] if algorithm == "gspo" else []))
    train(settings)
    rows = read_lines(RunFolder(settings.output).metrics)
    assert [row["iteration"] for row in rows] == [1, 2, 3, 4] == [row["policy_version"] + 1 for row in rows]
    assert rows[-1]["reward"] > rows[0]["reward"] + 0.5, [row["reward"] for row in rows]
    assert all(row["kl"] >= 0 for row in rows) and rows[-1]["kl"] > rows[0]["kl"]
    assert all(row["parity"] < 1e-3 for row in rows)
    assert ("value_loss" in rows[0]) == (algorithm == "ppo")


def test_the_critic_learns(configure: Callable[..., Config], plant: Callable[..., Any]) -> None:
    """Every consultant earns two nats whatever it says: the value loss falls from 2 squared."""
    plant(says=Verdict("planted", 1 / (1 + math.exp(-2)), None))
    settings = configure(*LEARNING, "algorithm=ppo", "iterations=3")
    train(settings)
    losses = [row["value_loss"] for row in read_lines(RunFolder(settings.output).metrics)]
    assert 2 < losses[0] <= 4 and losses[2] < losses[0] / 2


@pytest.mark.parametrize("algorithm", ["rloo", "rae", "ppo"])
def test_a_training_without_a_valid_verdict_stops(
    configure: Callable[..., Config], plant: Callable[..., Any], algorithm: str
) -> None:
    plant(invalid_every=1)
    settings = configure(f"algorithm={algorithm}")
    with pytest.raises(NothingJudgedError, match="not one valid verdict in iteration 1: 8 verdicts.* because planted"):
        train(settings)
    assert RunFolder(settings.output).published() == [0]


def test_valid_verdicts_train_something(
    configure: Callable[..., Config], plant: Callable[..., Any], tiny: Path
) -> None:
    plant()
    before, after = weights(tiny / "debater"), weights(train(configure()))
    assert before.keys() == after.keys() and any(not torch.equal(before[name], after[name]) for name in before)


@pytest.mark.parametrize("algorithm", ["rloo", "ppo"])
def test_an_adapter_is_trained_published_and_served(
    configure: Callable[..., Config], plant: Callable[..., Any], tiny: Path, algorithm: str
) -> None:
    plant()
    settings = configure(
        "debater.lora.rank=4", f"algorithm={algorithm}", "iterations=2", "algorithm.learning_rate=1e-2"
    )
    final = train(settings)
    assert {"adapter_config.json", "adapter_model.safetensors"} <= {path.name for path in final.iterdir()}
    assert not (final / "model.safetensors").exists()
    assert not any("value_head" in name for name in load_file(final / "adapter_model.safetensors"))
    rows = read_lines(RunFolder(settings.output).metrics)
    assert all(row["parity"] < 1e-3 for row in rows) and rows[1]["kl"] > 0
    served, base = (TransformersEngine(str(path)).logprobs([[5, 6, 7, 8, 9]]) for path in (final, tiny / "debater"))
    assert served[0] != pytest.approx(base[0], abs=1e-3)


def test_the_value_head_is_not_published(
    configure: Callable[..., Config], plant: Callable[..., Any], tiny: Path
) -> None:
    plant()
    final = train(configure("algorithm=ppo"))
    assert weights(final).keys() == weights(tiny / "debater").keys()


@pytest.mark.parametrize(("rows", "world", "micro"), [(15, 1, None), (16, 3, None), (16, 1, 3), (1, 1, None)])
def test_rows_that_do_not_divide_are_refused(
    configure: Callable[..., Config], rows: int, world: int, micro: int | None
) -> None:
    algorithm = configure("algorithm.minibatches=2", f"algorithm.micro_batch_rows={micro or 'null'}").algorithm
    with pytest.raises(AlgorithmError, match="do not divide.*change algorithm.minibatches"):
        algorithm.check_rows(rows, world)


def test_places_that_are_left_over_are_filled_with_rows_that_weigh_nothing(
    configure: Callable[..., Config], plant: Callable[..., Any], batches: Seen, tmp_path: Path
) -> None:
    """Sixteen rows in three minibatches of six leave two places over. What the sixteen are worth is what it is in one
    minibatch, where none is left over; micro-batches of four and two are learned from all the same."""
    learned = []
    for minibatches in (3, 1):
        plant()
        settings = configure(
            f"output={tmp_path}/{minibatches}",
            f"algorithm.minibatches={minibatches}",
            "algorithm.epochs=1",
            "algorithm.micro_batch_rows=4",
            "algorithm=ppo",
        )
        train(settings)
        learned.append(read_lines(RunFolder(settings.output).metrics)[0])
    (rows, filled), (_, whole) = batches
    assert len(rows) == 16 and len(filled["completion_ids"]) == 18 and len(whole["completion_ids"]) == 16
    assert not (filled["tool_mask"] * filled["completion_mask"])[16:].any() and not filled["advantages"][16:].any()
    assert filled["num_items_in_batch"] == whole["num_items_in_batch"]
    for name in ("advantages", "returns", "old_per_token_logps"):
        assert torch.allclose(filled[name][:16], whole[name], atol=1e-5), name
    assert all(row["grad_norm"] > 0 for row in learned)


def test_the_ratio_of_a_speech_is_the_mean_over_its_own_tokens() -> None:
    """Two speeches in one row, of two and three sampled tokens, with one that was told between them: the logarithms of
    their ratios are (1 + 3) / 2 and (3 + 0 + 6) / 3, and the gradient still flows through each token."""
    change = torch.tensor([[1.0, 3.0, 9.0, 3.0, 0.0, 6.0]])
    batch = {
        "completion_mask": torch.ones(1, 6), "tool_mask": torch.tensor([[1, 1, 0, 1, 1, 1]]),
        "speeches": torch.tensor([[0, 0, 1, 1, 1, 1]]), "old_per_token_logps": torch.full((1, 6), -5.0),
    }  # fmt: skip
    now = (batch["old_per_token_logps"] + change).requires_grad_()
    ratio = now - speech_ratios(now.detach(), batch)
    assert ratio.tolist() == [[2, 2, 3, 3, 3, 3]]
    (gradient,) = torch.autograd.grad(ratio.sum(), now)
    assert gradient.tolist() == [[1] * 6]


def test_importance_is_cut_off_and_only_of_sampled_tokens() -> None:
    """By hand: exp(-1.0 + 1.5) = 1.6487; exp(-1.0 + 2.5) = 4.48, cut to 2; exp(-1.5 + 1.0) = 0.6065; told: 1."""
    batch = {
        "completion_mask": torch.ones(1, 4), "tool_mask": torch.tensor([[1, 1, 1, 0]]),
        "old_per_token_logps": torch.tensor([[-1.0, -1.0, -1.5, -9.0]]),
        "sampling_per_token_logps": torch.tensor([[-1.5, -2.5, -1.0, -0.0]]),
    }  # fmt: skip
    weights = importance(batch, 2.0)
    assert weights.tolist()[0] == pytest.approx([1.6487, 2, 0.6065, 1], abs=1e-4)
    ratio, advantage, clip = torch.tensor([[0.5, 1.5, 1.0, 1.0]]), torch.tensor([[-1.0, 1.0, 2.0, 0.0]]), (0.8, 1.2)
    surrogate = torch.min(ratio * advantage, ratio.clamp(*clip) * advantage)
    weighted = torch.min(ratio * advantage * weights, ratio.clamp(*clip) * advantage * weights)
    assert torch.allclose(weighted, weights * surrogate), "the update of TRL's own correction, which weighs the loss"


@pytest.mark.parametrize(
    ("dtype", "tis", "weighed"), [("bfloat16", "auto", 2.0), ("bfloat16", "1.001", 1.001), ("float32", "2", None)]
)
def test_what_the_engine_sampled_otherwise_is_weighed(
    configure: Callable[..., Config],
    plant: Callable[..., Any],
    batches: Seen,
    tmp_path: Path,
    dtype: str,
    tis: str,
    weighed: float | None,
) -> None:
    """In bfloat16 engine and learner differ by more than rounding in float32, where nothing is weighed."""
    for choice in ("null", tis):
        plant()
        common = ("algorithm=rloo", f"debater.dtype={dtype}", "parity_tolerance=1", f"output={tmp_path}/{choice}")
        train(configure(*common, f"algorithm.tis={choice}"))
    (_, plain), (_, corrected) = batches
    gap = (plain["old_per_token_logps"] - plain["sampling_per_token_logps"])[plain["tool_mask"].bool()].abs().mean()
    if weighed is None:
        assert gap < ROUNDING and torch.equal(corrected["advantages"], plain["advantages"])
        return
    assert gap > ROUNDING
    assert torch.equal(corrected["advantages"], plain["advantages"] * importance(plain, weighed))
    assert not torch.equal(corrected["advantages"], plain["advantages"])


def test_a_speech_is_clipped_as_a_whole(
    configure: Callable[..., Config], plant: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    """After a first step on the same rows, TRL's ratios are one number for each speech."""
    seen: list[tuple[torch.Tensor, dict[str, torch.Tensor]]] = []

    def spy(now: torch.Tensor, batch: dict[str, torch.Tensor]) -> torch.Tensor:
        old = speech_ratios(now, batch)
        seen.append((now - old, {name: tensor.clone() for name, tensor in batch.items()}))
        return old

    monkeypatch.setattr("rostrum.trainer.learners.clipped_surrogate.speech_ratios", spy)
    plant()
    train(configure("algorithm=gspo", "algorithm.epochs=2", "algorithm.learning_rate=1e-2"))
    assert len(seen) == 2
    log_ratio, batch = seen[-1]
    mask = (batch["completion_mask"] * batch["tool_mask"]).bool()
    assert log_ratio[mask].abs().max() > 1e-3
    for row, speeches, own in zip(log_ratio, batch["speeches"], mask, strict=True):
        for number in speeches[own].unique():
            of_speech = row[own & (speeches == number)]
            assert (of_speech - of_speech[0]).abs().max() < 1e-5


def test_accumulated_gradients_are_those_of_the_whole_minibatch(
    configure: Callable[..., Config], plant: Callable[..., Any], tmp_path: Path
) -> None:
    """Four micro-batches of four rows and one of sixteen take the same step, but for rounding; value loss included."""
    results = []
    for micro in (4, 16):
        plant(invalid_every=5)
        settings = configure(
            f"output={tmp_path}/{micro}",
            f"algorithm.micro_batch_rows={micro}",
            "algorithm.epochs=1",
            "algorithm=ppo",
            "algorithm.kl=0.1",
        )
        train(settings)
        results.append(read_lines(RunFolder(settings.output).metrics)[0])
    split, whole = results
    assert split["grad_norm"] == pytest.approx(whole["grad_norm"], rel=1e-4)
    assert split["reward"] == whole["reward"]


@pytest.mark.parametrize("words", [("algorithm=ppo",), ("algorithm=rloo", "debater.lora.rank=4"), ("algorithm=gspo",)])
def test_a_shared_prefix_is_another_way_to_the_same_step(
    configure: Callable[..., Config], plant: Callable[..., Any], batches: Seen, tmp_path: Path, words: tuple[str, ...]
) -> None:
    """One step on all rows: values, reference and old log-probabilities, loss and gradient are those of padded rows."""
    plain = ("algorithm.minibatches=1", "algorithm.epochs=1", "algorithm.kl=0.1")
    found = {}
    for how in ("never", "always"):
        plant()
        train(configure(*words, *plain, f"output={tmp_path}/{how}", f"algorithm.share_prefix={how}"))
        found[how] = read_lines(RunFolder(tmp_path / how).metrics)[0]
    (_, apart), (_, shared) = batches
    for name in ("old_per_token_logps", "ref_per_token_logps", "advantages", "returns"):
        if name in apart:
            assert torch.allclose(apart[name], shared[name], atol=1e-5), name
    assert found["always"]["padding_share"] == 0 < found["never"]["padding_share"]
    assert 0.1 < found["always"]["prefix_share"] < 1 and "prefix_share" not in found["never"]
    for name in ("grad_norm", "loss", "kl"):
        assert found["always"][name] == pytest.approx(found["never"][name], rel=1e-3, abs=1e-6), name


def test_micro_batches_by_tokens_take_the_step_of_the_whole(
    configure: Callable[..., Config], plant: Callable[..., Any], tmp_path: Path
) -> None:
    """Some rows more or less in memory at once, shared or padded: the same step, but for rounding."""
    plain = ("algorithm=ppo", "algorithm.kl=0.1", "algorithm.epochs=1")
    found = []
    for number, how in enumerate(("", "micro_batch_tokens=1", "micro_batch_tokens=400", "micro_batch_tokens=400")):
        plant()
        share = "always" if number == 3 else "never"
        words = (f"algorithm.{how}",) if how else ()
        train(configure(*plain, *words, f"output={tmp_path}/{number}", f"algorithm.share_prefix={share}"))
        found.append(read_lines(RunFolder(tmp_path / str(number)).metrics)[0])
    whole, *cut = found
    assert all(row["grad_norm"] == pytest.approx(whole["grad_norm"], rel=1e-3) for row in cut[:2])
    assert all(row["loss"] == pytest.approx(whole["loss"], abs=1e-5) for row in cut)
    assert all(row["value_loss"] == pytest.approx(whole["value_loss"], rel=1e-3) for row in cut[:2])
    assert cut[0]["padding_share"] == 0 < cut[1]["padding_share"] <= whole["padding_share"]


def test_micro_batches_are_cut_by_one_measure(configure: Callable[..., Config]) -> None:
    with pytest.raises(Exception, match="set micro_batch_rows or micro_batch_tokens"):
        configure("algorithm.micro_batch_rows=4", "algorithm.micro_batch_tokens=400")
