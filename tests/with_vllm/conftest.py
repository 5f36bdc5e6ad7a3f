"""Nothing here is collected where vLLM is not installed. (The folder is not called `vllm`: it would be imported.)"""

import importlib.util
from collections.abc import Callable
from pathlib import Path

import pytest

collect_ignore_glob = [] if importlib.util.find_spec("vllm") else ["test_*.py"]


@pytest.fixture(scope="session")
def make_adapter() -> Callable[[Path, int], str]:
    """Writes a LoRA adapter on the embedded debater that does something."""
    import torch
    from peft import LoraConfig, get_peft_model

    from rostrum.trainer.models import loading

    def make(folder: Path, seed: int) -> str:
        config = LoraConfig(r=4, lora_alpha=8, task_type="CAUSAL_LM", target_modules="all-linear")
        torch.manual_seed(seed)
        model = get_peft_model(loading.load_model("embedded/debater"), config, autocast_adapter_dtype=False)
        with torch.no_grad():
            for name, parameter in model.named_parameters():
                if "lora_B" in name:
                    parameter.normal_(std=0.1)
        model.save_pretrained(folder)
        return str(folder)

    return make
