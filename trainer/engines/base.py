"""What the rest of Rostrum asks of an inference engine: tokens in, tokens and log-probabilities out."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar, runtime_checkable
from typing import Protocol as Interface

from rostrum.rewards.types import Scorer
from rostrum.trainer.engines.errors import EngineError
from rostrum.trainer.engines.formats import Format
from rostrum.trainer.reading import Open, read_json
from rostrum.trainer.section import Section
from rostrum.trainer.types import Policy

FINISH = "finish_weight_update"
"""The last step of a weight transfer, in vLLM's words."""


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
class Request:
    """A prompt with a seed of its own. `id` tells it from the others that are under way."""

    id: int
    prompt: Sequence[int]
    seed: int


class EngineSettings(Section):
    """How to run a model: everything but which one. An engine adds its own settings, `name: Literal["its name"]`, and
    what it can do."""

    engine: ClassVar[str]
    """The class of the `Engine`, as module:class; it is made of a model and these settings."""
    classifier: ClassVar[str | None] = None
    """The class that serves models with a classification or reward head, likewise; None: it serves none."""
    serves_adapters: ClassVar[bool] = False
    """Whether it serves the folder of a LoRA adapter on top of its base model, besides whole models."""
    transports: ClassVar[tuple[str, ...]] = ()
    """How it takes full weights over from the learner's memory (it is a `Receiver` then), besides reading folders."""
    sender: ClassVar[str | None] = None
    """The class that sends them, as module:class; it is made of workers, a transport and an address."""
    sleeps: ClassVar[bool] = False
    """Whether it can give a GPU's memory back between turns (`trainer.engines.sleeping`)."""
    claims_memory: ClassVar[bool] = False
    """Whether each of its models takes `gpu_memory_fraction` of a GPU when it starts; adapters share a model."""
    caches_prefixes: ClassVar[bool] = False
    """Whether it always keeps what it has read, and counts that in `prefix_cache`."""
    splits_models: ClassVar[bool] = False
    """Whether it can hold a model in parts, one on each of several GPUs (`tensor_parallel`)."""
    quantizations: ClassVar[tuple[str, ...]] = ()
    """The methods by which it quantizes a model, or reads one that is quantized."""
    computes_apart: ClassVar[bool] = False
    """Whether it computes in a process of its own, and whoever asks it only waits."""
    unread: ClassVar[int] = 0
    """Tokens of a model's context that cannot be read: 1 where a new token is sampled in any case."""

    name: str
    batch_size: int = 256
    """Rows that the model reads at a time."""
    dtype: str = "float32"
    format: str = "auto"
    """"plain", "chat" or "auto", see `trainer.engines.formats`."""
    thinking: bool = False
    """Whether a chat template is asked to let the model think first."""
    gpu_memory_fraction: float = 0.9
    """For engines that claim memory: how much of a GPU's weights and caches may take."""
    sleep: bool = False
    """Whether that memory is to be given back between turns."""
    weight_transfer: str = "disk"
    """How new full weights come: from "disk", or from the learner over one of the `transports`."""
    tensor_parallel: int = 1
    """GPUs that hold a part of the model each."""
    quantization: str | None = None
    """One of the `quantizations`; none: as the model's folder says."""

    @property
    def forgets(self) -> bool:
        """Whether the engine is `Forgetful`: it keeps what it has read while debates are played together, and no
        longer."""
        return False

    @property
    def keeps_from(self) -> int:
        """Tokens of the shortest prompt that such an engine keeps."""
        return 0

    def check(self) -> None:
        """Ask for what the engine needs here, before anything is started.

        Raises:
            EngineError: it is not there, or not installed.
        """


class Engine(Scorer, Interface):
    """A causal language model that generates and scores. Judges use it as a `rewards.types.Scorer`."""

    format: Format
    """How conversations become this model's tokens."""

    def load(self, policy: Policy) -> None:
        """Serve these weights from now on."""

    @property
    def max_context(self) -> int:
        """The longest row of tokens, prompt and completion together, that the model can read."""

    def generate(self, prompts: Sequence[Sequence[int]], sampling: Sampling) -> list[Completion]:
        """Return one completion per prompt."""

    def logprobs(self, rows: Sequence[Sequence[int]]) -> list[tuple[float, ...]]:
        """Return the log-probability of every token of each row but the first, given those before it."""

    def choice_logprobs(self, prompts: Sequence[str], choices: Sequence[tuple[str, ...]]) -> list[tuple[float, ...]]:
        """Return the log-probability of each choice as the continuation of its prompt."""


class Forgetful(Engine, Interface):
    """An engine whose `forgets` is true: it keeps what it has read, and drops it when it is told to. So what it samples
    in a shard depends on that shard alone."""

    @property
    def prefix_cache(self) -> tuple[int, int]:
        """Return how many tokens of prompts were looked up so far, and how many of them did not have to be read."""

    def forget(self) -> None:
        """Drop what is kept."""


@runtime_checkable
class Streams(Interface):
    """An engine that takes prompts while others are under way, and seeds each by itself.

    What is sampled after a prompt depends on the prompt, its seed and the weights, and not on what else is under way
    (but for rounding).
    """

    def stream(self, more: Sequence[Request], sampling: Sampling) -> Mapping[int, Completion]:
        """Take more prompts; return what is completed next, by the requests' ids: at least one where any is under way.

        What comes together depends on all that was asked since nothing was under way, never on time: a batch that is
        played again has the same prompts under way at each token. The seed of `sampling` is passed over.

        Raises:
            EngineError: a prompt with `max_tokens` after it would not fit the model's context.
        """

    def abort(self) -> None:
        """Drop what is under way."""


def complete(engine: Streams, requests: Sequence[Request], sampling: Sampling) -> list[Completion]:
    """Return one completion per request, in their order; nothing else is under way."""
    found, more = dict[int, Completion](), requests
    try:
        while len(found) < len(requests):
            found |= engine.stream(more, sampling)
            more = ()
    except Exception:
        engine.abort()
        raise
    return [found[request.id] for request in requests]


class Receiver(Engine, Interface):
    """An engine that takes full weights over from the learner's memory."""

    @property
    def receiver(self) -> str:
        """Return which process takes weights over: node and process id."""

    def transfer(self, step: str, payload: Any) -> None:
        """Carry out one step of a weight transfer; after the last one, the new weights are served.

        Raises:
            EngineError: it failed, and this engine cannot go on.
        """


class Receivers(Interface):
    """The receivers of all workers, reached together."""

    def receivers(self, policy: Policy) -> list[str]:
        """Return the engines of all workers that take over new weights of the policies of this name."""

    def transfer(self, policy: Policy, step: str, payload: Callable[[int], Any]) -> None:
        """Carry out one step of a weight transfer in all of these engines at once, each with the payload for its index.

        Raises:
            TransferError: it failed in one of them.
        """

    def let_go(self, policy: Policy) -> None:
        """End these engines."""


def check_room(prompts: Sequence[Sequence[int]], sampling: Sampling, max_context: int) -> None:
    """Refuse prompts that leave no room for what may be sampled after them.

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
    """Return the rank of the LoRA adapter in a folder; 0 for a whole model. An engine takes over weights of one rank
    alone."""
    config = Path(folder) / "adapter_config.json"
    return read_json(config, _Adapter)["r"] if config.exists() else 0
