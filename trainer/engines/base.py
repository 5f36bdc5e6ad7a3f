"""What the rest of Rostrum asks of an inference engine: tokens in, tokens and log-probabilities out."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING
from typing import Protocol as Interface

from trainer.reading import Open, read_json
from trainer.types import Policy

if TYPE_CHECKING:
    from trainer.engines.formats import Format


FINISH = "finish_weight_update"
"""The last step of a weight transfer, in vLLM's words."""


class EngineError(ValueError):
    """A model or a request that the engine cannot serve; the message says what to do."""


class EngineLost(EngineError):
    """The process behind an engine is gone; another engine could go on."""


@dataclass(frozen=True, slots=True)
class Sampling:
    """How to sample. The same prompts, sampling and weights give the same tokens on the same hardware."""

    max_tokens: int
    temperature: float = 1.0
    seed: int = 0


@dataclass(frozen=True, slots=True)
class Completion:
    """What was sampled: tokens (the end token included), their log-probabilities, and "stop" or "length"."""

    token_ids: tuple[int, ...]
    logprobs: tuple[float, ...]
    finish_reason: str


@dataclass(frozen=True, slots=True)
class EngineSetup:
    """How to run a model: everything but which one."""

    engine: str = "transformers"
    batch_size: int = 256
    """Rows that the model reads at a time."""
    dtype: str = "float32"
    format: str = "auto"
    """"plain", "chat" or "auto", see `trainer.engines.formats`."""
    thinking: bool = False
    """Whether a chat template is asked to let the model think first."""
    gpu_memory_fraction: float = 0.9
    """For vLLM on GPUs: how much of a GPU's memory weights and caches may take."""
    sleep: bool = False
    """For vLLM on GPUs: whether that memory can be given back between turns (`trainer.engines.resting`)."""
    weight_transfer: str = "disk"
    """How vLLM comes by new full weights: from "disk", or from the learner over "nccl" or "gloo"."""


class Engine(Interface):
    """A causal language model that generates and scores. Judges use it as a `rewards.types.Scorer`."""

    format: "Format"
    """How conversations become this model's tokens."""

    def load(self, policy: Policy) -> None:
        """Serves these weights from now on."""

    @property
    def max_context(self) -> int:
        """The longest row of tokens, prompt and completion together, that the model can read."""

    def generate(self, prompts: Sequence[Sequence[int]], sampling: Sampling) -> list[Completion]:
        """One completion per prompt."""

    def logprobs(self, rows: Sequence[Sequence[int]]) -> list[tuple[float, ...]]:
        """Log-probability of every token of each row but the first, given those before it."""

    def choice_logprobs(self, prompts: Sequence[str], choices: Sequence[tuple[str, ...]]) -> list[tuple[float, ...]]:
        """Log-probability of each choice as the continuation of its prompt."""


def check_room(prompts: Sequence[Sequence[int]], sampling: Sampling, max_context: int) -> None:
    """Asks whether every prompt leaves room for what may be sampled after it.

    Raises:
        EngineError: the longest does not.
    """
    longest = max((len(prompt) for prompt in prompts), default=0)
    if longest + sampling.max_tokens > max_context:
        raise EngineError(
            f"A prompt of {longest} tokens and {sampling.max_tokens} new ones exceed the context of {max_context}: "
            "shorten the passage or the speeches, or take a model with a longer context."
        )


class _Adapter(Open):
    r: int


def lora_rank(folder: str) -> int:
    """The rank of the LoRA adapter in a folder; 0 for a whole model. An engine takes over weights of one rank alone."""
    config = Path(folder) / "adapter_config.json"
    return read_json(config, _Adapter)["r"] if config.exists() else 0
