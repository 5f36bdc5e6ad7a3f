"""The learner of policy gradients: what an iteration's rows are worth, and its steps on TRL's clipped surrogate."""

import json
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, ClassVar

import torch
from accelerate.utils import gather_object
from pydantic import Field
from safetensors.torch import load_file, save_file
from transformers.integrations.deepspeed import deepspeed_load_checkpoint

from rostrum.envs.files import write_atomically
from rostrum.trainer.algorithms import advantages
from rostrum.trainer.algorithms.advantages import Floats, Role
from rostrum.trainer.algorithms.settings import PolicyGradientSettings
from rostrum.trainer.learners.clipped_surrogate import Batch, ClippedSurrogate, sampled
from rostrum.trainer.learners.forward import check_deterministic
from rostrum.trainer.learners.learner import LearnerSetup, LocalLearner, Rehearsed, moments
from rostrum.trainer.learners.micro_batches import largest, sizes_of, together
from rostrum.trainer.learners.shared_prefix import NO_SHARING
from rostrum.trainer.learners.trl_trainers import wrapped_weights
from rostrum.trainer.progress import activity, say
from rostrum.trainer.reading import Open, read_json
from rostrum.trainer.store.run_folder import RunError
from rostrum.trainer.types import Policy, Trajectory
from rostrum.trainer.weights import finite
from rostrum.trainer.weights.logprobs import Scores, learner_logprobs
from rostrum.trainer.weights.publish import Weights, check_sampled
from rostrum.trainer.weights.trained import check_changed, check_trainable, fingerprint

ROUNDING = 1e-4
"""Nats per token, on average, up to which learner and engine count as the same policy."""
BASELINES, TRAINED, OPTIMIZER = "baselines.json", "trained.safetensors", "optimizer.safetensors"


class BaselinesFile(Open):
    """What is counted on in a checkpoint's baselines.json."""

    baselines: list[Annotated[tuple[str, int, int, float], Field(strict=False)]]


class PolicyGradient(LocalLearner):
    """Learns from an iteration's rows in `epochs` passes of `minibatches` optimizer steps."""

    surrogate: ClassVar[type[ClippedSurrogate]] = ClippedSurrogate
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
        if self._first_batch and rows[0].policy_version == policy.version:
            check_sampled(gap, self._setup.config.parity_tolerance)
        self._first_batch = False
        self._credit(batch, rows, values, mine)
        most = self._algorithm.most_importance(self._setup.config.debater.dtype)
        if most is not None and (self._algorithm.staleness or gap.mean > ROUNDING):
            batch["advantages"] = batch["advantages"] * importance(batch, most)
        learns = trainer.accelerator.reduce(batch["advantages"].abs().sum(), reduction="sum") > 0
        before = fingerprint(trainer.model) if learns else None
        learned = self._learn(batch)
        finite.check(trainer.model.named_parameters(), policy.version + 1)
        if before is not None:
            check_changed(before, fingerprint(trainer.model), self._algorithm.learning_rate)
        tflops = trainer.size.tflops(rows, self._algorithm.epochs, 1 - learned.get("prefix_share", 0.0))
        return learned | {"engine_gap_mean": gap.mean, "engine_gap_max": gap.max, "update_tflops": tflops}

    def rehearse(self, rows: Sequence[Trajectory], policy: Policy) -> Rehearsed:
        trainer, algorithm, world = self._trainer, self._algorithm, self._setup.world
        sizes = sizes_of(rows)
        shares = algorithm.shares_prefix(sizes.mean_prefix) and trainer.can_share
        step = -(-len(rows) // (algorithm.minibatches * world))
        chosen = largest(sizes, min(algorithm.micro_batch_rows or step, step), algorithm.micro_batch_tokens, shares)
        if shares:
            often = sizes.tokens(range(len(rows)), shared=True) / sizes.tokens(chosen, shared=True)
        elif algorithm.micro_batch_tokens is not None:
            often = sizes.whole / sizes.tokens(chosen, shared=False)
        else:
            often = len(rows) / len(chosen)
        seconds = trainer.rehearse(rows, chosen, shares) * often / world
        longest = max(sizes.prompts[row] + sizes.completions[row] for row in chosen)
        return Rehearsed(len(chosen), longest, seconds, moments(trainer.model.parameters()))

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
            order = torch.tensor(together(order.tolist(), self._trainer.sizes.questions))
        return self._trainer.learn(batch, order.to(batch["completion_ids"].device))


@dataclass(frozen=True, slots=True)
class _Share:
    """A rank's part of an iteration's rows: which they are, and how many places are left to fill up."""

    rows: range
    fillers: int


def importance(batch: Batch, most: float) -> torch.Tensor:
    """Return (B, T) by how much likelier the learner finds each sampled token than the engine did, at most `most`.

    The surrogate takes min(r A, clip(r) A) with r against the learner at the start of the batch. An advantage times a
    weight w >= 0 gives w times that, so the gradient is that of tokens which the learner itself has sampled, but for
    what is cut off (Yao et al. 2025, "Your efficient RL framework secretly brings you off-policy RL training").
    """
    apart = batch["old_per_token_logps"] - batch["sampling_per_token_logps"]
    return torch.where(sampled(batch).bool(), apart, 0.0).exp().clamp(max=most)


def _stack(rows: Sequence[Floats], like: torch.Tensor) -> torch.Tensor:
    """Return a (B, T) float tensor of the rows, padded with zeros to the shape of `like` on the right and below."""
    stacked = torch.zeros(like.shape, dtype=torch.float32)
    for index, row in enumerate(rows):
        stacked[index, : len(row)] = torch.from_numpy(row).float()
    return stacked.to(like.device)


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
