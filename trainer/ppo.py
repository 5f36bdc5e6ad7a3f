"""Policy gradients on debates: PPO, RLOO and RAE. TRL has had no PPOTrainer since 1.13: what runs here is TRL's own
clipped surrogate, KL term, optimizer, DeepSpeed and checkpoints (`GRPOTrainer`), fed with our rollouts and our
per-token advantages; PPO has a value head and its loss besides.
"""

from collections.abc import Callable, Sequence
from importlib import import_module
from typing import Any

import numpy as np
import torch
from accelerate.utils import gather_object

# Or TRL imports vLLM into the learner, for no use: that takes half a minute and changes torch and transformers.
import_module("trl.import_utils").is_vllm_available = lambda min_version=None: False  # type: ignore[attr-defined]
from trl import GRPOConfig, GRPOTrainer  # noqa: E402

from trainer import credit  # noqa: E402
from trainer.config import PolicyGradient, Ppo, Rae  # noqa: E402
from trainer.forward import make_comparable  # noqa: E402
from trainer.publish import VALUE_HEAD, Gap  # noqa: E402
from trainer.trained import check_changed, fingerprint  # noqa: E402
from trainer.types import Row, Trajectory  # noqa: E402

GROUP = 2
"""TRL's group size. Groups mean nothing here, as advantages are ours, but TRL insists on at least two."""

Collect = Callable[[int], list[Trajectory | None]]
"""Given the iteration, all rows of its batch on every rank; None stands for a seat that has nothing to learn from."""


class DebatePpo(GRPOTrainer):
    """TRL's trainer with debates for rollouts and (B, T) advantages.

    One batch of generation is one iteration. `collect` is called once per iteration on every rank and returns the whole
    batch; each rank learns from its slice. `check_gap` is asked once, about the first batch, how far the learner is
    from the log-probabilities that it was sampled with. `baselines` are the running means of RAE.
    """

    def __init__(
        self, settings: PolicyGradient, collect: Collect, check_gap: Callable[[Gap], None] = lambda gap: None,
        **kwargs: Any,
    ) -> None:  # fmt: skip
        self.settings, self._collect_batch, self._check_gap = settings, collect, check_gap
        self.baselines: dict[credit.Role, float] = {}
        self._batch: list[Trajectory | None] = []
        self._mine = slice(0)
        self._trajectories: list[Trajectory | None] = []
        self._advantages: list[np.ndarray] = []
        self._values: torch.Tensor | None = None
        self._before: list[tuple[float, float]] | None = None
        """The weights that the iteration under way began with, if its advantages differ; else None."""
        self.first_batch = True
        super().__init__(reward_funcs=[_total], rollout_func=lambda prompts, _: self._rows(len(prompts)), **kwargs)
        make_comparable(self.model)
        if self.ref_model is not None:
            make_comparable(self.accelerator.unwrap_model(self.ref_model))
        if isinstance(settings, Ppo):
            _attach_value_head(self.model)  # after an adapter was put on, which would wrap or freeze it
            backbone = self.accelerator.unwrap_model(self.model).get_decoder()
            backbone.register_forward_hook(self._keep_values)

    @property
    def iteration(self) -> int:
        """The iteration that is being played or learned from, counted from 1."""
        return self.state.global_step // (self.settings.epochs * self.settings.minibatches) + 1

    def _rows(self, count: int) -> dict[str, list[Any]]:
        """What TRL asks of a rollout function: this rank's rows."""
        batch = self._collect_batch(self.iteration)
        first = self.accelerator.process_index * count
        self._batch, self._mine = batch, slice(first, first + count)
        self._trajectories = batch[self._mine]
        self._advantages = self._credit(batch)[self._mine]
        rows = [_NOTHING if t is None else t.row for t in self._trajectories]
        return {
            "prompt_ids": [list(row.prompt) for row in rows],
            "completion_ids": [list(row.completion) for row in rows],
            "logprobs": [list(row.logprobs) for row in rows],
            "env_mask": [list(row.mask) for row in rows],
            "total": [None if t is None else t.reward.total for t in self._trajectories],
        }

    def _credit(self, batch: Sequence[Trajectory | None]) -> list[np.ndarray]:
        """Advantages (T,) for every row of the whole batch; empty for PPO, which needs the critic first."""
        there = [t for t in batch if t is not None]
        if isinstance(self.settings, Ppo):
            return [np.zeros(0)] * len(batch)
        if isinstance(self.settings, Rae):
            per_speech, self.baselines = credit.role_ema(there, self.baselines, self.settings.ema_decay)
        else:
            per_speech = credit.group(there)
        advantages = [credit.spread(t.row, values) for t, values in zip(there, per_speech, strict=True)]
        if self.settings.normalise_advantages:
            advantages = credit.normalise(advantages, [t.row.mask for t in there])
        found = iter(advantages)
        return [np.zeros(1) if t is None else next(found) for t in batch]

    def _generate_and_score_completions(self, inputs: list[dict[str, Any]]) -> dict[str, Any]:
        """TRL's batch, with advantages of shape (B, T) in place of (B,)."""
        batch = super()._generate_and_score_completions(inputs)
        if isinstance(self.settings, Ppo):
            self._add_gae(batch, self.settings)
        else:
            batch["advantages"] = _stack(self._advantages, batch["completion_ids"])
        self._compare(batch)
        learns = self.accelerator.reduce(batch["advantages"].abs().sum(), reduction="sum")
        self._before = fingerprint(self.model) if learns > 0 else None
        return batch

    def _compare(self, batch: dict[str, Any]) -> None:
        """Measure how far the learner is from the log-probabilities that the batch was sampled with.

        Raises:
            ParityError: in the first batch, it is further than rounding explains.
        """
        learner = batch.get("old_per_token_logps")
        if learner is None:  # TRL needs none where the whole batch is one step
            ids = torch.cat([batch["prompt_ids"], batch["completion_ids"]], dim=1)
            attention = torch.cat([batch["prompt_mask"], batch["completion_mask"]], dim=1)
            length, size = batch["completion_ids"].size(1), self.args.per_device_train_batch_size
            with torch.no_grad():
                learner, _, _ = self._get_per_token_logps_and_entropies(self.model, ids, attention, length, size)
        sampled = (batch["completion_mask"] * batch["tool_mask"]).bool()
        apart = (learner - batch["sampling_per_token_logps"])[sampled].abs().double()
        sums = torch.stack([apart.sum(), torch.tensor(float(apart.numel()), dtype=apart.dtype, device=apart.device)])
        total, count = self.accelerator.reduce(sums, reduction="sum").tolist()
        largest = self.accelerator.gather(apart.max() if apart.numel() else apart.sum())
        gap = Gap(total / max(count, 1), float(largest.max()))
        self._metrics["train"]["engine_gap_mean"].append(gap.mean)
        self._metrics["train"]["engine_gap_max"].append(gap.max)
        if self.first_batch:
            self._check_gap(gap)
            self.first_batch = False

    def check_learned(self) -> None:
        """Ask whether the iteration that is over has changed a weight, if it had something to learn.

        Raises:
            NothingLearned: it has not.
        """
        if self._before is not None:
            check_changed(self._before, fingerprint(self.model), self.settings.learning_rate)
        self._before = None

    def _add_gae(self, batch: dict[str, Any], settings: Ppo) -> None:
        mask = (batch["tool_mask"] * batch["completion_mask"]).cpu().numpy()
        padded = self._old_values(batch).double().cpu().numpy()
        lengths = [1 if t is None else len(t.row.completion) for t in self._trajectories]
        values = [row[:length] for row, length in zip(padded, lengths, strict=True)]
        if self.accelerator.num_processes > 1:  # a seat's rows may lie on several ranks
            values = gather_object(values)
        found = credit.gae_of_rows(self._batch, values, settings.gamma, settings.lam)[self._mine]
        advantages, returns = (_stack(list(column), batch["completion_ids"]) for column in zip(*found, strict=True))
        batch["advantages"], batch["returns"] = self._normalise(advantages, mask), returns

    def _old_values(self, batch: dict[str, Any]) -> torch.Tensor:
        """(B, T) the critic's value before each completion token, without gradient."""
        ids = torch.cat([batch["prompt_ids"], batch["completion_ids"]], dim=1)
        attention = torch.cat([batch["prompt_mask"], batch["completion_mask"]], dim=1)
        size, length, values = self.args.per_device_train_batch_size, batch["completion_ids"].size(1), []
        with torch.no_grad():
            for start in range(0, len(ids), size):
                rows = slice(start, start + size)
                self._get_per_token_logps_and_entropies(self.model, ids[rows], attention[rows], length)
                values.append(self._take_values(length))
        return torch.cat(values)

    def _normalise(self, advantages: torch.Tensor, mask: np.ndarray) -> torch.Tensor:
        """Return them with zero mean and, unless they differ by noise alone, unit deviation over the sampled tokens of
        all ranks."""
        if not self.settings.normalise_advantages:
            return advantages
        sampled = torch.as_tensor(mask, device=advantages.device, dtype=advantages.dtype)
        sums = torch.stack([(advantages * sampled).sum(), (advantages**2 * sampled).sum(), sampled.sum()])
        total, squares, count = self.accelerator.reduce(sums, reduction="sum")
        mean = total / count.clamp(min=1)
        deviation = (squares / count.clamp(min=1) - mean**2).clamp(min=0).sqrt()
        if not credit.exceeds_noise(float(deviation), abs(float(mean))):
            deviation = torch.ones_like(deviation)
        return (advantages - mean) / (deviation + 1e-8) * sampled

    def _compute_loss(self, model: torch.nn.Module, inputs: dict[str, Any]) -> torch.Tensor:
        """TRL's loss; with a critic, plus the squared error of its values against the returns."""
        loss = super()._compute_loss(model, inputs)
        if not isinstance(self.settings, Ppo):
            return loss
        mask = inputs["completion_mask"] * inputs["tool_mask"]
        values = self._take_values(inputs["completion_ids"].size(1))
        minibatch = (
            inputs["num_items_in_batch"].clamp(min=1) / self.settings.minibatches
        )  # mean tokens of one, as TRL's
        squares = ((values - inputs["returns"]) ** 2 * mask).sum()
        total, tokens = self.accelerator.reduce(torch.stack([squares.detach(), mask.sum()]), reduction="sum")
        self._metrics["train"]["value_loss"].append((total / tokens.clamp(min=1)).item())
        ranks = self.accelerator.num_processes  # their gradients are averaged, and the sum is wanted
        return loss + self.settings.value_coefficient * squares * ranks / minibatch

    def _keep_values(self, module: torch.nn.Module, args: Any, output: Any) -> None:
        """Forward hook on the backbone: runs inside DeepSpeed's forward, so sharded parameters are gathered."""
        head = getattr(self.accelerator.unwrap_model(self.model), VALUE_HEAD)
        self._values = head(output.last_hidden_state.to(head.weight.dtype)).squeeze(-1)

    def _take_values(self, length: int) -> torch.Tensor:
        """(B, length) the values at the positions that predict the last `length` tokens."""
        assert self._values is not None
        values, self._values = self._values[:, -length - 1 : -1].float(), None
        return values


_NOTHING = Row(prompt=(0,), completion=(0,), mask=(0,), logprobs=(0.0,), ends=(0,))
"""Fills the place of a seat without a verdict: TRL needs as many rows as it asked for, and this one trains nothing."""


def _total(total: list[float | None], **_: Any) -> list[float | None]:
    """The reward function as TRL sees it: what the seat earned, for its logs."""
    return total


def _attach_value_head(model: torch.nn.Module) -> None:
    parameter = next(model.parameters())
    head = torch.nn.Linear(model.config.get_text_config().hidden_size, 1, device=parameter.device)  # type: ignore[union-attr]
    torch.nn.init.zeros_(head.weight)
    torch.nn.init.zeros_(head.bias)
    setattr(model, VALUE_HEAD, head)


def _stack(rows: Sequence[np.ndarray], like: torch.Tensor) -> torch.Tensor:
    """(B, T) float tensor of the rows, padded on the right with zeros to the shape of `like`."""
    stacked = torch.zeros(like.shape, dtype=torch.float32)
    for i, row in enumerate(rows):
        stacked[i, : len(row)] = torch.from_numpy(row).float()
    return stacked.to(like.device)


def trl_config(
    settings: PolicyGradient, rows: int, iterations: int, temperature: float, world_size: int, **kwargs: Any
) -> GRPOConfig:
    """TRL's configuration for batches of `rows` rows: one generation per iteration, `epochs` passes of `minibatches`.

    Raises:
        ValueError: the rows do not divide into the minibatches and ranks.
    """
    step, leftover = divmod(rows, settings.minibatches * world_size)
    micro = min(settings.micro_batch_rows or step, step)
    if leftover or step % micro:
        raise ValueError(
            f"{rows} rows per iteration do not divide into {settings.minibatches} minibatches on {world_size} ranks in "
            f"micro-batches of {micro}: change algorithm.minibatches or algorithm.micro_batch_rows."
        )
    accumulation = step // micro
    steps = settings.epochs * settings.minibatches
    return GRPOConfig(
        per_device_train_batch_size=micro, gradient_accumulation_steps=accumulation,
        steps_per_generation=settings.minibatches * accumulation, num_iterations=settings.epochs,
        num_generations=GROUP, max_steps=iterations * steps,
        learning_rate=settings.learning_rate, lr_scheduler_type="constant", max_grad_norm=settings.max_grad_norm,
        epsilon=settings.clip, beta=settings.kl, loss_type="dapo", scale_rewards="none", temperature=temperature,
        shuffle_dataset=False, use_vllm=False, logging_steps=steps, remove_unused_columns=False, **kwargs,
    )  # fmt: skip
