"""What the process of a vLLM is told to serve."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class ServerSetup:
    """Everything that is fixed when a model starts."""

    model: str
    """Folder or hub id, of the base model where adapters are served."""
    batch_size: int
    dtype: str
    gpu_memory_fraction: float
    lora_rank: int = 0
    """Highest rank of an adapter; 0: none are served."""
    sleep: bool = False
    """Whether it can give a GPU's memory back between turns."""
    weight_transfer: str = "disk"
    """How new full weights come: from "disk", or from the learner over "nccl" or "gloo"."""
    tensor_parallel: int = 1
    """GPUs that hold a part of the model each, with a process for each."""
    quantization: str | None = None
    """By which of vLLM's methods; none: as the model's folder says."""


@dataclass(frozen=True, slots=True)
class Adapter:
    """A LoRA adapter. The prefix cache is kept by `name`, so a name must never be used for other weights."""

    name: str
    number: int
    path: str
