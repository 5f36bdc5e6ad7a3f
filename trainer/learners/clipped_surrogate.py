"""TRL's clipped surrogate, KL term, model preparation and optimizer, driven one iteration at a time, with our rows and
per-token advantages. PPO has a value head and its loss besides.

TRL has had no PPOTrainer since 1.13; what is used here is the loss of its GRPOTrainer.
"""

import math
from collections.abc import Sequence
from contextlib import nullcontext
from typing import Any

import torch
from datasets import Dataset
from torch.nn.functional import pad
from torch.nn.utils.rnn import pad_sequence

from rostrum.trainer import setup
from rostrum.trainer.algorithms import advantages
from rostrum.trainer.algorithms.settings import CriticSettings, PolicyGradientSettings
from rostrum.trainer.cost import ModelSize, now
from rostrum.trainer.learners.forward import make_comparable
from rostrum.trainer.learners.learner import LearnerSetup
from rostrum.trainer.learners.micro_batches import Sizes, fitting, sizes_of
from rostrum.trainer.learners.shared_prefix import SharedPrefix, can_share
from rostrum.trainer.learners.trl_trainers import GRPOConfig, GRPOTrainer, arguments, spare_casts
from rostrum.trainer.models import loading
from rostrum.trainer.progress import activity
from rostrum.trainer.store.run_folder import RunFolder
from rostrum.trainer.types import TokenRow, Trajectory
from rostrum.trainer.weights.logprobs import Gap
from rostrum.trainer.weights.publish import VALUE_HEAD

Batch = dict[str, torch.Tensor]
"""Tensors of this rank's rows, (B, P) for prompts and (B, T) for completions, by TRL's names."""
RECORDED = {"kl": "kl", "clip_ratio/region_mean": "clip_fraction", "value_loss": "value_loss"}
"""What is kept of what TRL's loss measures, and under which name."""
_NO_PROMPTS = Dataset.from_dict({"prompt": []})
"""What TRL is given for a data set: debates come from elsewhere."""


class ClippedSurrogate(GRPOTrainer):
    """TRL's model preparation, loss and optimizer for rows that we bring, with (B, T) advantages.

    Its own loop, its generation and its reward functions are never called.
    """

    sizes: Sizes
    """Those of this iteration's rows."""
    shares = False
    """Whether what rows begin with in common is computed once."""

    def __init__(self, learner: LearnerSetup, algorithm: PolicyGradientSettings) -> None:
        self._algorithm, config = algorithm, learner.config
        self._values: torch.Tensor | None = None
        self._old: Batch = {}
        self._steps = config.iterations * algorithm.epochs * algorithm.minibatches
        step = max(setup.rows_per_iteration(config, learner.policy) // (algorithm.minibatches * learner.world), 1)
        micro = min(algorithm.micro_batch_rows or step, step)
        lora = config.debater.lora
        super().__init__(
            model=loading.load_model(config.debater.model, setup.learner_dtype(config)),
            args=GRPOConfig(
                per_device_train_batch_size=micro,
                gradient_accumulation_steps=-(-step // micro),
                max_steps=self._steps,
                learning_rate=algorithm.learning_rate,
                lr_scheduler_type="constant",
                use_vllm=False,
                max_grad_norm=algorithm.max_grad_norm,
                epsilon=algorithm.clip,
                beta=algorithm.kl,
                use_bias_correction_kl=True,  # the gradient of the reverse KL, unbiased (DeepSeek-V3.2)
                loss_type="dapo",
                temperature=config.debater.temperature,
                num_generations=2,
                steps_per_generation=2,
                **arguments(config, RunFolder(config.output).trainer),
            ),
            processing_class=learner.tokenizer,
            reward_funcs=[_never_called],
            train_dataset=_NO_PROMPTS,
            peft_config=setup.lora_config(lora) if lora else None,
        )
        make_comparable(self.model)
        if self.ref_model is not None:
            make_comparable(self.accelerator.unwrap_model(self.ref_model))
        self.can_share = algorithm.share_prefix != "never" and can_share(self.model)
        models = (self.model, self.ref_model and self.accelerator.unwrap_model(self.ref_model))
        self._sharing = [SharedPrefix(model) for model in models if model is not None and self.can_share]
        if learner.autocast:
            spare_casts(self.model)
        self.size = ModelSize.of(self.model, adapted=lora is not None)
        if algorithm.critic:
            _attach_value_head(self.model)  # after an adapter was put on, which would wrap or freeze it
            backbone = self.accelerator.unwrap_model(self.model).get_decoder()
            backbone.register_forward_hook(self._keep_values)

    def prepare(self) -> None:
        """Make the optimizer and wrap the model, for ranks and for DeepSpeed."""
        if self.args.gradient_checkpointing:
            self.model.gradient_checkpointing_enable(self.args.gradient_checkpointing_kwargs)
        self._prepare_for_training(self._steps, None, None)

    def trained(self) -> dict[str, torch.nn.Parameter]:
        """Return the weights that are trained, by name, the critic's included."""
        return {name: each for name, each in self.model.named_parameters() if each.requires_grad}

    def tensors(self, rows: Sequence[Trajectory], filler: Trajectory, fillers: int) -> Batch:
        """Return the rows as tensors, prompts padded on the left and completions on the right, and after them so many
        copies of `filler` of which nothing is learned."""
        every = [*(of.row for of in rows), *[filler.row] * fillers]
        masks = [*(of.row.mask for of in rows), *[(0,) * len(filler.row.mask)] * fillers]
        blank, device = self.processing_class.pad_token_id, self.accelerator.device

        def padded(columns: Sequence[Sequence[float]], value: float = 0, side: str = "right") -> torch.Tensor:
            made = [torch.tensor(column) for column in columns]
            return pad_sequence(made, batch_first=True, padding_value=value, padding_side=side).to(device)

        return {
            "prompt_ids": padded([row.prompt for row in every], blank, "left"),
            "prompt_mask": padded([[1] * len(row.prompt) for row in every], 0, "left"),
            "completion_ids": padded([row.completion for row in every], blank),
            "completion_mask": padded([[1] * len(row.completion) for row in every]),
            "tool_mask": padded(masks),
            "sampling_per_token_logps": padded([row.logprobs for row in every]),
            "speeches": padded([_speeches(row) for row in every]),
        }

    def begin(self, sizes: Sizes, shares: bool) -> None:
        """Prepare for an iteration whose rows have these sizes."""
        self.sizes, self.shares = sizes, shares
        for sharing in self._sharing:
            sharing.on = shares

    @torch.no_grad()
    def read(self, batch: Batch) -> torch.Tensor | None:
        """Put the learner's and the reference's log-probabilities of each completion token into the batch, (B, T);
        return the critic's values before each of them, (B, T), if there is one."""
        self.model.eval()
        width, size = batch["completion_ids"].size(1), self.args.per_device_train_batch_size
        own, values, reference = [], [], []
        (split,) = self._split([torch.arange(len(batch["prompt_ids"]), device=batch["prompt_ids"].device)], size)
        for chosen in split:
            rows = self._part(batch, chosen)
            ids = torch.cat([rows["prompt_ids"], rows["completion_ids"]], dim=1)
            attention = torch.cat([rows["prompt_mask"], rows["completion_mask"]], dim=1)
            length = rows["completion_ids"].size(1)
            part, rest = (ids, attention, length), (0, width - length)
            own.append(pad(self._get_per_token_logps_and_entropies(self.model, *part)[0], rest))
            if self._algorithm.critic:
                values.append(pad(self._take_values(length), rest))
            if self.beta:
                reference.append(pad(self._reference(*part), rest))
        batch["old_per_token_logps"] = torch.cat(own)
        if self.beta:
            batch["ref_per_token_logps"] = torch.cat(reference)
        return torch.cat(values) if values else None

    def _reference(self, ids: torch.Tensor, attention: torch.Tensor, length: int) -> torch.Tensor:
        """Return the log-probabilities of the base debater, which under an adapter is the model without it."""
        if self.ref_model is not None:
            return self._get_per_token_logps_and_entropies(self.ref_model, ids, attention, length)[0]
        with self.accelerator.unwrap_model(self.model).disable_adapter():
            return self._get_per_token_logps_and_entropies(self.model, ids, attention, length)[0]

    def gap(self, batch: Batch) -> Gap:
        """Return how far the learner is from the log-probabilities that the tokens were sampled with, on all ranks."""
        apart = (batch["old_per_token_logps"] - batch["sampling_per_token_logps"])[sampled(batch).bool()].abs().double()
        sums = torch.stack([apart.sum(), torch.tensor(float(apart.numel()), dtype=apart.dtype, device=apart.device)])
        total, count = self.accelerator.reduce(sums, reduction="sum").tolist()
        largest = self.accelerator.gather(apart.max() if apart.numel() else apart.sum())
        return Gap(total / max(count, 1), float(largest.max()))

    def normalised(self, found: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
        """Return advantages (B, T) with zero mean and, unless they differ by noise alone, unit deviation over the
        sampled tokens of all ranks."""
        of_sampled = mask.to(found.dtype)
        sums = torch.stack([(found * of_sampled).sum(), (found**2 * of_sampled).sum(), of_sampled.sum()])
        total, squares, count = self.accelerator.reduce(sums, reduction="sum")
        mean = total / count.clamp(min=1)
        deviation = (squares / count.clamp(min=1) - mean**2).clamp(min=0).sqrt()
        if not advantages.exceeds_noise(float(deviation), abs(float(mean))):
            deviation = torch.ones_like(deviation)
        scaled: torch.Tensor = (found - mean) / (deviation + 1e-8) * of_sampled
        return scaled

    def learn(self, batch: Batch, order: torch.Tensor) -> dict[str, float]:
        """Take the optimizer steps of an iteration, on the rows in this order; return what is recorded of them."""
        minibatches = order.chunk(self._algorithm.minibatches)
        size = min(self._algorithm.micro_batch_rows or len(order), len(minibatches[0]))
        split = self._split(minibatches, size)
        passes = split * self._algorithm.epochs
        total, norm, steps, places = torch.zeros((), device=order.device), 0.0, 0, 0
        weights = list[float]()
        with activity("learning", len(passes), "steps") as shown:
            for micro_batches in passes:
                parts = [self._part(batch, chosen) for chosen in micro_batches]
                self.current_gradient_accumulation_steps = len(parts)  # TRL scales its loss to a minibatch with these
                self.args.steps_per_generation = len(parts) * len(minibatches)
                loss, norm = self._optimizer_step(parts)
                total, steps = total + loss, steps + 1
                weights += [self._weight(part) for part in parts]
                places += sum(part["prompt_ids"].numel() + part["completion_ids"].numel() for part in parts)
                shown.advance()
        found = self._metrics["train"].items()
        measured = {RECORDED[key]: _mean(values, weights) for key, values in found if key in RECORDED}
        self._metrics["train"].clear()
        mean = float(self.accelerator.gather(total).mean()) / steps
        return {"loss": mean, **measured, "grad_norm": norm, **self._saved(split, places // self._algorithm.epochs)}

    def rehearse(self, rows: Sequence[Trajectory], chosen: Sequence[int], shares: bool) -> float:
        """Compute loss and gradient of the chosen ones of an iteration's rows as one micro-batch, and drop them; return
        the seconds that it takes to read them and to learn from them in all epochs. On a GPU the first time, which
        loads kernels, does not count."""
        training, device = self.model.training, self.accelerator.device
        self.begin(sizes_of([rows[row] for row in chosen]), shares)
        batch = self._part(self.tensors(rows, rows[0], 0), torch.tensor(chosen, device=device))
        mask = sampled(batch)
        batch |= {"advantages": mask.float(), "returns": mask.float()}
        batch["num_items_in_batch"] = self.accelerator.gather(mask.sum()).sum()
        self.current_gradient_accumulation_steps = self.args.steps_per_generation = 1
        for _ in range(2 if device.type == "cuda" else 1):
            start = now()
            self.read(batch)
            read = now()
            with self.accelerator.no_sync(self.model_wrapped):
                self.training_step(self.model_wrapped, batch, None)
            end = now()
            self.model_wrapped.zero_grad(set_to_none=True)
        self._metrics["train"].clear()
        self._old = {}
        self.begin(self.sizes, shares=False)
        self.model.train(training)
        return read - start + self._algorithm.epochs * (end - read)

    def _split(self, minibatches: Sequence[torch.Tensor], size: int) -> list[list[torch.Tensor]]:
        """Return each minibatch, row numbers (N,), in micro-batches: by tokens or of `size` rows."""
        most = self._algorithm.micro_batch_tokens
        return [
            list(torch.split(minibatch, size if most is None else self._fitting(minibatch.tolist(), most)))
            for minibatch in minibatches
        ]

    def _fitting(self, rows: list[int], most: int) -> list[int]:
        """Return how many rows go into each micro-batch of so many tokens. Where one rank has no more room the others
        stop too: TRL gathers a number for each row, as many of all ranks."""
        counts, start, device = list[int](), 0, self.accelerator.device
        while start < len(rows):
            own = torch.tensor([fitting(rows[start:], self.sizes, most, self.shares)], device=device)
            counts.append(int(self.accelerator.gather(own).min()))
            start += counts[-1]
        return counts

    def _part(self, batch: Batch, chosen: torch.Tensor) -> Batch:
        """Return these rows of a batch, without columns of padding alone if micro-batches are cut to fit."""
        part = _rows(batch, chosen)
        return _trimmed(part) if self.shares or self._algorithm.micro_batch_tokens else part

    def _weight(self, part: Batch) -> float:
        """Return what a micro-batch counts in the means that are recorded: its sampled tokens on all ranks, or 1 where
        micro-batches have as many rows each."""
        if self._algorithm.micro_batch_tokens is None:
            return 1.0
        return float(self.accelerator.reduce(sampled(part).sum(), reduction="sum"))

    def _saved(self, split: Sequence[Sequence[torch.Tensor]], places: int) -> dict[str, float]:
        """Return the share of the places computed in a pass that were padding, and with trees, which have none,
        the share of the rows' tokens that was not computed again."""
        whole = self.sizes.whole
        if not self.shares:
            return {"padding_share": 1 - whole / places}
        computed = sum(self.sizes.tokens(part.tolist(), shared=True) for parts in split for part in parts)
        return {"padding_share": 0.0, "prefix_share": 1 - computed / whole}

    def _optimizer_step(self, parts: Sequence[Batch]) -> tuple[torch.Tensor, float]:
        """Take one optimizer step on micro-batches; return its loss and the norm of its gradient before clipping."""
        model, loss = self.model_wrapped, torch.zeros((), device=self.accelerator.device)
        for part in parts:
            last = part is parts[-1]
            self.accelerator.sync_gradients = last
            alone = last or self.is_deepspeed_enabled
            with nullcontext() if alone else self.accelerator.no_sync(model):
                loss = loss + self.training_step(model, part, None)
        norm = self.accelerator.clip_grad_norm_(model.parameters(), self.args.max_grad_norm)
        self.optimizer.step()
        model.zero_grad()
        return loss, float(norm)

    def _prepare_inputs(self, generation_batch: Batch) -> Batch:
        """Return the batch as it is: there is nothing to generate."""
        return generation_batch

    def _compute_loss(self, model: torch.nn.Module, inputs: Batch) -> torch.Tensor:
        """Return TRL's loss; with a critic, plus the squared error of its values against the returns."""
        self._old = inputs
        algorithm = self._algorithm
        loss: torch.Tensor = super()._compute_loss(model, inputs)
        if not isinstance(algorithm, CriticSettings):
            return loss
        mask = sampled(inputs)
        values = self._take_values(inputs["completion_ids"].size(1))
        minibatch = inputs["num_items_in_batch"].clamp(min=1) / algorithm.minibatches  # mean tokens of one
        squares = ((values - inputs["returns"]) ** 2 * mask).sum()
        total, tokens = self.accelerator.reduce(torch.stack([squares.detach(), mask.sum()]), reduction="sum")
        self._metrics["train"]["value_loss"].append((total / tokens.clamp(min=1)).item())
        ranks = self.accelerator.num_processes  # their gradients are averaged, and the sum is wanted
        loss = loss + algorithm.value_coefficient * squares * ranks / minibatch
        return loss

    def _get_per_token_logps_and_entropies(self, *args: Any, **kwargs: Any) -> tuple[torch.Tensor, ...]:
        """Return what TRL's method does; where the ratio of a whole speech is clipped, the old log-probabilities become
        those that make TRL's ratio of a token that of its speech (GSPO-token, Zheng et al. 2025, eq. 13 and 14)."""
        found: tuple[torch.Tensor, ...] = super()._get_per_token_logps_and_entropies(*args, **kwargs)
        if self._algorithm.ratio == "speech" and torch.is_grad_enabled():
            self._old["old_per_token_logps"] = speech_ratios(found[0].detach(), self._old)
        return found

    def _keep_values(self, module: torch.nn.Module, args: Any, output: Any) -> None:
        """Keep the values, as a forward hook on the backbone: it runs inside DeepSpeed's forward, so sharded parameters
        are gathered."""
        head = getattr(self.accelerator.unwrap_model(self.model), VALUE_HEAD)
        self._values = head(output.last_hidden_state.to(head.weight.dtype)).squeeze(-1)

    def _take_values(self, length: int) -> torch.Tensor:
        """Return (B, length) the values at the positions that predict the last `length` tokens."""
        assert self._values is not None
        values, self._values = self._values[:, -length - 1 : -1].float(), None
        return values


def _never_called(**_: Any) -> list[float]:
    """Stand where TRL insists on a reward function."""
    raise AssertionError("rewards come from judges, and TRL is not to ask for any")


def sampled(batch: Batch) -> torch.Tensor:
    """Return (B, T), 1 where the policy has sampled the token."""
    return batch["completion_mask"] * batch["tool_mask"]


def speech_ratios(now: torch.Tensor, batch: Batch) -> torch.Tensor:
    """Return log-probabilities (B, T) from which `now` differs, on each sampled token, by the mean over its speech of
    what `now` differs from the old ones: the logarithm of GSPO's ratio."""
    mask, speeches = sampled(batch), batch["speeches"]
    change = (now - batch["old_per_token_logps"]) * mask
    size = (len(now), int(speeches.max()) + 1)
    sums = torch.zeros(size, dtype=now.dtype, device=now.device).scatter_add_(1, speeches, change)
    counts = torch.zeros(size, dtype=now.dtype, device=now.device).scatter_add_(1, speeches, mask.to(now.dtype))
    return now - (sums / counts.clamp(min=1)).gather(1, speeches)


def _speeches(row: TokenRow) -> list[int]:
    """Return the number of the speech, from 0, that each completion token belongs to or comes before."""
    numbers, start = list[int](), 0
    for number, end in enumerate(row.ends):
        numbers += [number] * (end + 1 - start)
        start = end + 1
    return numbers + [max(len(row.ends) - 1, 0)] * (len(row.completion) - start)


def _rows(batch: Batch, chosen: torch.Tensor) -> Batch:
    return {name: tensor[chosen] if tensor.dim() else tensor for name, tensor in batch.items()}


def _trimmed(part: Batch) -> Batch:
    """Return a batch without the columns that are padding in all of its rows."""
    begin = part["prompt_mask"].size(1) - int(part["prompt_mask"].sum(1).max())
    end = int(part["completion_mask"].sum(1).max())
    prompts = {name: tensor[:, begin:] for name, tensor in part.items() if name.startswith("prompt_")}
    return {name: tensor[:, :end] if tensor.dim() else tensor for name, tensor in part.items()} | prompts


def _mean(values: Sequence[float], weights: Sequence[float]) -> float:
    numbers = [(value, weight) for value, weight in zip(values, weights, strict=True) if not math.isnan(value)]
    whole = sum(weight for _, weight in numbers)
    return sum(value * weight for value, weight in numbers) / whole if whole else math.nan


def _attach_value_head(model: Any) -> None:
    parameter = next(model.parameters())
    head = torch.nn.Linear(model.config.get_text_config().hidden_size, 1, device=parameter.device)
    torch.nn.init.zeros_(head.weight)
    torch.nn.init.zeros_(head.bias)
    setattr(model, VALUE_HEAD, head)
