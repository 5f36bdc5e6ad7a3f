"""The learner of iterated DPO: sibling speeches become preference pairs for TRL's `DPOTrainer`, a fresh one in each
iteration. Everything that outlives an iteration is in the weights."""

import gc
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from datasets import Dataset
from torch.utils.data import Sampler
from transformers import PreTrainedTokenizerBase, PrinterCallback

from rostrum.trainer import setup
from rostrum.trainer.algorithms import dpo
from rostrum.trainer.config import Config
from rostrum.trainer.cost import now
from rostrum.trainer.learners.forward import check_deterministic, gap_to_sampled, make_comparable
from rostrum.trainer.learners.learner import LearnerSetup, LocalLearner, Rehearsed, moments
from rostrum.trainer.learners.micro_batches import together
from rostrum.trainer.learners.shared_prefix import NO_SHARING, SharedPrefix, can_share
from rostrum.trainer.learners.trl_trainers import DPOConfig, DPOTrainer, arguments, spare_casts, wrapped_weights
from rostrum.trainer.models import loading
from rostrum.trainer.prefixes import alike
from rostrum.trainer.progress import activity, say
from rostrum.trainer.store.run_folder import RunFolder
from rostrum.trainer.types import Policy, TokenRow, Trajectory
from rostrum.trainer.weights import finite
from rostrum.trainer.weights.logprobs import Gap, Scores, learner_logprobs
from rostrum.trainer.weights.publish import Weights, check_sampled, publish
from rostrum.trainer.weights.trained import Fingerprint, check_changed, check_trainable, fingerprint

COMPARED = 8
"""Rows of an iteration on which the learner is compared with what they were sampled with."""
POLICY = "policy"
"""The folder of the weights in a checkpoint."""
RECORDED = {
    "loss": "loss",
    "grad_norm": "grad_norm",
    "rewards/margins": "margin",
    "rewards/accuracies": "pair_accuracy",
}
"""What is kept of TRL's logs, and under which name."""


class Preference(LocalLearner):
    """Learns from the best and the worst sibling of each branched debate."""

    def __init__(self, setup: LearnerSetup) -> None:
        algorithm = setup.config.algorithm
        assert isinstance(algorithm, dpo.Settings)
        self._setup, self._algorithm, self._first_batch = setup, algorithm, True
        self._model: Any = _untrained(setup.config)
        self._trainer: TokenPairs | None = None
        """The trainer of the last iteration that had pairs; it holds the weights."""
        make_comparable(self._model)
        check_deterministic(self._model, setup.probe, setup.autocast)

    def update(self, rows: Sequence[Trajectory], policy: Policy) -> dict[str, float]:
        config, version = self._setup.config, policy.version
        self._trainer = None
        self._model = model = self._loaded(policy.path)
        pairs = pairs_of(rows, self._algorithm.min_gap)
        if not pairs:
            if self._setup.rank == 0:
                gap = self._algorithm.min_gap
                say(f"iteration {version + 1}: no pair differed by {gap}; the policy stays as it was")
            return {"pairs": 0}
        check = self._check_first if rows[0].policy_version == version else lambda gap: None
        sampled = Sampled([of.row for of in rows[:COMPARED]], config.debater.temperature, check)
        with activity(f"learning from {len(pairs)} pairs"):
            self._trainer = trainer = train_on(
                Dataset.from_dict(columns_of(pairs)),
                _trainable(model),
                self._reference(policy),
                self._setup.tokenizer,
                self._algorithm,
                self._setup.world,
                sampled,
                **arguments(config, RunFolder(config.output).trainer),
            )
        finite.check(trainer.model.named_parameters(), version + 1)
        assert trainer.gap is not None
        gaps = {"engine_gap_mean": trainer.gap.mean, "engine_gap_max": trainer.gap.max}
        return {"pairs": len(pairs), **_means(trainer.state.log_history), **gaps}

    def rehearse(self, rows: Sequence[Trajectory], policy: Policy) -> Rehearsed:
        config, world = self._setup.config, self._setup.world
        pairs = longest_pairs(rows, self._algorithm.max_length)
        step = self._algorithm.rows_of_a_step(world)
        chosen = pairs[: min(self._algorithm.micro_batch_rows or step, step) * world]
        self._trainer = None
        self._model = model = self._loaded(policy.path)
        trainer = trainer_of(
            Dataset.from_dict(columns_of(chosen)),
            _trainable(model),
            self._reference(policy),
            self._setup.tokenizer,
            self._algorithm,
            world,
            **arguments(config, RunFolder(config.output).trainer),
        )
        seconds = trainer.rehearse() * self._algorithm.epochs * len(pairs) / len(chosen)
        found = Rehearsed(-(-len(chosen) // world), chosen[0].tokens, seconds, moments(model.parameters()))
        self._model = None
        del trainer, model
        gc.collect()  # trainers and models hold each other
        self._model = self._loaded(policy.path)
        return found

    def logprobs(self, rows: Sequence[Sequence[int]]) -> Scores:
        model = self._model if self._trainer is None else self._trainer.model_wrapped
        return learner_logprobs(model, rows, autocast=self._setup.autocast)

    def weights(self) -> Weights:
        return (
            Weights(self._model, self._model.state_dict()) if self._trainer is None else wrapped_weights(self._trainer)
        )

    def save(self, folder: Path) -> None:
        publish(self.weights(), self._setup.tokenizer, folder / POLICY, version=0)

    def load(self, folder: Path) -> None:
        self._trainer = None
        self._model = self._loaded(str(folder / POLICY))

    def _loaded(self, folder: str) -> Any:
        one_dtype = self._setup.config.cluster.deepspeed == "zero3"  # which cannot mix them
        dtype = setup.learner_dtype(self._setup.config)
        model = loading.load_model(folder, dtype, float32_adapter=not one_dtype)
        make_comparable(model)
        return model

    def _reference(self, policy: Policy) -> Any:
        """Return the frozen policy that DPO is measured from; None lets TRL copy the adapter that it starts from."""
        debater = self._setup.config.debater
        if self._algorithm.reference == "base":
            return loading.load_model(debater.model, getattr(torch, debater.dtype))
        return loading.load_model(policy.path, getattr(torch, debater.dtype)) if debater.lora is None else None

    def _check_first(self, gap: Gap) -> None:
        if self._first_batch:
            check_sampled(gap, self._setup.config.parity_tolerance)
        self._first_batch = False


def _untrained(config: Config) -> Any:
    """Return the debater before any training as engines serve it, held in the dtype in which it is learned."""
    model = setup.policy_model(config.debater)
    return model if config.debater.lora is not None else model.to(setup.learner_dtype(config))


def _trainable(model: Any) -> Any:
    """Open an adapter's weights, which are loaded frozen, and no others."""
    for name, parameter in model.named_parameters():
        if "lora_" in name:
            parameter.requires_grad_(True)
    return model


def _means(history: Sequence[dict[str, Any]]) -> dict[str, float]:
    """Return the means over the optimizer steps of what is recorded."""
    steps = [logs for logs in history if "loss" in logs]
    names = {key: name for key, name in RECORDED.items() if steps and key in steps[0]}
    return {name: sum(float(step[key]) for step in steps) / len(steps) for key, name in names.items()}


class PairError(ValueError):
    """A pair that cannot be trained on as it was sampled; the message says what to do."""


@dataclass(frozen=True, slots=True)
class Pair:
    """Two speeches after the same context, as tokens, and how much more the first one earned from there on."""

    prompt: tuple[int, ...]
    chosen: tuple[int, ...]
    rejected: tuple[int, ...]
    gap: float

    @property
    def tokens(self) -> int:
        """Return the tokens of the longer of its two rows."""
        return len(self.prompt) + max(len(self.chosen), len(self.rejected))


def pairs_of(rows: Sequence[Trajectory], min_gap: float) -> list[Pair]:
    """Return the best and the worst sibling of every branched debate, for each speaker of the branching turn.

    A speech is worth the speaker's return from it on. Siblings that are the same speech, or closer than `min_gap`, make
    no pair. Debates whose verdict could not be had have no rows to offer; one that speeches made INVALID is worth to
    their speakers what the surest defeat is.
    """
    families: dict[tuple[str, str], list[Trajectory]] = defaultdict(list)
    for row in rows:
        families[row.matchup, row.speaker].append(row)
    pairs = [
        _pair([row for row in family if row.branch_turn in row.turns], family[0].branch_turn)
        for family in families.values()
    ]
    return [pair for pair in pairs if pair is not None and pair.gap >= min_gap and pair.chosen != pair.rejected]


def _pair(siblings: Sequence[Trajectory], turn: int) -> Pair | None:
    if not siblings:
        return None
    k = siblings[0].turns.index(turn)
    best, worst = max(siblings, key=lambda t: t.returns[k]), min(siblings, key=lambda t: t.returns[k])
    context, chosen = _speech(best, k)
    _, rejected = _speech(worst, k)
    return Pair(context, chosen, rejected, best.returns[k] - worst.returns[k])


def longest_pairs(rows: Sequence[Trajectory], most: int) -> list[Pair]:
    """Return as many pairs as an iteration with these rows can have, longest first: of each speaker's siblings the last
    speeches of two, whatever they have earned. Contexts are cut where they would have more than `most` tokens."""
    families: dict[tuple[str, str], list[Trajectory]] = defaultdict(list)
    for row in rows:
        if row.last:
            families[row.matchup, row.speaker].append(row)
    pairs = []
    for first, *others in families.values():
        (context, chosen), rejected = _speech(first, -1), [_speech(other, -1)[1] for other in others[-1:]]
        over = max(len(context) + max(map(len, [chosen, *rejected])) - most, 0)
        pairs += [Pair(context[over:], chosen, each, 0.0) for each in rejected]
    return sorted(pairs, key=lambda pair: -pair.tokens)


def _speech(trajectory: Trajectory, k: int) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """Return everything before a speaker's k-th speech, and the speech."""
    row, end = trajectory.row, trajectory.row.ends[k] + 1
    start = end
    while start > 0 and row.mask[start - 1]:
        start -= 1
    return row.prompt + row.completion[:start], row.completion[start:end]


def columns_of(pairs: Sequence[Pair]) -> dict[str, list[list[int]]]:
    """Return the pairs as the token columns that `DPOTrainer` makes of texts, here with the very tokens that were
    sampled."""
    return {
        "prompt_ids": [list(pair.prompt) for pair in pairs],
        "chosen_ids": [list(pair.chosen) for pair in pairs],
        "rejected_ids": [list(pair.rejected) for pair in pairs],
    }


@dataclass(frozen=True, slots=True)
class Sampled:
    """Rows as they were sampled, at what temperature, and what to do about the gap between them and the learner."""

    rows: Sequence[TokenRow] = ()
    temperature: float = 1.0
    check: Callable[[Gap], None] = lambda gap: None


class Together(Sampler[int]):
    """Another order of the pairs in each epoch, the same on all ranks, with those of a question side by side."""

    def __init__(self, questions: Sequence[int], seed: int) -> None:
        self._questions, self._seed, self._epoch = questions, seed, 0

    def set_epoch(self, epoch: int) -> None:
        """Take the number of the epoch that begins."""
        self._epoch = epoch

    def __iter__(self) -> Iterator[int]:
        draw = torch.Generator().manual_seed(self._seed + self._epoch)
        return iter(together(torch.randperm(len(self), generator=draw).tolist(), self._questions))

    def __len__(self) -> int:
        return len(self._questions)


class TokenPairs(DPOTrainer):
    """TRL's trainer, but for three things: it takes pairs as token ids and never tokenises a speech again, before its
    first step it is compared with what was sampled, and pairs that share a passage come together.

    The same text can be sampled as other tokens than the tokenizer would choose; training on those would be training
    on another speech.
    """

    loss_is_scaled_for_ga = False
    """The loss is a mean over the pairs of a micro-batch."""

    sampled = Sampled()
    gap: Gap | None = None
    before: Fingerprint | None = None
    questions: Sequence[int] | None = None
    """Of each pair, where what they have in common is computed once."""

    def _get_train_sampler(self, *args: Any) -> Any:
        if self.questions is None:
            return super()._get_train_sampler(*args)
        return Together(self.questions, self.args.seed)

    def training_step(self, *args: Any, **kwargs: Any) -> torch.Tensor:
        """Do TRL's step; the first one looks at the model before anything has changed it."""
        if self.before is None:
            self.before = fingerprint(self.model)
            autocast = bool(self.args.bf16) and not self.is_deepspeed_enabled
            self.gap = gap_to_sampled(self.model_wrapped, self.sampled.rows, self.sampled.temperature, autocast)
            self.sampled.check(self.gap)
        loss: torch.Tensor = super().training_step(*args, **kwargs)
        return loss

    def rehearse(self) -> float:
        """Compute loss and gradient of the only micro-batch that there is, and drop them; return the seconds that it
        takes. On a GPU the first time, which loads kernels, does not count. The trainer is not to be used any more."""
        model, loader = self._prepare_for_training(1, self.get_train_dataloader(), None)
        (batch,) = loader
        self.current_gradient_accumulation_steps = 1
        for _ in range(2 if self.accelerator.device.type == "cuda" else 1):
            start = now()
            self.training_step(model, batch)
            end = now()
            model.zero_grad(set_to_none=True)
        return end - start

    def _prepare_dataset(self, dataset: Dataset, *_: Any, **__: Any) -> Dataset:
        return dataset


def train_on(
    pairs: Dataset,
    model: Any,
    reference: Any,
    tokenizer: PreTrainedTokenizerBase,
    settings: dpo.Settings,
    world_size: int,
    sampled: Sampled = Sampled(),
    **kwargs: Any,
) -> TokenPairs:
    """Train on an iteration's pairs; the trainer is returned with the model that it has trained.

    Raises:
        PairError: a pair is longer than `algorithm.max_length`, or the trainer dropped one.
        NothingLearned: not one weight has changed.
    """
    trainer = trainer_of(pairs, model, reference, tokenizer, settings, world_size, sampled, **kwargs)
    trainer.train()
    assert trainer.before is not None
    check_changed(trainer.before, fingerprint(trainer.model), settings.learning_rate)
    return trainer


def trainer_of(
    pairs: Dataset,
    model: Any,
    reference: Any,
    tokenizer: PreTrainedTokenizerBase,
    settings: dpo.Settings,
    world_size: int,
    sampled: Sampled = Sampled(),
    **kwargs: Any,
) -> TokenPairs:
    """Return what trains on an iteration's pairs, before its first step.

    Raises:
        PairError: a pair is longer than `algorithm.max_length`, or the trainer dropped one.
    """
    rows = settings.rows_of_a_step(world_size)
    micro = min(settings.micro_batch_rows or rows, rows)
    trainer = TokenPairs(
        model=model,
        ref_model=reference,
        processing_class=tokenizer,
        train_dataset=pairs,
        args=DPOConfig(
            per_device_train_batch_size=micro,
            gradient_accumulation_steps=rows // micro,
            num_train_epochs=settings.epochs,
            learning_rate=settings.learning_rate,
            lr_scheduler_type="constant",
            beta=settings.beta,
            max_length=settings.max_length,
            max_grad_norm=settings.max_grad_norm,
            logging_steps=1,
            **kwargs,
        ),
    )
    trainer.remove_callback(PrinterCallback)
    trainer.sampled = sampled
    _check_whole(trainer, len(pairs), settings.max_length)
    check_trainable(trainer.model)
    make_comparable(trainer.model)
    if trainer.ref_model is not None:
        make_comparable(trainer.accelerator.unwrap_model(trainer.ref_model))
    _share_prefixes(trainer, settings)
    if trainer.args.bf16 and not trainer.is_deepspeed_enabled:
        spare_casts(trainer.model)
    return trainer


def _by_prefix(prompts: Sequence[Sequence[int]]) -> list[int]:
    """Return a number for each prompt, the same for those that begin alike."""
    numbers = list(range(len(prompts)))
    for rows, _ in alike([np.asarray(prompt, np.int64) for prompt in prompts], worth=0):
        for row in rows:
            numbers[row] = rows[0]
    return numbers


def _share_prefixes(trainer: TokenPairs, settings: dpo.Settings) -> None:
    """Have what a pair has in common computed once, where that is long enough; say so if the model cannot."""
    prompts = [len(row["prompt_ids"]) for row in trainer.train_dataset]
    if not settings.shares_prefix(sum(prompts) / max(len(prompts), 1)):
        return
    if not can_share(trainer.model):
        if trainer.accelerator.is_main_process:
            say(NO_SHARING)
        return
    trainer.questions = _by_prefix([row["prompt_ids"] for row in trainer.train_dataset])
    for model in (trainer.model, trainer.ref_model):
        if model is not None:
            SharedPrefix(trainer.accelerator.unwrap_model(model)).on = True


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
