"""Iterated DPO: honest pairs, the right reference, and a policy that learns."""

import itertools
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest
import torch
from datasets import Dataset

from rostrum.trainer import session
from rostrum.trainer.algorithms.settings import AlgorithmError
from rostrum.trainer.config import Config
from rostrum.trainer.learners import dpo_learner
from rostrum.trainer.learners.dpo_learner import Pair, PairError, TokenPairs, columns_of, pairs_of
from rostrum.trainer.learners.shared_prefix import NAME
from rostrum.trainer.models import loading
from rostrum.trainer.store.run_folder import RunFolder, read_lines
from rostrum.trainer.testimony_models.vocabulary import build_tokenizer
from rostrum.trainer.train import train
from rostrum.trainer.types import Batch, Trajectory

DPO = ("algorithm=dpo", "algorithm.min_gap=0.1", "algorithm.questions_per_iteration=6")
TOKENIZER = build_tokenizer()


@pytest.fixture
def rounds(monkeypatch: pytest.MonkeyPatch) -> list[tuple[Batch, dict[str, int], list[Pair]]]:
    """What each iteration made its pairs from, and the pairs."""
    seen: list[tuple[Batch, dict[str, int], list[Pair]]] = []
    played: list[Batch] = []
    collect = session.collect

    def of_debates(*arguments: Any) -> Batch:
        played.append(collect(*arguments))
        return played[-1]

    def of_pairs(rows: Sequence[Trajectory], min_gap: float) -> list[Pair]:
        pairs = pairs_of(rows, min_gap)
        turns = {judged.rollout.matchup: judged.rollout.branch_turn for judged in played[-1].judged}
        seen.append((played[-1], turns, pairs))
        return pairs

    monkeypatch.setattr(session, "collect", of_debates)
    monkeypatch.setattr(dpo_learner, "pairs_of", of_pairs)
    return seen


def metrics(settings: Config) -> list[dict[str, Any]]:
    return read_lines(RunFolder(settings.output).metrics)


@pytest.mark.parametrize(("protocol", "cause"), [("debate", "failure"), ("simultaneous", "speech")])
def test_pairs_share_their_context_and_the_chosen_earned_more(
    configure: Callable[..., Config], plant: Callable[..., Any], rounds: list[Any], protocol: str, cause: str
) -> None:
    """Siblings whose verdict could not be had make no pair; those that spoiled it earned what the loser of all does."""
    plant(7, cause)
    settings = configure(*DPO, f"protocol={protocol}")
    train(settings)
    ((experience, turns, pairs),) = rounds
    assert len(pairs) >= 4
    earned: dict[tuple[int, ...], set[float]] = {}
    for trajectory in experience.trajectories():
        row = trajectory.row
        for k, end in enumerate(row.ends):
            earned.setdefault(row.prompt + row.completion[: end + 1], set()).add(trajectory.returns[k])
    for pair in pairs:
        assert pair.chosen != pair.rejected and pair.gap >= 0.1
        worth = [earned[pair.prompt + speech] for speech in (pair.chosen, pair.rejected)]
        assert any(a - b == pytest.approx(pair.gap) for a in worth[0] for b in worth[1])
        assert TOKENIZER.decode(pair.prompt).endswith("says :")
    assert len(experience.judged) == sum(4 for _ in turns)
    (row,) = metrics(settings)
    assert row["pairs"] == len(pairs)
    assert row["invalid"] == len(experience.judged) // 7 and row["spoiled"] == row["invalid"] * (cause == "speech")
    assert any(t.reward.approval == -4 for t in experience.trajectories()) is (cause == "speech")


def test_pairs_of_the_best_and_the_worst(
    configure: Callable[..., Config], plant: Callable[..., Any], rounds: list[Any]
) -> None:
    """No pair leaves out a wider gap among the same siblings."""
    plant()
    train(configure(*DPO, "protocol=consultancy"))
    ((experience, turns, pairs),) = rounds
    families: dict[str, list[float]] = {}
    for judged, trajectory in zip(experience.judged, experience.trajectories(), strict=True):
        k = trajectory.turns.index(turns[judged.rollout.matchup])
        families.setdefault(judged.rollout.matchup, []).append(trajectory.returns[k])
    gaps = sorted(max(family) - min(family) for family in families.values())
    assert sorted(pair.gap for pair in pairs) == pytest.approx([gap for gap in gaps if gap >= 0.1])


def pair(*texts: str) -> Pair:
    prompt, chosen, rejected = (tuple(TOKENIZER.encode(text)) for text in texts)
    return Pair(prompt, chosen, rejected, 1.0)


def train_on(pair: Pair, settings: Config, tiny: Path, output: Path) -> TokenPairs:
    model, reference = (loading.load_model(str(tiny / "debater")) for _ in range(2))
    arguments = {"output_dir": str(output), "report_to": "none", "disable_tqdm": True, "use_cpu": True, "bf16": False}
    pairs = Dataset.from_dict(columns_of([pair]))
    algorithm: Any = settings.algorithm
    return dpo_learner.train_on(pairs, model, reference, TOKENIZER, algorithm, 1, save_strategy="no", **arguments)


def test_the_trainer_reads_the_very_tokens_that_were_sampled(
    tiny: Path, configure: Callable[..., Config], tmp_path: Path
) -> None:
    """A speech that goes on after an end token and one that was cut: text could give back neither."""
    end, pad = TOKENIZER.eos_token_id, TOKENIZER.pad_token_id
    trainer = train_on(Pair((5, 6), (7, end, 8), (9, 10), 1.0), configure(*DPO), tiny, tmp_path)
    (batch,) = trainer.get_train_dataloader()
    assert batch["input_ids"].tolist() == [[5, 6, 7, end, 8], [5, 6, 9, 10, pad]]
    assert batch["completion_mask"].tolist() == [[0, 0, 1, 1, 1], [0, 0, 1, 1, 0]]


def test_a_pair_over_the_length_is_an_error_and_never_cut(
    configure: Callable[..., Config], plant: Callable[..., Any]
) -> None:
    plant()
    with pytest.raises(PairError, match="set algorithm.max_length .now 40. to at least"):
        train(configure(*DPO, "algorithm.max_length=40"))


@pytest.mark.parametrize("short", [0, 1])
def test_the_longest_pair_decides_to_the_token(
    tiny: Path, configure: Callable[..., Config], tmp_path: Path, short: int
) -> None:
    settings = configure(*DPO, f"algorithm.max_length={8 - short}")
    longest = Pair((5, 6, 7, 8, 9), (7, 8), (9, 10, 11), 1.0)
    if short:
        with pytest.raises(PairError):
            train_on(longest, settings, tiny, tmp_path)
    else:
        assert train_on(longest, settings, tiny, tmp_path)


@pytest.mark.parametrize("lora", [False, True])
@pytest.mark.parametrize("reference", ["previous", "base"])
def test_the_margin_starts_from_the_reference(
    configure: Callable[..., Config], plant: Callable[..., Any], reference: str, lora: bool
) -> None:
    """One step per iteration, so the margin logged is the one before the step: zero against the previous policy always,
    against the base in the first iteration only."""
    plant()
    settings = configure(
        *DPO,
        f"algorithm.reference={reference}",
        "iterations=2",
        "algorithm.learning_rate=3e-3",
        *(["debater.lora.rank=4"] if lora else []),
    )
    final = train(settings)
    first, second = metrics(settings)
    assert first["pairs"] and second["pairs"]
    assert first["margin"] == pytest.approx(0, abs=1e-4)
    assert (abs(second["margin"]) < 1e-4) == (reference == "previous"), second["margin"]
    assert first["parity"] < 1e-3 and second["parity"] < 1e-3
    assert (final / "adapter_config.json").exists() == lora != (final / "model.safetensors").exists()


@pytest.mark.parametrize(("reference", "lora"), [("base", False), ("previous", True)])
def test_it_learns_what_the_judge_likes(
    configure: Callable[..., Config], plant: Callable[..., Any], reference: str, lora: bool
) -> None:
    plant()
    settings = configure(
        *DPO,
        f"algorithm.reference={reference}",
        "protocol=consultancy",
        "iterations=4",
        "algorithm.epochs=2",
        "algorithm.learning_rate=1e-2",
        "algorithm.batch_rows=4",
        "algorithm.questions_per_iteration=12",
        *(["debater.lora.rank=8"] if lora else []),
    )
    train(settings)
    rows = metrics(settings)
    assert rows[-1]["reward"] > rows[0]["reward"] + 0.4, [row["reward"] for row in rows]
    assert [row["policy_version"] for row in rows] == [0, 1, 2, 3]


def test_an_iteration_without_pairs_keeps_the_policy(
    configure: Callable[..., Config], plant: Callable[..., Any], tiny: Path
) -> None:
    plant()
    final = train(configure(*DPO, "algorithm.min_gap=1000"))
    (before,), (after,) = (loading.load_model(str(p)).lm_head.weight.unsqueeze(0) for p in (tiny / "debater", final))
    assert before.equal(after)


@pytest.mark.parametrize(
    ("overrides", "readings"),
    [
        (["protocol=interactive"], 2),
        (["protocol=ensembled_consultancy"], 4),
        (["protocol=simultaneous", "opponent=league", "opponent.self_play=0.5"], 2),
    ],
)
def test_it_learns_in_every_kind_of_debate(
    configure: Callable[..., Config], rounds: list[Any], overrides: list[str], readings: int
) -> None:
    """Judged as the protocol says; siblings were asked the same before they parted; pairs are the policy's own."""
    settings = configure(*DPO, "algorithm.min_gap=0", *overrides)
    train(settings)
    ((experience, turns, pairs),), (row,) = rounds, metrics(settings)
    assert {judged.verdict.readings for judged in experience.judged} == {readings}
    own = {t.row.prompt + t.row.completion[: end + 1] for t in experience.trajectories() for end in t.row.ends}
    assert all(pair.prompt + pair.chosen in own and pair.prompt + pair.rejected in own for pair in pairs)
    assert row["pairs"] == len(pairs) > 0 and row["loss"] == pytest.approx(0.693, abs=0.2)
    asked: dict[str, set[str]] = {}
    for judged in experience.judged:
        matchup, inquiries = judged.rollout.matchup, judged.rollout.transcript.inquiries
        asked.setdefault(matchup, set()).update(each.text for each in inquiries if each.turn <= turns[matchup])
    assert max(map(len, asked.values())) == settings.protocol.judge_asks
    met = {speech.policy for judged in experience.judged for speech in judged.rollout.transcript.speeches}
    assert met == ({"current", "league-1"} if "opponent=league" in overrides else {"current"})


def test_only_the_seat_that_spoke_at_the_branching_ply_makes_a_pair(
    configure: Callable[..., Config], plant: Callable[..., Any], rounds: list[Any]
) -> None:
    """In a sequential debate that is one side per match: A at even turns, B at odd ones."""
    plant()
    train(configure(*DPO))
    ((_, turns, pairs),) = rounds
    asked = [TOKENIZER.decode(pair.prompt).split()[-3] for pair in pairs]
    spoke = ["AB"[turn % 2] for turn in turns.values()]
    assert 0 < len(pairs) <= len(turns)
    assert all(asked.count(side) <= spoke.count(side) for side in "AB")


def trained_on(columns: Any, model: Any, reference: Any, settings: Config, folder: Path) -> Any:
    """Return TRL's trainer, once it has trained the model on pairs in columns."""
    quiet = {"use_cpu": True, "report_to": "none", "disable_tqdm": True, "save_strategy": "no", "bf16": False}
    pairs = Dataset.from_dict(columns)
    return dpo_learner.train_on(
        pairs, model, reference, TOKENIZER, settings.algorithm, 1, output_dir=str(folder), **quiet
    )


def test_micro_batches_learn_what_a_whole_step_learns(configure: Callable[..., Config], tmp_path: Path) -> None:
    """So do pairs whose common prefix is computed once."""
    columns = columns_of([Pair((5, 6, 7 + i), (8, 9, 2), (10 + i, 2), 1.0) for i in range(8)])
    learned = []
    for micro, share in (("null", "never"), ("2", "never"), ("1", "never"), ("null", "always"), ("1", "always")):
        words = ("algorithm.batch_rows=4", f"algorithm.micro_batch_rows={micro}", f"algorithm.share_prefix={share}")
        settings = configure(*DPO, *words)
        model, reference = (loading.load_model(settings.debater.model) for _ in range(2))
        trainer = trained_on(columns, model, reference, settings, tmp_path)
        assert trainer.state.global_step == 2
        assert (model.config._attn_implementation == NAME) is (share == "always")
        learned.append(model.get_input_embeddings().weight.detach().clone())
    assert not torch.equal(learned[0], reference.get_input_embeddings().weight)
    for other in learned[1:]:
        assert torch.allclose(learned[0], other, atol=1e-5)


def test_pairs_that_share_a_passage_are_learned_together(configure: Callable[..., Config], tmp_path: Path) -> None:
    """In another order in each epoch; pairs about nothing that others are about stay in it as well."""
    passages = [(5, 6, 7) * 9, (6, 7, 5) * 9, (7, 5, 6) * 9]
    pairs = [Pair((*passages[i % 2], 7 + i), (8, 9, 2), (10 + i, 2), 1.0) for i in range(8)]
    pairs.append(Pair(passages[2], (8, 2), (9, 2), 1.0))
    settings = configure(
        *DPO, "algorithm.batch_rows=4", "algorithm.micro_batch_rows=4", "algorithm.share_prefix=always"
    )
    model, reference = (loading.load_model(settings.debater.model) for _ in range(2))
    trainer = trained_on(columns_of(pairs), model, reference, settings, tmp_path)
    sampler, orders = trainer._get_train_sampler(), list[list[int]]()
    for epoch in range(3):
        sampler.set_epoch(epoch)
        orders.append(list(sampler))
        runs = [number for number, _ in itertools.groupby(-1 if row == 8 else row % 2 for row in orders[-1])]
        assert sorted(orders[-1]) == list(range(9)) and len(runs) == 3
    assert len(set(map(tuple, orders))) == 3
    batches = [batch["input_ids"] for batch in trainer.get_train_dataloader()]
    assert [len({tuple(row[:3].tolist()) for row in ids}) for ids in batches].count(1) >= 2


def test_an_adapter_and_its_reference_share_prefixes(configure: Callable[..., Config], tmp_path: Path) -> None:
    learned = []
    for share in ("never", "always"):
        train(configure(*DPO, "debater.lora.rank=4", f"algorithm.share_prefix={share}", f"output={tmp_path}/{share}"))
        learned.append(read_lines(RunFolder(tmp_path / share).metrics)[0])
    apart, together = learned
    assert apart["pairs"] == together["pairs"] > 0
    for name in ("loss", "grad_norm", "margin"):
        assert together[name] == pytest.approx(apart[name], rel=1e-3, abs=1e-6), name


def test_micro_batches_that_do_not_divide_a_step_are_refused(configure: Callable[..., Config]) -> None:
    algorithm = configure(*DPO, "algorithm.batch_rows=8", "algorithm.micro_batch_rows=4").algorithm
    algorithm.check_rows(100, 2)
    with pytest.raises(AlgorithmError, match="micro_batch_rows=4 does not divide the 6 pairs that each of 3 ranks"):
        algorithm.model_copy(update={"batch_rows": 18}).check_rows(100, 3)
