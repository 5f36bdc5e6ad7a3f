"""Where models come from: folders, hub ids and the embedded ones, loaded safely or not at all.

Only safetensors are read and no code that comes with a model is run.
"""

import inspect
import json
import math
import os
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from huggingface_hub.errors import StrictDataclassError
from safetensors import SafetensorError, safe_open
from transformers import (
    AutoConfig,
    AutoTokenizer,
    GenerationConfig,
    PreTrainedConfig,
    PreTrainedTokenizerBase,
)
from transformers.integrations import deepspeed
from transformers.utils import cached_file

if TYPE_CHECKING:
    from transformers import PreTrainedModel

EMBEDDED = Path(__file__).parents[2] / "envs" / "testimony" / "models"
_PICKLED = (".bin", ".pt", ".pth", ".pkl", ".ckpt")


class ModelError(ValueError):
    """A model that cannot or must not be loaded; the message says what to do."""


def resolve(model: str) -> str:
    """Return the absolute folder or the hub id behind a `model` entry of the configuration; "embedded/NAME" is one that
    ships with us.

    Raises:
        ModelError: a folder without a model, with a part of its weights only, or with weights in a format that can run
            code when it is read.
    """
    path = EMBEDDED / model.removeprefix("embedded/") if model.startswith("embedded/") else Path(model).expanduser()
    if path.is_dir():
        _check_folder(path)
        return str(path.absolute())
    if model.startswith(("embedded/", "/", ".", "~")) or model.count("/") > 1:
        raise ModelError(
            f"There is no model folder {path}: give a folder with config.json and *.safetensors, or a hub id."
        )
    return model


def is_hub_id(model: str) -> bool:
    """Return whether a `model` entry of the configuration is the id of a model on a hub, and no folder."""
    return not model.startswith(("embedded/", "/", ".", "~")) and not Path(model).is_dir()


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
    for index in path.glob("*.safetensors.index.json"):
        if missing := sorted(set(_read_json(index).get("weight_map", {}).values()) - names):
            raise ModelError(
                f"The model folder {path} lacks {missing[0]}, which {index.name} names: copy the whole folder."
            )


def _read_json(path: Path) -> dict[str, Any]:
    try:
        found = json.loads(path.read_text("utf-8"))
    except ValueError as error:
        raise ModelError(f"{path} is damaged ({error}): copy the model folder again.") from None
    if not isinstance(found, dict):
        raise ModelError(f"{path} is damaged (no JSON object): copy the model folder again.")
    return found


@lru_cache(maxsize=256)
def _check_json(path: Path, time_ns: int, size: int) -> None:
    """Ask for a JSON object, once for a file as it stands: a large vocabulary takes a second to parse."""
    _read_json(path)


_SMALL = (
    "config.json",
    "generation_config.json",
    "tokenizer.json",
    "tokenizer_config.json",
    "special_tokens_map.json",
    "adapter_config.json",
)
"""Files of a model's folder that hold a JSON object."""


@contextmanager
def read_whole(folder: str) -> Iterator[None]:
    """Tell what transformers and safetensors make of a damaged folder in a sentence that names it.

    Raises:
        ModelError: a file is no JSON object, or holds what these libraries refuse.
    """
    if not Path(folder).is_dir():
        yield
        return
    for name in _SMALL:
        path = Path(folder) / name
        if os.path.lexists(path) and not path.is_file():
            raise ModelError(f"{path} is no file: copy the model folder again.")
        if path.is_file():
            stamp = path.stat()
            _check_json(path, stamp.st_mtime_ns, stamp.st_size)
    try:
        yield
    except SafetensorError as error:
        if "os error" in str(error):  # no room, no memory
            raise
        raise ModelError(f"The weights in {folder} are damaged ({error}): copy or build the folder again.") from None
    except Exception as error:
        known = isinstance(error, StrictDataclassError | ValueError | TypeError | LookupError | AttributeError)
        bare = type(error) is Exception  # tokenizers, which is written in Rust, raises nothing more special
        if isinstance(error, ModelError) or not (known or bare):
            raise
        told = " ".join(str(error).split())[:200]
        raise ModelError(
            f"The model folder {folder} cannot be used ({told}): copy it again, or choose one that transformers knows."
        ) from None


def _base_of(adapter: Path) -> str:
    """Return the folder or hub id of the model that an adapter_config.json names."""
    base = _read_json(adapter).get("base_model_name_or_path")
    if not isinstance(base, str) or not base:
        raise ModelError(f"{adapter} names no base model: set its base_model_name_or_path to a folder or a hub id.")
    return resolve(base)


_READ: dict[str, tuple[Any, Any, PreTrainedTokenizerBase]] = {}
"""Tokenizers that were read, by folder, with what their files and they themselves looked like then."""
_HELD = 16
"""How many of them are kept."""


def load_tokenizer(model: str, speaks: bool = True) -> PreTrainedTokenizerBase:
    """Return the model's tokenizer, with a padding token (the end token where the model has none).

    All who ask get the same object, read once, until its files or the object itself are changed.

    Raises:
        ModelError: it has no end token, which a model that `speaks` needs, and others if they have no padding token.
    """
    folder = resolve(model)
    adapter = Path(folder) / "adapter_config.json"
    if adapter.exists() and not (Path(folder) / "tokenizer_config.json").exists():
        folder = _base_of(adapter)
    stamps = _stamps(Path(folder))
    known = _READ.get(folder)
    if known is not None and (stamps, _looks(known[2])) == known[:2]:
        tokenizer = known[2]
    else:
        tokenizer = _read_tokenizer(folder)
        _READ.pop(folder, None)
        _READ[folder] = (stamps, _looks(tokenizer), tokenizer)
        if len(_READ) > _HELD:
            del _READ[next(iter(_READ))]
    ends = tokenizer.eos_token_id is not None
    if not ends and (speaks or tokenizer.pad_token_id is None):
        raise ModelError(
            f"The tokenizer of {model} has no end-of-text token: set eos_token in its tokenizer_config.json."
        )
    return tokenizer


def _read_tokenizer(folder: str) -> PreTrainedTokenizerBase:
    with read_whole(folder):
        tokenizer = AutoTokenizer.from_pretrained(folder, trust_remote_code=False)
    if tokenizer.pad_token_id is None and tokenizer.eos_token_id is not None:
        tokenizer.pad_token = tokenizer.eos_token
    if _wants_beginning(folder, tokenizer) and tokenizer.bos_token_id not in tokenizer.encode("told"):
        tokenizer.add_bos_token = True
    words = " ".join(filter(None, tokenizer.convert_ids_to_tokens(range(min(len(tokenizer), 100)))))
    if not tokenizer.encode(f"Which answer is right, A or B? {words}", add_special_tokens=False):
        raise ModelError(f"The tokenizer of {folder} makes no token of any text: copy the model folder again.")
    return tokenizer


def _looks(tokenizer: PreTrainedTokenizerBase) -> tuple[Any, ...]:
    """Return what somebody may have changed about a tokenizer."""
    sides = (tokenizer.padding_side, tokenizer.truncation_side, tokenizer.model_max_length)
    return (len(tokenizer), str(tokenizer.special_tokens_map), str(tokenizer.chat_template), *sides)


def _stamps(folder: Path) -> tuple[tuple[str, int, int], ...]:
    """Return name, time and size of the small files of a folder; nothing for a hub id."""
    if not folder.is_dir():
        return ()
    small = [path for path in sorted(folder.iterdir()) if path.suffix != ".safetensors" and path.is_file()]
    files = ((path.name, path.stat()) for path in small)
    return tuple((name, found.st_mtime_ns, found.st_size) for name, found in files)


def _wants_beginning(folder: str, tokenizer: PreTrainedTokenizerBase) -> bool:
    """Return whether texts for the model begin with a token of their own, by what its folder declares.

    transformers 5 passes over that where there is a tokenizer.json, and GemmaTokenizer, which is documented to begin
    texts, does so only if that file does. Gemmas make little sense of a text without.
    """
    declared = (_published(folder, "tokenizer_config.json") or {}).get("add_bos_token") is True
    return tokenizer.bos_token_id is not None and (declared or type(tokenizer).__name__.startswith("Gemma"))


def load_model(
    model: str, dtype: torch.dtype = torch.float32, device: str = "cpu", float32_adapter: bool = False
) -> "PreTrainedModel":
    """Return the causal language model; a LoRA adapter folder is loaded together with the base model that it names.

    With `float32_adapter` the adapter is held in float32 over a base of any dtype, as one that is trained should be.
    Nothing is drawn from torch's random numbers: an engine may load as often as it likes beside a learner.

    Raises:
        ModelError: weights are missing or do not fit, in the model or in the adapter.
    """
    from transformers import AutoModelForCausalLM  # slow to import, and not needed to look at a model's files

    folder = Path(resolve(model))
    adapter = folder / "adapter_config.json"
    if adapter.exists():
        return _with_adapter(load_model(_base_of(adapter), dtype, device), folder, float32_adapter)
    loaded, missing = load_weights(AutoModelForCausalLM, str(folder), dtype=dtype)
    check_nothing_missing(model, missing)
    return loaded.to(device)


def load_weights(kind: Any, folder: str, **options: Any) -> "tuple[PreTrainedModel, list[str]]":
    """Load a model of a class of transformers'; return it with the names of the weights that the folder or hub id
    lacks, which transformers has filled with random numbers.

    Of its generation_config, what does not validate is left out: with it nothing could be saved again.

    Raises:
        ModelError: there are no safetensors, weights have other shapes, or a library for a quantised model is missing.
    """
    from transformers import AutoModelForCausalLM

    generation = generation_config(folder)
    if generation is not None and kind is AutoModelForCausalLM:
        options["generation_config"] = generation
    try:
        with read_whole(folder), _unsharded():
            loaded, found = kind.from_pretrained(
                folder, use_safetensors=True, trust_remote_code=False, output_loading_info=True, **options
            )
    except OSError as error:
        if "safetensors" not in str(error):
            raise
        raise ModelError(
            f"The model {folder} has no weights in *.safetensors: take another model, or convert its weights with "
            "save_pretrained and give the folder."
        ) from None
    except RuntimeError as error:
        if "ismatch" not in str(error):
            raise
        raise ModelError(
            f"The weights of {folder} have other shapes than its config.json says: copy the model folder again."
        ) from None
    return loaded, sorted(found["missing_keys"])


def check_nothing_missing(model: str, missing: Collection[str]) -> None:
    """Refuse a model that lacks weights.

    Raises:
        ModelError: it does.
    """
    if missing:
        raise ModelError(
            f"The model {model} lacks {len(missing)} of its weights, such as {min(missing)}: copy the whole folder, or "
            "take a model that was saved as a causal language model."
        )


def _with_adapter(base: "PreTrainedModel", folder: Path, float32: bool) -> Any:
    """Put the adapter in the folder on its base model."""
    from peft import PeftModel, get_peft_model_state_dict

    try:
        with torch.random.fork_rng(devices=[]):  # peft fills an adapter with random numbers before it reads its weights
            model = PeftModel.from_pretrained(base, str(folder), autocast_adapter_dtype=float32)
    except (RuntimeError, ValueError) as error:
        raise ModelError(
            f"The adapter {folder} does not fit its base model ({str(error).splitlines()[0]}): name the model that it "
            "was trained on in its adapter_config.json."
        ) from None
    with safe_open(str(folder / "adapter_model.safetensors"), framework="pt") as tensors:
        there = set(tensors.keys())
    needed = set(get_peft_model_state_dict(model, save_embedding_layers=False))
    if missing := sorted(needed - there):
        raise ModelError(
            f"The adapter {folder} lacks {len(missing)} of its weights, such as {missing[0]}: copy the whole folder, "
            "or name the model that it was trained on in its adapter_config.json."
        )
    return model


def load_classifier(model: str, dtype: torch.dtype = torch.float32, device: str = "cpu") -> "PreTrainedModel":
    """Return a model with a classification or reward head.

    Raises:
        ModelError: the folder has no such head, which transformers would make up at random.
    """
    from transformers import AutoModelForSequenceClassification

    head_outputs(model)
    loaded, missing = load_weights(AutoModelForSequenceClassification, resolve(model), dtype=dtype)
    if missing:
        raise ModelError(f"The head of {model} lacks weights ({missing[0]}): train it, or take another model.")
    return loaded.to(device)


def generation_config(folder: str) -> GenerationConfig | None:
    """Return as much of the folder's (or hub id's) generation_config.json as validates; None if it has none.

    transformers reads settings that contradict each other (a temperature without do_sample) and then refuses to save
    them. The tokens come first, so they always stay.
    """
    values = _published(folder, "generation_config.json")
    if values is None:
        return None
    try:
        whole = GenerationConfig.from_dict(values)
        whole.validate(strict=True)
        return whole
    except (TypeError, ValueError):
        pass
    kept: dict[str, Any] = {}
    for name in sorted(values, key=lambda name: (not name.endswith("_token_id"), name not in _MODES, name)):
        tried = {**kept, name: values[name]}
        try:
            GenerationConfig.from_dict(tried).validate(strict=True)
        except (TypeError, ValueError):
            continue
        kept = tried
    return GenerationConfig.from_dict(kept)


_MODES = ("do_sample", "num_beams")
"""What decides whether other settings of a generation_config make sense."""


def _published(folder: str, name: str) -> dict[str, Any] | None:
    """Return what a JSON file of a folder or hub id holds; None if there is no such file."""
    found = cached_file(
        folder,
        name,
        _raise_exceptions_for_missing_entries=False,
        _raise_exceptions_for_connection_errors=False,
        _raise_exceptions_for_gated_repo=False,
    )
    return None if found is None else _read_json(Path(found))


def head_outputs(model: str) -> int:
    """Return how many numbers the head of a model that has not been loaded gives for a text: one (a reward) or two
    (classes).

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
    """Load whole weights on this rank even in a ZeRO-3 run: an engine's model lives on one rank, so a sharded load
    would wait for the others for ever; the learner's is sharded later, when its trainer prepares it."""
    config = deepspeed._hf_deepspeed_config_weak_ref and deepspeed._hf_deepspeed_config_weak_ref()
    deepspeed.unset_hf_deepspeed_config()
    try:
        yield
    finally:
        if config is not None:
            deepspeed.set_hf_deepspeed_config(config)


def context_length(config: PreTrainedConfig) -> int:
    """Return the most tokens that a model of this configuration can read in one row."""
    config = config.get_text_config()
    return int(getattr(config, "max_position_embeddings", 2**31 - 1))


def takes_positions(model: Any) -> bool:
    """Return whether the model (or the base of an adapter) can be told the position of every token."""
    base = model.get_base_model() if hasattr(model, "get_base_model") else model
    return "position_ids" in inspect.signature(type(base).forward).parameters


def positions_in_text(attention: torch.Tensor) -> torch.Tensor:
    """Return the position (B, T) of every token among those that are no padding; `attention` (B, T) is 1 on these."""
    return (attention.long().cumsum(-1) - 1).clamp(min=0)


def read_context_length(model: str) -> int:
    """Return `context_length` of a model that has not been loaded."""
    folder = resolve_base(model)
    with read_whole(folder):
        config = AutoConfig.from_pretrained(folder, trust_remote_code=False)
    return context_length(config)


def end_tokens(model: str, tokenizer: PreTrainedTokenizerBase) -> frozenset[int]:
    """Return the tokens that end a speech: those that the tokenizer, the model's configuration (as a whole and for its
    text part) and its generation_config.json name; some models name one of them in a single place."""
    folder = resolve_base(model)
    with read_whole(folder):
        config = AutoConfig.from_pretrained(folder, trust_remote_code=False)
    generation = _published(folder, "generation_config.json") or {}
    named = [
        tokenizer.eos_token_id,
        getattr(config, "eos_token_id", None),
        config.get_text_config().eos_token_id,
        generation.get("eos_token_id"),
    ]
    ids = [token for value in named for token in (value if isinstance(value, list | tuple) else [value])]
    if strange := [token for token in ids if token is not None and not isinstance(token, int)]:
        raise ModelError(f"The model folder {folder} names {strange[0]!r} as an end of text: give a token's number.")
    return frozenset(int(token) for token in ids if token is not None)


def resolve_base(model: str) -> str:
    """Return what `resolve` does, but for an adapter the folder or hub id of its base model."""
    folder = resolve(model)
    adapter = Path(folder) / "adapter_config.json"
    return _base_of(adapter) if adapter.exists() else folder


def count_parameters(model: str) -> int:
    """Return how many numbers the weights in a model's folder are."""
    count = 0
    for path in Path(resolve_base(model)).glob("*.safetensors"):
        with safe_open(str(path), framework="pt") as tensors:
            names = tensors.keys()
            count += sum(math.prod(tensors.get_slice(name).get_shape()) for name in names)
    return count


def default_device() -> str:
    return "cuda" if torch.cuda.is_available() else "cpu"
