"""Where models come from: folders, hub ids and the embedded ones, loaded safely or not at all.

Only safetensors are read and no code that comes with a model is run.
"""

import json
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

import torch
from transformers import (
    AutoConfig,
    AutoModelForCausalLM,
    AutoModelForSequenceClassification,
    AutoTokenizer,
    PreTrainedConfig,
    PreTrainedModel,
    PreTrainedTokenizerBase,
)
from transformers.integrations import deepspeed

EMBEDDED = Path(__file__).parents[1] / "envs" / "testimony" / "models"
_PICKLED = (".bin", ".pt", ".pth", ".pkl", ".ckpt")


class ModelError(ValueError):
    """A model that cannot or must not be loaded; the message says what to do."""


def resolve(model: str) -> str:
    """The folder or hub id behind a `model` entry of the configuration; "embedded/NAME" is one that ships with us.

    Raises:
        ModelError: a folder without a model, or with weights in a format that can run code when it is read.
    """
    path = EMBEDDED / model.removeprefix("embedded/") if model.startswith("embedded/") else Path(model).expanduser()
    if path.is_dir():
        _check_folder(path)
        return str(path)
    if model.startswith(("embedded/", "/", ".", "~")) or model.count("/") > 1:
        raise ModelError(
            f"There is no model folder {path}: give a folder with config.json and *.safetensors, or a hub id."
        )
    return model


def _check_folder(path: Path) -> None:
    names = {file.name for file in path.iterdir()}
    if not names & {"config.json", "adapter_config.json"}:
        raise ModelError(f"The folder {path} holds no model: it needs a config.json and *.safetensors.")
    if not any(name.endswith(".safetensors") for name in names):
        pickled = sorted(name for name in names if name.endswith(_PICKLED))
        found = f"has its weights pickled ({pickled[0]}), which can run code when read" if pickled else "has no weights"
        raise ModelError(
            f"The model folder {path} {found}: convert it with save_pretrained, which writes *.safetensors."
        )


def load_tokenizer(model: str, speaks: bool = True) -> PreTrainedTokenizerBase:
    """The model's tokenizer, with a padding token (the end token where the model has none).

    Raises:
        ModelError: it has no end token, which a model that `speaks` needs, and others if they have no padding token.
    """
    folder = resolve(model)
    adapter = Path(folder) / "adapter_config.json"
    if adapter.exists() and not (Path(folder) / "tokenizer_config.json").exists():
        folder = resolve(json.loads(adapter.read_text("utf-8"))["base_model_name_or_path"])
    tokenizer = AutoTokenizer.from_pretrained(folder, trust_remote_code=False)
    if tokenizer.eos_token_id is None and (speaks or tokenizer.pad_token_id is None):
        raise ModelError(
            f"The tokenizer of {model} has no end-of-text token: set eos_token in its tokenizer_config.json."
        )
    if tokenizer.pad_token_id is None:
        tokenizer.pad_token = tokenizer.eos_token
    return tokenizer


def load_model(
    model: str, dtype: torch.dtype = torch.float32, device: str = "cpu", float32_adapter: bool = False
) -> PreTrainedModel:
    """The causal language model; a LoRA adapter folder is loaded together with the base model that it names.

    With `float32_adapter` the adapter is held in float32 over a base of any dtype, as one that is trained should be.
    Nothing is drawn from torch's random numbers: an engine may load as often as it likes beside a learner.
    """
    folder = Path(resolve(model))
    adapter = folder / "adapter_config.json"
    if adapter.exists():
        from peft import PeftModel

        base = load_model(json.loads(adapter.read_text("utf-8"))["base_model_name_or_path"], dtype, device)
        with torch.random.fork_rng(devices=[]):  # peft fills an adapter with random numbers before it reads its weights
            return PeftModel.from_pretrained(base, str(folder), autocast_adapter_dtype=float32_adapter)
    with _unsharded():
        return AutoModelForCausalLM.from_pretrained(
            str(folder), dtype=dtype, use_safetensors=True, trust_remote_code=False
        ).to(device)


def load_classifier(model: str, dtype: torch.dtype = torch.float32, device: str = "cpu") -> PreTrainedModel:
    """A model with a classification or reward head.

    Raises:
        ModelError: the folder has no such head, which transformers would make up at random.
    """
    head_outputs(model)
    with _unsharded():
        loaded, found = AutoModelForSequenceClassification.from_pretrained(
            resolve(model), dtype=dtype, use_safetensors=True, trust_remote_code=False, output_loading_info=True
        )
    if missing := sorted(found["missing_keys"]):
        raise ModelError(f"The head of {model} lacks weights ({missing[0]}): train it, or take another model.")
    return loaded.to(device)


def head_outputs(model: str) -> int:
    """How many numbers the head of a model that has not been loaded gives for a text: one (a reward) or two (classes).

    Raises:
        ModelError: it is a language model, an adapter, or has another number of outputs.
    """
    folder = Path(resolve(model))
    if (folder / "adapter_config.json").exists():
        raise ModelError(f"{model} is an adapter: merge it into its model for a judge with a head.")
    config = AutoConfig.from_pretrained(str(folder), trust_remote_code=False)
    if not any(name.endswith("ForSequenceClassification") for name in config.architectures or ()):
        raise ModelError(
            f"The model {model} has no classification or reward head: give one that was saved as a model for sequence "
            "classification, or use judge=chat."
        )
    if config.num_labels not in (1, 2):
        raise ModelError(
            f"The head of {model} has {config.num_labels} outputs: give a reward model (one) or a classifier of A and "
            "B (two)."
        )
    return int(config.num_labels)


@contextmanager
def _unsharded() -> Iterator[None]:
    """Loads whole weights on this rank even in a ZeRO-3 run: an engine's model lives on one rank, so a sharded load
    would wait for the others for ever; the learner's is sharded later, when its trainer prepares it."""
    config = deepspeed._hf_deepspeed_config_weak_ref and deepspeed._hf_deepspeed_config_weak_ref()
    deepspeed.unset_hf_deepspeed_config()
    try:
        yield
    finally:
        if config is not None:
            deepspeed.set_hf_deepspeed_config(config)


def context_length(config: PreTrainedConfig) -> int:
    """The most tokens that a model of this configuration can read in one row."""
    config = config.get_text_config()
    return int(getattr(config, "max_position_embeddings", 2**31 - 1))


def read_context_length(model: str) -> int:
    """`context_length` of a model that has not been loaded."""
    return context_length(AutoConfig.from_pretrained(resolve_base(model), trust_remote_code=False))


def end_tokens(model: str, tokenizer: PreTrainedTokenizerBase) -> frozenset[int]:
    """Tokens that end a speech: the tokenizer's, and those that the model's configuration names."""
    config = AutoConfig.from_pretrained(resolve_base(model), trust_remote_code=False)
    named = config.get_text_config().eos_token_id
    ids: Iterable[int] = [] if named is None else [named] if isinstance(named, int) else named
    return frozenset([int(tokenizer.eos_token_id), *ids])


def resolve_base(model: str) -> str:
    """Like `resolve`, but for an adapter the folder or hub id of its base model."""
    folder = resolve(model)
    adapter = Path(folder) / "adapter_config.json"
    return resolve(json.loads(adapter.read_text("utf-8"))["base_model_name_or_path"]) if adapter.exists() else folder


def default_device() -> str:
    return "cuda" if torch.cuda.is_available() else "cpu"
