"""The learner of policy gradients: TRL's clipped surrogate, KL term, model preparation and optimizer, driven one
iteration at a time, with our rows and per-token advantages. PPO has a value head and its loss besides.

TRL has had no PPOTrainer since 1.13; what is used here is the loss of its GRPOTrainer.
"""

import json
import math
from collections import defaultdict
from collections.abc import Mapping, Sequence
from contextlib import nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, ClassVar

import torch
from accelerate.utils import gather_object
from datasets import Dataset
from pydantic import Field
from safetensors.torch import load_file, save_file
from torch.nn.functional import pad
from torch.nn.utils.rnn import pad_sequence
from transformers.integrations.deepspeed import deepspeed_load_checkpoint

from rostrum.envs.files import write_atomically
from rostrum.trainer import setup
from rostrum.trainer.algorithms import advantages
from rostrum.trainer.algorithms.advantages import Floats, Role
from rostrum.trainer.algorithms.settings import CriticSettings, PolicyGradientSettings
from rostrum.trainer.cost import ModelSize
from rostrum.trainer.learners.forward import check_deterministic, make_comparable
from rostrum.trainer.learners.learner import Learner, LearnerSetup
from rostrum.trainer.learners.micro_batches import Sizes, fitting, sizes_of, together
from rostrum.trainer.learners.shared_prefix import SharedPrefix, can_share
from rostrum.trainer.learners.trl_trainers import GRPOConfig, GRPOTrainer, arguments
from rostrum.trainer.models import loading
from rostrum.trainer.progress import activity, say
from rostrum.trainer.reading import Open, read_json
from rostrum.trainer.store.run_folder import RunError, RunFolder
from rostrum.trainer.types import Policy, TokenRow, Trajectory
from rostrum.trainer.weights import finite
from rostrum.trainer.weights.logprobs import Gap, Scores, learner_logprobs
from rostrum.trainer.weights.publish import VALUE_HEAD, Weights, check_sampled
from rostrum.trainer.weights.trained import check_changed, check_trainable, fingerprint

Batch = dict[str, torch.Tensor]
"""Tensors of this rank's rows, (B, P) for prompts and (B, T) for completions, by TRL's names."""
RECORDED = {"kl": "kl", "clip_ratio/region_mean": "clip_fraction", "value_loss": "value_loss"}
"""What is kept of what TRL's loss measures, and under which name."""
NO_SHARING = (
    "this debater has layers that cannot attend to a prefix which several rows share; the learner reads it anew in "
    "every row"
)
ROUNDING = 1e-4
"""Nats per token, on average, up to which learner and engine count as the same policy."""
BASELINES, TRAINED, OPTIMIZER = "baselines.json", "trained.safetensors", "optimizer.safetensors"


class BaselinesFile(Open):
    """What is counted on in a checkpoint's baselines.json."""

    baselines: list[Annotated[tuple[str, int, int, float], Field(strict=False)]]


class PolicyGradient(Learner):
    """Learns from an iteration's rows in `epochs` passes of `minibatches` optimizer steps."""

    surrogate: "ClassVar[type[ClippedSurrogate]]"
    """What holds the model and the loss."""

    def __init__(self, setup: LearnerSetup) -> None:
        algorithm = setup.config.algorithm
        assert isinstance(algorithm, PolicyGradientSettings)
        self._setup, self._algorithm = setup, algorithm
        self._baselines: Mapping[Role, float] = {}
        self._first_batch = True
        self._trainer = self.surrogate(setup, algorithm)
        self._order = torch.Generator()
        """Draws the order of the rows. It begins where building the model leaves torch's own generator, and one number
        on, as in the runs whose figures docs/results.md shows."""
        self._order.set_state(torch.get_rng_state())
        torch.empty((), dtype=torch.int64).random_(generator=self._order)
        check_trainable(self._trainer.model)
        check_deterministic(self._trainer.model, setup.probe, setup.autocast)
        self._trainer.prepare()

    def update(self, rows: Sequence[Trajectory], policy: Policy) -> dict[str, float]:
        trainer = self._trainer
        mine = self._share(len(rows))
        own = [rows[index] for index in mine.rows]
        trainer.begin(sizes_of([*own, *[rows[0]] * mine.fillers]), self._shares_prefix(rows))
        batch = trainer.tensors(own, rows[0], mine.fillers)
        batch["num_items_in_batch"] = trainer.accelerator.gather(sampled(batch).sum()).sum()
        with activity("reading the rows as the learner does"):
            read = trainer.read(batch)
        values: list[Floats] = []
        if read is not None:
            lengths = [len(rows[index].row.completion) for index in mine.rows]
            values = [of[:length].double().cpu().numpy() for of, length in zip(read, lengths, strict=False)]
        gap = trainer.gap(batch)
        if self._first_batch:
            check_sampled(gap, self._setup.config.parity_tolerance)
            self._first_batch = False
        self._credit(batch, rows, values, mine)
        most = self._algorithm.most_importance(self._setup.config.debater.dtype)
        if most is not None and gap.mean > ROUNDING:
            batch["advantages"] = batch["advantages"] * importance(batch, most)
        learns = trainer.accelerator.reduce(batch["advantages"].abs().sum(), reduction="sum") > 0
        before = fingerprint(trainer.model) if learns else None
        learned = self._learn(batch)
        finite.check(trainer.model.named_parameters(), policy.version + 1)
        if before is not None:
            check_changed(before, fingerprint(trainer.model), self._algorithm.learning_rate)
        tflops = trainer.size.tflops(rows, self._algorithm.epochs, 1 - learned.get("prefix_share", 0.0))
        return learned | {"engine_gap_mean": gap.mean, "engine_gap_max": gap.max, "update_tflops": tflops}

    def logprobs(self, rows: Sequence[Sequence[int]]) -> Scores:
        return learner_logprobs(self._trainer.model_wrapped, rows, autocast=self._setup.autocast)

    def weights(self) -> Weights:
        return wrapped_weights(self._trainer)

    def save(self, folder: Path) -> None:
        trainer = self._trainer
        if trainer.is_deepspeed_enabled:
            trainer.model_wrapped.save_checkpoint(str(folder), exclude_frozen_parameters=self._adapted)
        elif self._setup.rank == 0:
            trained = {name: parameter.detach().contiguous() for name, parameter in trainer.trained().items()}
            save_file(trained, folder / TRAINED)
            save_file(_moments(trainer.optimizer), folder / OPTIMIZER)
        save_file({"state": self._order.get_state()}, folder / self._order_file)
        if self._setup.rank == 0:
            found = {"baselines": [[*role, value] for role, value in self._baselines.items()]}
            write_atomically(folder / BASELINES, json.dumps(found))

    def load(self, folder: Path) -> None:
        trainer = self._trainer
        found = read_json(folder / BASELINES, BaselinesFile)["baselines"]
        self._baselines = {(speaker, side, turn): value for speaker, side, turn, value in found}
        if (folder / self._order_file).exists():  # there may be more ranks now than wrote the checkpoint
            self._order.set_state(load_file(folder / self._order_file)["state"])
        if trainer.is_deepspeed_enabled:
            deepspeed_load_checkpoint(trainer.model_wrapped, str(folder), load_module_strict=not self._adapted)
            return
        tensors, trained = load_file(folder / TRAINED), trainer.trained()
        if tensors.keys() != trained.keys():
            raise RunError(
                f"{folder / TRAINED} holds other weights than this configuration trains: restore the run's config.yaml "
                "from a copy, or start a new run."
            )
        with torch.no_grad():
            for name, parameter in trained.items():
                parameter.copy_(tensors[name])
        _set_moments(trainer.optimizer, load_file(folder / OPTIMIZER))

    @property
    def _adapted(self) -> bool:
        return self._setup.config.debater.lora is not None

    @property
    def _order_file(self) -> str:
        return f"order-{self._setup.rank}.safetensors"

    def _shares_prefix(self, rows: Sequence[Trajectory]) -> bool:
        """Return whether an iteration's rows are computed as trees; say so if they should be and the model cannot."""
        wanted = self._algorithm.shares_prefix(sizes_of(rows).mean_prefix)
        if wanted and not self._trainer.can_share and self._first_batch and self._setup.rank == 0:
            say(NO_SHARING)
        return wanted and self._trainer.can_share

    def _share(self, rows: int) -> "_Share":
        """Return which of so many rows this rank learns from.

        All ranks take as many steps of as many rows, so places that are left over are filled up.
        """
        together = self._algorithm.minibatches * self._setup.world
        count = -(-rows // together) * self._algorithm.minibatches
        own = range(min(self._setup.rank * count, rows), min((self._setup.rank + 1) * count, rows))
        return _Share(own, count - len(own))

    def _credit(self, batch: Batch, rows: Sequence[Trajectory], values: list[Floats], mine: "_Share") -> None:
        """Put the advantages into the batch, (B, T), and with a critic the returns that its values are to become."""
        algorithm = self._algorithm
        if self._setup.world > 1:  # a speaker's rows may lie on several ranks
            values = gather_object(values)
        credit = algorithm.credit(rows, values, self._baselines)
        self._baselines = credit.baselines or {}
        found = credit.advantages
        if algorithm.normalise_advantages and not algorithm.critic:
            found = advantages.normalise(found, [row.row.mask for row in rows])
        batch["advantages"] = _stack([found[index] for index in mine.rows], batch["completion_ids"])
        if credit.returns is not None:
            batch["returns"] = _stack([credit.returns[index] for index in mine.rows], batch["completion_ids"])
        if algorithm.normalise_advantages and algorithm.critic:
            batch["advantages"] = self._trainer.normalised(batch["advantages"], sampled(batch))

    def _learn(self, batch: Batch) -> dict[str, float]:
        order = torch.randperm(len(batch["completion_ids"]), generator=self._order)
        if self._trainer.shares:
            order = torch.tensor(together(order.tolist(), self._trainer.sizes))
        return self._trainer.learn(batch, order.to(batch["completion_ids"].device))


@dataclass(frozen=True, slots=True)
class _Share:
    """A rank's part of an iteration's rows: which they are, and how many places are left to fill up."""

    rows: range
    fillers: int


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


PolicyGradient.surrogate = ClippedSurrogate
_NO_PROMPTS = Dataset.from_dict({"prompt": []})
"""What TRL is given for a data set: debates come from elsewhere."""


def _never_called(**_: Any) -> list[float]:
    """Stand where TRL insists on a reward function."""
    raise AssertionError("rewards come from judges, and TRL is not to ask for any")


def sampled(batch: Batch) -> torch.Tensor:
    """Return (B, T), 1 where the policy has sampled the token."""
    return batch["completion_mask"] * batch["tool_mask"]


def importance(batch: Batch, most: float) -> torch.Tensor:
    """Return (B, T) by how much likelier the learner finds each sampled token than the engine did, at most `most`.

    The surrogate takes min(r A, clip(r) A) with r against the learner at the start of the batch. An advantage times a
    weight w >= 0 gives w times that, so the gradient is that of tokens which the learner itself has sampled, but for
    what is cut off (Yao et al. 2025, "Your efficient RL framework secretly brings you off-policy RL training").
    """
    apart = batch["old_per_token_logps"] - batch["sampling_per_token_logps"]
    return torch.where(sampled(batch).bool(), apart, 0.0).exp().clamp(max=most)


def speech_ratios(now: torch.Tensor, batch: Batch) -> torch.Tensor:
    """Return log-probabilities (B, T) from which `now` differs, on each sampled token, by the mean over its speech of
    what `now` differs from the old ones: the logarithm of GSPO's ratio."""
    mask, speeches = sampled(batch), batch["speeches"]
    change = (now - batch["old_per_token_logps"]) * mask
    size = (len(now), int(speeches.max()) + 1)
    sums = torch.zeros(size, dtype=now.dtype, device=now.device).scatter_add_(1, speeches, change)
    counts = torch.zeros(size, dtype=now.dtype, device=now.device).scatter_add_(1, speeches, mask.to(now.dtype))
    return now - (sums / counts.clamp(min=1)).gather(1, speeches)


def wrapped_weights(trainer: Any) -> Weights:
    """Return the weights of a trainer of TRL's, gathered from all ranks."""
    tensors = trainer.accelerator.get_state_dict(trainer.model_wrapped)
    return Weights(trainer.accelerator.unwrap_model(trainer.model_wrapped), tensors or {})


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


def _stack(rows: Sequence[Floats], like: torch.Tensor) -> torch.Tensor:
    """Return a (B, T) float tensor of the rows, padded with zeros to the shape of `like` on the right and below."""
    stacked = torch.zeros(like.shape, dtype=torch.float32)
    for index, row in enumerate(rows):
        stacked[index, : len(row)] = torch.from_numpy(row).float()
    return stacked.to(like.device)


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


def _moments(optimizer: Any) -> dict[str, torch.Tensor]:
    """Return an optimizer's state as tensors by names such as "3.exp_avg"."""
    state = optimizer.state_dict()["state"]
    return {f"{index}.{name}": tensor.contiguous() for index, of in state.items() for name, tensor in of.items()}


def _set_moments(optimizer: Any, tensors: Mapping[str, torch.Tensor]) -> None:
    state: dict[int, dict[str, torch.Tensor]] = defaultdict(dict)
    for key, tensor in tensors.items():
        index, _, name = key.partition(".")
        state[int(index)][name] = tensor
    optimizer.load_state_dict({**optimizer.state_dict(), "state": dict(state)})
