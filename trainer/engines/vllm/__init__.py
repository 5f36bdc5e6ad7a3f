"""vLLM as an engine: what it can do (`engine` is the engine, `server` the process in which it computes)."""

from importlib.util import find_spec
from typing import Literal

from rostrum.trainer.engines.base import EngineSettings
from rostrum.trainer.engines.errors import EngineError


class Settings(EngineSettings):
    """A vLLM in a child process, on GPUs or on CPUs with AVX-512."""

    engine = "rostrum.trainer.engines.vllm.engine:VllmEngine"
    sender = "rostrum.trainer.engines.vllm.transfer:WeightSender"
    transports = ("nccl", "gloo")
    serves_adapters = True
    sleeps = True
    claims_memory = True
    caches_prefixes = True
    unread = 1

    name: Literal["vllm"] = "vllm"

    def check(self) -> None:
        if find_spec("vllm") is None:
            raise EngineError(
                "engine=vllm needs vLLM: on GPUs install it with `pip install vllm==0.32.0`, on CPUs with "
                "`make test-vllm`, or choose engine=transformers."
            )
