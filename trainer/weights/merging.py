"""Merging an adapter into its model, and showing that the result answers as model and adapter did together.

peft merges into the weights that it finds. Where a model's input and output embeddings are one tensor (tied) and an
adapter changes one of them, or both in different ways, merging in place changes the other as well: another model. So
embeddings are untied before merging, tied again only if they are still the same, and the logits are compared.
"""

from typing import Any

import torch
from peft import PeftModel
from transformers import PreTrainedModel

from rostrum.trainer.models.loading import ModelError

TOLERANCE = 0.01
"""Largest difference of a logit in float32 that is rounding; merging into tied embeddings was 1.4 to 60 nats off."""
_ROWS, _LENGTH = 4, 32


def merged(model: Any) -> PreTrainedModel:
    """Return the model with its adapter merged, in float32; a model without an adapter is returned as it is.

    Raises:
        ModelError: the adapter is of a kind that has nothing to merge, or the merged model gives other logits.
    """
    if not isinstance(model, PeftModel):
        return model
    name = str(model.peft_config["default"].base_model_name_or_path)
    if not hasattr(model.base_model, "merge_and_unload"):
        kind = model.peft_config["default"].peft_type.value
        raise ModelError(f"An adapter of kind {kind} cannot be merged into {name}: use the adapter's folder as it is.")
    model = model.float().eval()
    before = _logits(model)
    tied = _untie(model.get_base_model())
    whole: PreTrainedModel = model.merge_and_unload(safe_merge=True)
    if tied:
        _tie_if_equal(whole)
    apart = float((_logits(whole) - before).abs().max())
    if not apart <= TOLERANCE:
        raise ModelError(
            f"The adapter merged into {name} would be another model: a logit is {apart:.2g} off (allowed: "
            f"{TOLERANCE:g}). Nothing was written: use the adapter's folder as it is."
        )
    return whole


@torch.no_grad()
def _logits(model: PreTrainedModel) -> torch.Tensor:
    """Return the logits of fixed rows of random tokens."""
    known = model.get_input_embeddings().weight.shape[0]
    ids = torch.randint(0, known, (_ROWS, _LENGTH), generator=torch.Generator().manual_seed(0))
    device = next(model.parameters()).device
    logits: torch.Tensor = model(input_ids=ids.to(device), use_cache=False).logits
    return logits.float()


def _untie(model: PreTrainedModel) -> bool:
    """Give the output embedding a copy of the weights that it shares with the input embedding; say whether it did."""
    read, written = _inner(model.get_input_embeddings()), _inner(model.get_output_embeddings())
    if read is None or written is None or read.weight is not written.weight:
        return False
    written.weight = torch.nn.Parameter(written.weight.detach().clone(), requires_grad=False)
    return True


def _tie_if_equal(model: PreTrainedModel) -> None:
    """Share one tensor again where both embeddings still are the same, or else say in the configuration that they are
    two."""
    read, written = model.get_input_embeddings(), model.get_output_embeddings()
    same = torch.equal(read.weight, written.weight)
    for config in (model.config, model.config.get_text_config()):
        config.tie_word_embeddings = same  # peft has changed the first of them to False
    if same:
        written.weight = read.weight
        return
    for part in model.modules():
        if isinstance(part, PreTrainedModel):
            part.all_tied_weights_keys = {}


def _inner(module: Any) -> Any:
    """Return the layer that a wrapper of peft's stands for."""
    for name in ("original_module", "token_adapter", "base_layer"):
        module = getattr(module, name, module)
    return module
