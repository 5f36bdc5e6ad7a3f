"""Iterated DPO: sibling speeches become preference pairs for TRL's `DPOTrainer`, a fresh one each iteration."""

from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from datasets import Dataset
from transformers import PreTrainedTokenizerBase, PrinterCallback
from trl import DPOConfig, DPOTrainer

from trainer.config import Dpo
from trainer.forward import gap_to_sampled, make_comparable
from trainer.publish import Gap
from trainer.trained import Fingerprint, check_changed, check_trainable, fingerprint
from trainer.types import Experience, Row, Trajectory, seats_of, trajectories_of

COMPARED = 8
"""Rows of an iteration on which the learner is compared with what they were sampled with."""


class PairError(ValueError):
    """A pair that cannot be trained on as it was sampled; the message says what to do."""


@dataclass(frozen=True, slots=True)
class Pair:
    """Two speeches after the same context, as tokens, and how much more the first one earned from there on."""

    prompt: tuple[int, ...]
    chosen: tuple[int, ...]
    rejected: tuple[int, ...]
    gap: float


def pairs_of(experience: Experience, branch_plies: dict[str, int], min_gap: float) -> list[Pair]:
    """The best and the worst sibling of every branched debate, for each seat that spoke at the branching ply.

    A speech is worth the seat's return from it on. Siblings that are the same speech, or closer than `min_gap`, make no
    pair, and neither do speeches of opponents. Debates whose verdict could not be had have no siblings to offer; one
    that speeches made INVALID is worth to their speakers what the surest defeat is.
    """
    families: dict[tuple[str, str], list[Trajectory]] = defaultdict(list)
    for judged in experience.judged:
        for seat in seats_of(judged, experience.policy.name):
            families[judged.episode.match, seat.value] += trajectories_of(judged, seat)
    pairs = [
        _pair([row for row in rows if branch_plies[match] in row.plies], branch_plies[match])
        for (match, _), rows in families.items()
    ]
    return [pair for pair in pairs if pair is not None and pair.gap >= min_gap and pair.chosen != pair.rejected]


def _pair(siblings: Sequence[Trajectory], ply: int) -> Pair | None:
    if not siblings:
        return None
    k = siblings[0].plies.index(ply)
    best, worst = max(siblings, key=lambda t: t.returns[k]), min(siblings, key=lambda t: t.returns[k])
    context, chosen = _speech(best, k)
    _, rejected = _speech(worst, k)
    return Pair(context, chosen, rejected, best.returns[k] - worst.returns[k])


def _speech(trajectory: Trajectory, k: int) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """Everything before the seat's k-th speech, and the speech."""
    row, end = trajectory.row, trajectory.row.ends[k] + 1
    start = end
    while start > 0 and row.mask[start - 1]:
        start -= 1
    return row.prompt + row.completion[:start], row.completion[start:end]


def columns_of(pairs: Sequence[Pair]) -> dict[str, list[list[int]]]:
    """The pairs as the token columns that `DPOTrainer` makes of texts, here with the very tokens that were sampled."""
    return {
        "prompt_ids": [list(pair.prompt) for pair in pairs],
        "chosen_ids": [list(pair.chosen) for pair in pairs],
        "rejected_ids": [list(pair.rejected) for pair in pairs],
    }


@dataclass(frozen=True, slots=True)
class Sampled:
    """Rows as they were sampled, at what temperature, and what to do about the gap between them and the learner."""

    rows: Sequence[Row] = ()
    temperature: float = 1.0
    check: Callable[[Gap], None] = lambda gap: None


class TokenPairs(DPOTrainer):
    """TRL's trainer, but for two things: it takes pairs as token ids and never tokenises a speech again, and before its
    first step it is compared with what was sampled.

    The same text can be sampled as other tokens than the tokenizer would choose; training on those would be training
    on another speech.
    """

    loss_is_scaled_for_ga = False
    """The loss is a mean over the pairs of a micro-batch."""

    sampled = Sampled()
    gap: Gap | None = None
    before: Fingerprint | None = None

    def training_step(self, *args: Any, **kwargs: Any) -> torch.Tensor:
        """TRL's step; the first one looks at the model before anything has changed it."""
        if self.before is None:
            self.before = fingerprint(self.model)
            autocast = bool(self.args.bf16) and not self.is_deepspeed_enabled
            self.gap = gap_to_sampled(self.model_wrapped, self.sampled.rows, self.sampled.temperature, autocast)
            self.sampled.check(self.gap)
        return super().training_step(*args, **kwargs)

    def _prepare_dataset(self, dataset: Dataset, *_: Any, **__: Any) -> Dataset:
        return dataset


def rows_of_a_step(settings: Dpo, world_size: int) -> int:
    """Return the pairs that a rank has of an optimizer step.

    Raises:
        PairError: micro-batches do not divide them.
    """
    rows = max(settings.batch_rows // world_size, 1)
    if rows % min(settings.micro_batch_rows or rows, rows):
        raise PairError(
            f"algorithm.micro_batch_rows={settings.micro_batch_rows} does not divide the {rows} pairs that each of "
            f"{world_size} ranks has of a step: change it, or algorithm.batch_rows."
        )
    return rows


def train_on(
    pairs: Dataset,
    model: Any,
    reference: Any,
    tokenizer: PreTrainedTokenizerBase,
    settings: Dpo,
    world_size: int,
    sampled: Sampled = Sampled(),
    **kwargs: Any,
) -> TokenPairs:
    """One iteration of DPO; the trainer is returned with the model that it has trained.

    Raises:
        PairError: a pair is longer than `algorithm.max_length`, or the trainer dropped one.
        NothingLearned: not one weight has changed.
    """
    rows = rows_of_a_step(settings, world_size)
    micro = min(settings.micro_batch_rows or rows, rows)
    trainer = TokenPairs(
        model=model, ref_model=reference, processing_class=tokenizer, train_dataset=pairs,
        args=DPOConfig(
            per_device_train_batch_size=micro, gradient_accumulation_steps=rows // micro,
            num_train_epochs=settings.epochs, learning_rate=settings.learning_rate,
            lr_scheduler_type="constant", beta=settings.beta, max_length=settings.max_length,
            max_grad_norm=settings.max_grad_norm, logging_steps=1, **kwargs,
        ),
    )  # fmt: skip
    trainer.remove_callback(PrinterCallback)
    trainer.sampled = sampled
    _check_whole(trainer, len(pairs), settings.max_length)
    check_trainable(trainer.model)
    make_comparable(trainer.model)
    if trainer.ref_model is not None:
        make_comparable(trainer.accelerator.unwrap_model(trainer.ref_model))
    trainer.train()
    assert trainer.before is not None
    check_changed(trainer.before, fingerprint(trainer.model), settings.learning_rate)
    return trainer


def _check_whole(trainer: DPOTrainer, count: int, max_length: int) -> None:
    lengths = [
        len(row["prompt_ids"]) + max(len(row["chosen_ids"]), len(row["rejected_ids"])) for row in trainer.train_dataset
    ]
    longest = max(lengths, default=0)
    if len(lengths) != count or longest > max_length:
        raise PairError(
            f"{count - len(lengths)} of {count} pairs were dropped and the longest left has {longest} tokens: set "
            f"algorithm.max_length (now {max_length}) to at least the longest prompt and speech together."
        )
