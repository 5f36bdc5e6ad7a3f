"""What an iteration costs: the time of its parts, tokens per second, the share of a GPU's arithmetic that was used.

These figures depend on the machine: a run that is made again has others, and all else in metrics.jsonl the same.
"""

import resource
import time
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from rostrum.rewards.types import Usage
from rostrum.trainer.config import Config
from rostrum.trainer.machine import Machine
from rostrum.trainer.types import Batch, Trajectory

OF_THE_MACHINE = frozenset(
    {
        "debates_per_second",
        "iteration_seconds",
        "publishing_seconds",
        "playing_seconds",
        "judging_seconds",
        "learning_seconds",
        "waiting_seconds",
        "sampled_tokens_per_second",
        "judged_tokens_per_second",
        "learned_tokens_per_second",
        "gpu_hours",
        "peak_memory_gb",
        "peak_gpu_memory_gb",
        "mfu",
    }
)
"""Names of the figures in a line of metrics.jsonl that another machine, or another day, makes others."""
PEAKS = {"H100": 989e12, "H200": 989e12, "A100": 312e12}
"""FLOP/s of dense bfloat16 by what the name of a GPU holds (NVIDIA's data sheets, SXM)."""


def now() -> float:
    """Return the time in seconds, once a GPU has done what it was asked."""
    import torch

    if torch.cuda.is_available():
        torch.cuda.synchronize()
    return time.monotonic()


class Clock:
    """Adds up the seconds of the parts of an iteration."""

    def __init__(self) -> None:
        self._parts, self._start = defaultdict[str, float](float), time.monotonic()

    @contextmanager
    def part(self, name: str) -> Iterator[None]:
        """Count what is done meanwhile."""
        start = time.monotonic()
        try:
            yield
        finally:
            self._parts[name] += time.monotonic() - start

    @contextmanager
    def stopped(self) -> Iterator[None]:
        """Leave out of the iteration what is done meanwhile."""
        start = time.monotonic()
        try:
            yield
        finally:
            self._start += time.monotonic() - start

    def so_far(self, name: str) -> float:
        """Return the seconds of a part since the last time."""
        return self._parts.get(name, 0.0)

    def take(self) -> dict[str, float]:
        """Return the seconds of each part since the last time, and of the "iteration" as a whole."""
        now = time.monotonic()
        taken = {**self._parts, "iteration": now - self._start}
        self._parts, self._start = defaultdict[str, float](float), now
        return taken


@dataclass(frozen=True, slots=True)
class Tokens:
    """What was worked through in an iteration."""

    sampled: int
    """Of all speeches."""
    judged: float
    """Read and written by judges; 0 where a judge does not count."""
    learned: int
    """Of all rows, each counted once in however many passes it is learned from."""


def tokens_of(batch: Batch, judged: Usage) -> Tokens:
    """Return the tokens of an iteration's debates; `judged` is what the judge was asked about them."""
    rows = [row for one in batch.judged for rows in one.rollout.rows.values() for row in rows]
    learned = [of.row for policy in batch.policies for of in batch.trajectories(policy)]
    return Tokens(
        sum(sum(row.mask) for row in rows),
        judged.prompt_tokens + judged.new_tokens,
        sum(len(row.prompt) + len(row.completion) for row in learned),
    )


@dataclass(frozen=True, slots=True)
class Gpus:
    """How many GPUs a run holds while it trains: in all, and those that learn."""

    held: float
    learning: float


def figures(seconds: Mapping[str, float], tokens: Tokens, gpus: Gpus, tflops: float) -> dict[str, float]:
    """Return the machine's figures of an iteration.

    `seconds` are by part. MFU is `tflops`, the model TFLOPs of all updates, over what the GPUs that learn could have
    done in the seconds of learning; it is left out where there is no GPU whose peak is known.
    """
    found = {f"{part}_seconds": taken for part, taken in seconds.items()}
    done = {"sampled": ("playing", tokens.sampled), "judged": ("judging", tokens.judged)}
    for name, (part, count) in {**done, "learned": ("learning", tokens.learned)}.items():
        if count and seconds.get(part, 0) > 0:
            found[f"{name}_tokens_per_second"] = count / seconds[part]
    found["peak_memory_gb"] = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 / 1e9
    if gpus.held:
        found["gpu_hours"] = gpus.held * seconds["iteration"] / 3600
    return found | _of_the_gpu(tflops, seconds.get("learning", 0.0) * gpus.learning)


def _of_the_gpu(tflops: float, seconds: float) -> dict[str, float]:
    """Return the peak of this process' GPU memory since the last time, and MFU over `seconds` of one GPU."""
    import torch

    if not torch.cuda.is_available():
        return {}
    found = {"peak_gpu_memory_gb": torch.cuda.max_memory_allocated() / 1e9}
    torch.cuda.reset_peak_memory_stats()
    peak = next((peak for name, peak in PEAKS.items() if name in torch.cuda.get_device_name()), None)
    if peak is not None and tflops and seconds:
        found["mfu"] = tflops * 1e12 / seconds / peak
    return found


def gpus_of(config: Config, machine: Machine) -> Gpus:
    """Return the GPUs of a run, as its configuration asks for them."""
    cluster = config.cluster
    each = float(machine.has_gpu) if cluster.gpus_per_learner is None else cluster.gpus_per_learner
    groups = len(config.policies) if cluster.deepspeed is not None else 1
    learning = each * (cluster.learners * groups if cluster.learners else machine.ranks)
    workers = cluster.rollout_workers * cluster.gpus_per_worker + cluster.judge_workers * cluster.gpus_per_judge
    return Gpus(learning + workers, learning)


@dataclass(frozen=True, slots=True)
class ModelSize:
    """What the FLOPs of a model's passes are counted from."""

    body: int
    """Weights of the matrices that every token is multiplied with, without the embeddings."""
    head: int
    """Weights of the matrix that gives the next token, which tokens that are scored are multiplied with."""
    attention: int
    """Layers times heads times head size."""
    trained: bool
    """All weights have a gradient, and not an adapter's alone."""

    @classmethod
    def of(cls, model: Any, adapted: bool) -> "ModelSize":
        """Return the size of a causal model, with an adapter on it if it is `adapted`."""
        config = model.config.get_text_config()
        embeddings = {id(of().weight) for of in (model.get_input_embeddings, model.get_output_embeddings)}
        matrices = [
            parameter
            for name, parameter in model.named_parameters()
            if parameter.dim() == 2 and id(parameter) not in embeddings and "lora_" not in name
        ]
        head_size = getattr(config, "head_dim", None) or config.hidden_size // config.num_attention_heads
        return cls(
            sum(map(_count, matrices)),
            _count(model.get_output_embeddings().weight),
            config.num_hidden_layers * config.num_attention_heads * head_size,
            not adapted,
        )

    def tflops(self, rows: Sequence[Trajectory], passes: int, computed: float = 1.0) -> float:
        """Return the model TFLOPs of learning from rows: forward and backward, as often as `passes`.

        A weight takes 2 per token forward, 2 for the gradient of the activations, and 2 for its own if it has one;
        attention takes 4 d S forward and 8 backward per token and layer in a row of S tokens, the masked half not taken
        off (Chowdhery et al. 2022, PaLM, appendix B). Adapters (under 1 %), what is computed twice under gradient
        checkpointing, and the passes that only read are not counted. `computed` is the share of the rows' tokens that
        was not shared with other rows. Every expert of a mixture counts.
        """
        per_weight = 6 if self.trained else 4
        total = 0.0
        for of in rows:
            scored, length = len(of.row.completion), len(of.row.prompt) + len(of.row.completion)
            weights = self.body * length * computed + self.head * scored
            total += per_weight * weights + 12 * self.attention * length**2 * computed
        return total * passes / 1e12


def _count(parameter: Any) -> int:
    """Return a parameter's numbers, those on other ranks included."""
    return int(getattr(parameter, "ds_numel", parameter.numel()))
