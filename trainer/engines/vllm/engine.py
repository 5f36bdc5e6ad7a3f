"""vLLM as an engine: batched continuously, with a prefix cache, on GPUs or on CPUs with AVX-512.

LoRA adapters come from their published folders and are served on top of one copy of their base model, under names that
are never used twice. Full weights replace the old ones in place: from the published folder or the learner's memory
(`trainer.engines.vllm.transfer`).
"""

import contextlib
import itertools
import socket
import zlib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any
from weakref import WeakValueDictionary

from rostrum.trainer.engines.base import Completion, EngineSettings, Request, Sampling, check_room, lora_rank
from rostrum.trainer.engines.errors import EngineError
from rostrum.trainer.engines.formats import make_format
from rostrum.trainer.engines.texts import TextEngine
from rostrum.trainer.engines.vllm.process import VllmProcess
from rostrum.trainer.engines.vllm.served import Adapter, ServerSetup
from rostrum.trainer.models import loading
from rostrum.trainer.types import Policy

_adapters = itertools.count(1)
_shared: WeakValueDictionary[ServerSetup, VllmProcess] = WeakValueDictionary()
"""Running base models that serve adapters, for the next engine that needs the same."""


class VllmEngine(TextEngine):
    """Generates and scores with one model in a child process. `batch_size` rows are processed at a time.

    Engines on LoRA adapters of the same base model share one child. Sampling is seeded per prompt: the same prompts,
    sampling and weights give the same tokens, whatever else is in the batch (seen on the CPU in float32).
    """

    def __init__(self, model: str, setup: EngineSettings) -> None:
        setup.check()
        tokenizer = loading.load_tokenizer(model)
        self._ends = sorted(loading.end_tokens(model, tokenizer))
        self.format = make_format(tokenizer, self._ends, setup.format, setup.thinking)
        self._rank = lora_rank(loading.resolve(model))
        self._process = _process(model, setup, self._rank)
        self._adapter = _adapter("base", 0, model) if self._rank else None

    def load(self, policy: Policy) -> None:
        """Serve the weights of a published policy from now on: full weights, or an adapter of the same base model."""
        if self._rank:
            self._process.call("drop", self._adapter)
            self._adapter = _adapter(policy.name, policy.version, policy.path)
        else:
            self._process.call("reload", _absolute(loading.resolve(policy.path)))

    @property
    def receiver(self) -> str:
        """Which process takes weights over: node and process id."""
        return f"{socket.gethostname()}:{self.pid}"

    def transfer(self, step: str, payload: Any) -> None:
        """Do one step of a weight transfer; after the last one, the new weights are served.

        Raises:
            EngineError: it failed, and this engine cannot go on.
        """
        self._process.call("transfer", step, payload)

    @property
    def max_context(self) -> int:
        """The longest row, in tokens, prompt and completion together: the model's context, or what the cache has room
        for."""
        return self._process.max_context

    @property
    def prefix_cache(self) -> tuple[int, int]:
        """Tokens looked up in the prefix cache so far, and tokens found there (of all engines that share the child)."""
        queries, hits = self._process.call("prefix_cache")
        return queries, hits

    @property
    def pid(self) -> int:
        """The child's process id."""
        return self._process.pid

    def generate(self, prompts: Sequence[Sequence[int]], sampling: Sampling) -> list[Completion]:
        """Return one completion per prompt (lists of token ids).

        Raises:
            EngineError: a prompt with `max_tokens` after it would not fit the model's context.
        """
        check_room(prompts, sampling, self.max_context)
        if not prompts:
            return []
        seeds = [zlib.crc32(f"{sampling.seed}:{i}".encode()) for i in range(len(prompts))]
        found = self._process.call(
            "generate", prompts, sampling.max_tokens, sampling.temperature, seeds, self._ends, self._adapter
        )
        return [Completion(*completion) for completion in found]

    def stream(self, more: Sequence[Request], sampling: Sampling) -> Mapping[int, Completion]:
        """Take more prompts beside those that are under way; return what is completed next, by the requests' ids.

        The child computes only while it is asked, so what is read and sampled together does not depend on time.

        Raises:
            EngineError: a prompt with `max_tokens` after it would not fit the model's context.
        """
        check_room([request.prompt for request in more], sampling, self.max_context)
        asked = [(request.id, list(request.prompt), request.seed) for request in more]
        found = self._process.call(
            "stream", asked, sampling.max_tokens, sampling.temperature, self._ends, self._adapter
        )
        return {number: Completion(*completion) for number, completion in found}

    def abort(self) -> None:
        """Drop what is under way; with the child, it is gone."""
        with contextlib.suppress(EngineError):
            self._process.call("abort")

    def logprobs(self, rows: Sequence[Sequence[int]]) -> list[tuple[float, ...]]:
        """Return the log-probability of every token but the first of each row.

        Every prefix is a request for the log-probability of the token after it, the way of sampled tokens through vLLM,
        so a row of T tokens costs T - 1 requests: meant for the short rows of the parity probe. (vLLM's own
        `prompt_logprobs` fails in 0.32 on CPUs where adapters are served.)
        """
        wanted = [(tuple(row[:end]), row[end]) for row in rows for end in range(1, len(row))]
        values = iter(self._score(wanted))
        return [tuple(next(values) for _ in row[1:]) for row in rows]

    def score(self, wanted: Sequence[tuple[tuple[int, ...], tuple[int, ...]]]) -> list[float]:
        """Return the log-probability (nats, summed over tokens) of each continuation after its context.

        Each token is asked for as the next one after what precedes it, by id, so the values are exact and not cut to
        the likeliest. A context serves all continuations that need it, for those of one token the context alone, and
        longer ones find it in the prefix cache, which `prompt_logprobs` would read anew for every continuation. NaN
        where a context leaves no room for a token: vLLM reads one token less than the model's context.
        """
        steps = [(prompt + choice[:i], token) for prompt, choice in wanted for i, token in enumerate(choice)]
        values = iter(self._score(steps))
        return [sum(next(values) for _ in choice) for _, choice in wanted]

    def _score(self, wanted: Sequence[tuple[tuple[int, ...], int]]) -> list[float]:
        """Return the log-probability of each token after its context; NaN where the context does not fit."""
        tokens: dict[tuple[int, ...], dict[int, float]] = {}
        for context, token in wanted:
            tokens.setdefault(context, {})[token] = float("nan")
        fitting = [context for context in tokens if len(context) < self.max_context]
        ids = [list(tokens[context]) for context in fitting]
        found = self._process.call("next_logprobs", fitting, ids, self._adapter) if fitting else []
        for context, asked, values in zip(fitting, ids, found, strict=True):
            tokens[context] = dict(zip(asked, values, strict=True))
        return [tokens[context][token] for context, token in wanted]


def _process(model: str, setup: EngineSettings, rank: int) -> VllmProcess:
    """Return a child with the model; one that runs already if its base model is asked for again to serve adapters."""
    base = _absolute(loading.resolve_base(model))
    server = ServerSetup(
        base,
        setup.batch_size,
        setup.dtype,
        setup.gpu_memory_fraction,
        rank,
        setup.sleep,
        setup.weight_transfer,
        setup.tensor_parallel,
        setup.quantization,
    )
    running = _shared.get(server) if rank else None
    process = running if running and running.alive else VllmProcess(server)
    if rank:
        _shared[server] = process
    return process


def _adapter(name: str, version: int, path: str) -> Adapter:
    number = next(_adapters)
    return Adapter(f"{name}-v{version}-{number}", number, _absolute(path))


def _absolute(model: str) -> str:
    """Return a folder's whole path, as the child need not be in the same place; a hub id as it is."""
    return str(Path(model).resolve()) if Path(model).is_dir() else model
