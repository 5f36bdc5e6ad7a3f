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


@dataclass(frozen=True, slots=True)
class Adapter:
    """A LoRA adapter. The prefix cache is kept by `name`, so a name must never be used for other weights."""

    name: str
    number: int
    path: str
