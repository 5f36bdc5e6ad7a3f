"""vLLM as an engine: what it can do (`engine` is the engine, `server` the process in which it computes)."""

from importlib.util import find_spec
from typing import Literal

from pydantic import model_validator

from rostrum.trainer.engines.base import EngineSettings
from rostrum.trainer.engines.errors import EngineError

QUANTIZATIONS = (
    "awq",
    "auto_awq",
    "fp8",
    "fbgemm_fp8",
    "fp_quant",
    "modelopt",
    "modelopt_fp4",
    "modelopt_mxfp8",
    "modelopt_mixed",
    "auto_gptq",
    "gptq",
    "gptq_marlin",
    "awq_marlin",
    "humming",
    "compressed-tensors",
    "experts_int8",
    "quark",
    "moe_wna16",
    "torchao",
    "inc",
    "mxfp4",
    "gpt_oss_mxfp4",
    "deepseek_v4_fp8",
    "online",
    "fp8_per_tensor",
    "fp8_per_block",
    "fp8_per_channel",
    "int8_per_channel_weight_only",
    "nvfp4_per_token",
    "mxfp8",
)
"""What vLLM 0.32 calls its methods; `tests/with_vllm` holds them against vLLM's own list."""


class Settings(EngineSettings):
    """A vLLM in a child process, on GPUs or on CPUs with AVX-512."""

    engine = "rostrum.trainer.engines.vllm.engine:VllmEngine"
    sender = "rostrum.trainer.engines.vllm.transfer:WeightSender"
    transports = ("nccl", "gloo")
    serves_adapters = True
    sleeps = True
    claims_memory = True
    caches_prefixes = True
    splits_models = True
    computes_apart = True
    quantizations = QUANTIZATIONS
    unread = 1

    name: Literal["vllm"] = "vllm"

    @model_validator(mode="after")
    def _quantized_weights_are_multiplied_in_16_bits(self) -> "Settings":
        if self.quantization is not None and self.dtype == "float32":
            raise ValueError(f"quantization={self.quantization} computes in 16 bits: set dtype=bfloat16 with it")
        return self

    def check(self) -> None:
        if find_spec("vllm") is None:
            raise EngineError(
                "engine=vllm needs vLLM: on GPUs install it with `pip install vllm==0.32.0`, on CPUs with "
                "`make test-vllm`, or choose engine=transformers."
            )
