"""What can be found wrong with a model before a run starts: of its weights only names and shapes are looked at."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from safetensors import SafetensorError, safe_open
from transformers import AutoConfig, PreTrainedConfig, PreTrainedTokenizerBase

from rostrum.trainer import setup
from rostrum.trainer.config import Lora
from rostrum.trainer.models import loading
from rostrum.trainer.models.loading import ModelError

if TYPE_CHECKING:
    from transformers import PreTrainedModel


def check_model(model: str, has_head: bool = False, lora: Lora | None = None, trained: bool = False) -> None:
    """Refuse a model that cannot do what is asked of it, or that cannot be had.

    `has_head` says whether a classification or reward head is expected, `lora` which adapter is to be trained on it,
    `trained` whether it is to be trained at all.

    Raises:
        ModelError: there is no such model, it cannot be fetched, it is not safe to load, or it cannot do what is asked.
    """
    for place in {Path(loading.resolve_base(model)), Path(loading.resolve(model))}:
        for weights in place.glob("*.safetensors"):
            if not weights.is_file():
                raise ModelError(f"{weights} is no file: copy the model folder again.")
            try:
                with safe_open(str(weights), framework="pt") as tensors:
                    tensors.keys()
            except SafetensorError as error:
                raise ModelError(f"The safetensors file {weights} is damaged ({error}): copy it again.") from None
    with _told(model):
        _check(model, has_head, lora, trained)


def check_readable(model: str, has_head: bool = False) -> None:
    """Refuse a model whose config and tokenizer cannot be had: all that lengths are counted by. What the model is made
    of is not loaded, which would take seconds.

    Raises:
        ModelError: there is no such model, it cannot be fetched, or it is not safe to load.
    """
    with _told(model):
        loading.read_context_length(model)
        loading.load_tokenizer(model, speaks=not has_head)


@contextmanager
def _told(model: str) -> Iterator[None]:
    """Turn what transformers raises about a model into sentences that say what to do."""
    try:
        yield
    except ModelError:
        raise
    except OSError:
        raise ModelError(
            f"The model {model} could not be fetched: check its name and the connection, or give a folder with "
            "config.json, a tokenizer and *.safetensors."
        ) from None
    except ValueError as error:
        raise ModelError(f"The model {model} cannot be used ({error}): choose one that transformers knows.") from None


def _check(model: str, has_head: bool, lora: Lora | None, trained: bool) -> None:
    """Look at config, tokenizer, and names and shapes of the weights, without reading the weights.

    Raises:
        ModelError: weights are missing or have other shapes; a quantised model lacks its library, or all of its weights
            are to be trained; the tokenizer knows tokens that the model does not; the adapter's targets are no layers.
    """
    from transformers import AutoModelForCausalLM, AutoModelForSequenceClassification  # slow to import

    folder = loading.resolve_base(model)
    with loading.read_whole(folder):
        config = AutoConfig.from_pretrained(folder, trust_remote_code=False)
    tokenizer = loading.load_tokenizer(model, speaks=not has_head)
    if has_head:
        loading.head_outputs(model)
    if (quantised := _quantisation(config)) is not None:
        _check_library(model, quantised)
        if trained and lora is None:
            raise ModelError(
                f"{model} is quantised, and quantised weights cannot be trained: train an adapter "
                "(debater.lora.rank=16), or give the model as it was before."
            )
        return  # its layers are the library's own
    kind = AutoModelForSequenceClassification if has_head else AutoModelForCausalLM
    skeleton, missing = loading.load_weights(kind, folder, device_map="meta")
    loading.check_nothing_missing(model, missing)
    check_vocabulary(model, tokenizer, skeleton.get_input_embeddings().weight.shape[0])
    if lora is not None:
        check_targets(model, skeleton, lora)


def _quantisation(config: PreTrainedConfig) -> dict[str, Any] | None:
    found = getattr(config, "quantization_config", None)
    found = found or getattr(config.get_text_config(), "quantization_config", None)
    return found if found is None or isinstance(found, dict) else found.to_dict()


def _check_library(model: str, quantised: dict[str, Any]) -> None:
    from transformers.quantizers.auto import AutoHfQuantizer

    try:
        quantizer = AutoHfQuantizer.from_config(dict(quantised), pre_quantized=True)
        quantizer.validate_environment(device_map=None, weights_only=True)
    except (ImportError, RuntimeError, TypeError, ValueError) as error:
        method = quantised.get("quant_method", "in an unknown way")
        raise ModelError(
            f"{model} is quantised ({method}) and cannot be loaded here ({str(error).splitlines()[0]}): install what "
            "it needs, or give the model as it was before."
        ) from None


def check_vocabulary(model: str, tokenizer: PreTrainedTokenizerBase, rows: int) -> None:
    """Refuse a tokenizer that can give ids for which the model has no embedding; it has `rows` of them.

    Special tokens that no template writes do not count: texts cannot contain them (Gemma 3's text models have one).

    Raises:
        ModelError: it can.
    """
    added, template = tokenizer.added_tokens_decoder, str(tokenizer.chat_template or "")
    own = {tokenizer.bos_token_id, tokenizer.eos_token_id, tokenizer.pad_token_id}
    silent = {
        index for index, token in added.items() if token.special and index not in own and token.content not in template
    }
    beyond = {index: token for token, index in tokenizer.get_vocab().items() if index >= rows and index not in silent}
    if beyond:
        index = min(beyond)
        raise ModelError(
            f"The tokenizer of {model} knows {len(beyond)} tokens that the model has no embedding for, such as "
            f"{beyond[index]!r} (id {index:,}; it has {rows:,}): give it the tokenizer that it was trained with, or "
            "enlarge it with resize_token_embeddings and save it."
        )


def check_targets(model: str, skeleton: "PreTrainedModel", lora: Lora) -> None:
    """Refuse an adapter whose targets are no layers of the model, or the layer that gives the next token.

    `skeleton` is the model without its weights; it is changed.

    Raises:
        ModelError: a target matches nothing, cannot carry an adapter, or is the output embedding.
    """
    from peft import get_peft_model
    from peft.tuners.tuners_utils import BaseTunerLayer

    targets, output = lora.target_modules, skeleton.get_output_embeddings()
    names = {layer: name for name, layer in skeleton.named_modules()}
    head = names.get(output)
    linear = sorted({name.rpartition(".")[2] for layer, name in names.items() if hasattr(layer, "in_features")})
    way_out = f"choose among {', '.join(name for name in linear if name != head)}, or all-linear."
    try:
        adapted: Any = get_peft_model(skeleton, setup.lora_config(lora))
    except ValueError as error:
        reason = (
            "match no layer" if "not found" in str(error) or "No modules" in str(error) else "cannot all be adapted"
        )
        raise ModelError(f"LoRA's target_modules={targets} {reason} of {model}: {way_out}") from None
    found = [
        name.removeprefix("base_model.model.")
        for name, layer in adapted.named_modules()
        if isinstance(layer, BaseTunerLayer)
    ]
    for target in [] if isinstance(targets, str) else targets:
        if not any(name == target or name.endswith(f".{target}") for name in found):
            raise ModelError(f"LoRA's target_modules names {target}, which is no layer of {model}: {way_out}")
    if head in found:
        raise ModelError(
            f"LoRA's target_modules={targets} names {head} of {model}, which gives the next token and which engines "
            f"serve without an adapter: {way_out}"
        )
