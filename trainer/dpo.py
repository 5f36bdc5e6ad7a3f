"""Iterated DPO: sibling speeches become preference pairs for TRL's `DPOTrainer`, a fresh one each iteration."""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from datasets import Dataset
from transformers import PreTrainedTokenizerBase, PrinterCallback
from trl import DPOConfig, DPOTrainer

from trainer.config import Dpo
from trainer.types import Experience, Trajectory, seats_of, trajectories_of


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


class TokenPairs(DPOTrainer):
    """TRL's trainer, but for one thing: it takes pairs as token ids and never tokenises a speech again.

    The same text can be sampled as other tokens than the tokenizer would choose; training on those would be training
    on another speech.
    """

    loss_is_scaled_for_ga = False
    """The loss is a mean over the pairs of a micro-batch."""

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
    **kwargs: Any,
) -> DPOTrainer:
    """One iteration of DPO; the trainer is returned with the model that it has trained.

    Raises:
        PairError: a pair is longer than `algorithm.max_length`, or the trainer dropped one.
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
    _check_whole(trainer, len(pairs), settings.max_length)
    trainer.train()
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
