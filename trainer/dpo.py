"""Iterated DPO: sibling speeches become preference pairs for an unmodified `trl.DPOTrainer`, fresh each iteration."""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from datasets import Dataset
from transformers import PreTrainedTokenizerBase, PrinterCallback
from trl import DPOConfig, DPOTrainer

from trainer.config import Dpo
from trainer.types import Experience, Judged, Trajectory


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
    pair. Debates whose verdict is INVALID have no siblings to offer.
    """
    families: dict[tuple[str, str], list[tuple[Judged, Trajectory]]] = defaultdict(list)
    trained = iter(experience.trajectories())
    for judged in experience.judged:
        for seat in judged.rewards or {}:
            families[judged.episode.match, seat.value].append((judged, next(trained)))
    pairs = [_pair([t for _, t in family], branch_plies[match]) for (match, _), family in families.items()]
    return [pair for pair in pairs if pair is not None and pair.gap >= min_gap and pair.chosen != pair.rejected]


def _pair(siblings: Sequence[Trajectory], ply: int) -> Pair | None:
    if ply not in siblings[0].plies:
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


def dataset_of(pairs: Sequence[Pair], tokenizer: PreTrainedTokenizerBase) -> tuple[Dataset, int]:
    """The pairs as the texts that `DPOTrainer` wants, and how many had to be left out.

    The trainer tokenises texts itself, so a pair whose text would not give back exactly the sampled tokens is left out
    (and counted): training on other tokens than were sampled would be training on another speech.
    """
    rows = [row for pair in pairs if (row := _texts(pair, tokenizer))]
    columns = {key: [row[key] for row in rows] for key in ("prompt", "chosen", "rejected")}
    return Dataset.from_dict(columns), len(pairs) - len(rows)


def _texts(pair: Pair, tokenizer: PreTrainedTokenizerBase) -> dict[str, str] | None:
    begins = pair.prompt[:1] == (tokenizer.bos_token_id,)  # the trainer's tokeniser puts it there again
    context = pair.prompt[1:] if begins else pair.prompt
    texts = {"prompt": tokenizer.decode(context)}
    for name, speech in (("chosen", pair.chosen), ("rejected", pair.rejected)):
        text = tokenizer.decode(context + speech)
        same = tuple(tokenizer(text)["input_ids"]) == pair.prompt + speech
        if not same or not text.startswith(texts["prompt"]) or speech[-1] != tokenizer.eos_token_id:
            return None
        texts[name] = text.removeprefix(texts["prompt"])
    return texts


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
    rows = max(settings.batch_rows // world_size, 1)
    trainer = DPOTrainer(
        model=model, ref_model=reference, processing_class=tokenizer, train_dataset=pairs,
        args=DPOConfig(
            per_device_train_batch_size=rows, num_train_epochs=settings.epochs, learning_rate=settings.learning_rate,
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
