"""TRL's trainers, imported without vLLM, the arguments that all of them are given, and the weights that they hold."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from peft.tuners.tuners_utils import BaseTunerLayer

from rostrum.trainer import setup
from rostrum.trainer.config import Config
from rostrum.trainer.models import loading
from rostrum.trainer.weights.publish import Weights


@contextmanager
def _hidden(package: str) -> Iterator[None]:
    """Have a package that is not imported yet count as not installed."""
    if package in sys.modules:
        yield
        return
    sys.modules[package] = None  # type: ignore[assignment]
    try:
        yield
    finally:
        del sys.modules[package]


# TRL would import vLLM for no use here: that takes half a minute and changes torch and transformers.
with _hidden("vllm"):
    from trl import DPOConfig, DPOTrainer, GRPOConfig, GRPOTrainer, SFTConfig, SFTTrainer

__all__ = [
    "DPOConfig",
    "DPOTrainer",
    "GRPOConfig",
    "GRPOTrainer",
    "SFTConfig",
    "SFTTrainer",
    "arguments",
    "wrapped_weights",
]


def arguments(config: Config, output: Path) -> dict[str, Any]:
    """Return what every TRL configuration of a run is given."""
    debater = config.debater
    return {
        "output_dir": str(output),
        "seed": config.seed,
        "bf16": debater.dtype == "bfloat16",
        "report_to": "none",
        "ddp_timeout": int(setup.PATIENCE.total_seconds()),
        "disable_tqdm": True,
        "save_strategy": "no",
        "use_cpu": loading.default_device() == "cpu",
        "gradient_checkpointing": debater.gradient_checkpointing,
        "ddp_find_unused_parameters": False,
        "deepspeed": setup.deepspeed_config(config.cluster.deepspeed, config.cluster.offload),
    }


def spare_casts(model: Any) -> None:
    """Have adapters take their input in the dtype that it comes in.

    peft casts it to float32, the dtype of an adapter, and autocast casts that back to bfloat16: the same numbers, at
    the cost of two copies of every layer's input. Only for models that are called under autocast.
    """
    for module in model.modules():
        if isinstance(module, BaseTunerLayer):
            module.cast_input_dtype_enabled = False


def wrapped_weights(trainer: Any) -> Weights:
    """Return the weights of a trainer of TRL's, gathered from all ranks."""
    tensors = trainer.accelerator.get_state_dict(trainer.model_wrapped)
    return Weights(trainer.accelerator.unwrap_model(trainer.model_wrapped), tensors or {})
