"""Make the learner's forward passes comparable with those that sampled: no randomness, positions counted from the text.

PPO's ratio, its KL term and DPO's margins are differences of log-probabilities from different passes over the same
tokens. A layer that draws random numbers while training, or a position that counts the padding, would enter them as if
the policy had moved.
"""

from collections.abc import Iterator, Sequence
from typing import Any

import torch
from torch.nn.modules.dropout import _DropoutNd
from transformers import PreTrainedConfig

from rostrum.trainer.models.loading import positions_in_text, takes_positions
from rostrum.trainer.types import TokenRow
from rostrum.trainer.weights.logprobs import Gap, flat, gap_between, learner_logprobs

_RANDOM = ("dropout", "pdrop", "layerdrop", "drop_path", "drop_rate", "jitter")
"""Parts of the names under which models keep the strength of their random layers."""
_SAME = 1e-3
"""Nats by which two passes over the same tokens may differ and still count as the same."""


class RandomPassError(RuntimeError):
    """The model draws random numbers in passes whose log-probabilities are compared; the message says what to do."""


def make_comparable(model: Any) -> None:
    """Turn off what a model draws at random while training, and have it count positions without the padding."""
    switch_off_randomness(model)
    count_positions_in_text(model)


def switch_off_randomness(model: torch.nn.Module) -> None:
    """Set every dropout, layer drop and router jitter of the model to zero.

    Some are layers; others are numbers, read from the module or its configuration each time (`attention_dropout` of
    Llama, Granite and Qwen, `attn_pdrop` of GPT-2, `router_jitter_noise` of Mixtral).
    """
    for module in model.modules():
        if isinstance(module, _DropoutNd):
            module.p = 0.0
        _set_to_zero(module)
        for config in _configurations(vars(module)):
            _set_to_zero(config)


def _configurations(attributes: dict[str, Any]) -> Iterator[PreTrainedConfig]:
    for value in attributes.values():
        if isinstance(value, PreTrainedConfig):
            yield value
            yield from _configurations(vars(value))


def _set_to_zero(owner: Any) -> None:
    for name, value in vars(owner).items():
        number = isinstance(value, int | float) and not isinstance(value, bool)
        if number and value and any(part in name for part in _RANDOM):
            setattr(owner, name, 0.0)


def count_positions_in_text(model: Any) -> None:
    """Have the model take positions from the attention mask wherever a caller gives none.

    TRL pads prompts on the left and gives no positions. Absolute ones (GPT-2) would then begin with the padding, and
    the learner would read another text than the engine sampled. Plain rotary positions only tell how far apart two
    tokens are, which padding does not change.
    """
    rotary = getattr(model.config.get_text_config(), "rope_parameters", None) or {}
    if takes_positions(model) and rotary.get("rope_type") != "default":
        model.register_forward_pre_hook(_fill_in_positions, with_kwargs=True)


def _fill_in_positions(module: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> tuple[Any, dict[str, Any]]:
    attention = kwargs.get("attention_mask")
    if attention is not None and attention.dim() == 2 and kwargs.get("position_ids") is None:
        kwargs = {**kwargs, "position_ids": positions_in_text(attention)}
    return args, kwargs


@torch.no_grad()
def gap_to_sampled(model: torch.nn.Module, rows: Sequence[TokenRow], temperature: float, autocast: bool) -> Gap:
    """Return how far the model, as it is trained, is from the log-probabilities that the rows were sampled with."""
    device = next(model.parameters()).device
    model.train()
    pairs = []
    for row in rows:
        ids = torch.tensor([[*row.prompt, *row.completion]], device=device)
        length, sampled = len(row.completion), torch.tensor(row.mask, dtype=torch.bool)
        with torch.autocast(device.type, torch.bfloat16, enabled=autocast):
            logits = model(input_ids=ids, attention_mask=torch.ones_like(ids), logits_to_keep=length + 1).logits
        scored = (logits[0, -length - 1 : -1].float() / temperature).log_softmax(-1)
        found = scored.gather(1, ids[0, -length:, None]).squeeze(1).cpu()
        pairs.append((found[sampled], torch.tensor(row.logprobs)[sampled]))
    ours, theirs = zip(*pairs, strict=True) if pairs else ((torch.zeros(0),), (torch.zeros(0),))
    return gap_between(torch.cat(ours), torch.cat(theirs))


def check_deterministic(model: torch.nn.Module, rows: Sequence[Sequence[int]], autocast: bool) -> None:
    """Compare the model's log-probabilities while training with those while sampling, on the same rows of tokens.

    Raises:
        RandomPassError: they differ, so something random is left that `switch_off_randomness` does not know.
    """
    with torch.random.fork_rng():  # the run's own random numbers stay as they were
        torch.manual_seed(0)
        passes = [learner_logprobs(model, rows, autocast, training=training) for training in (False, True)]
    sampling, training = map(flat, passes)
    apart = gap_between(sampling, training).max
    if apart > _SAME:
        raise RandomPassError(
            f"While it is trained, this model gives tokens other log-probabilities than while it is sampled (up to "
            f"{apart:.2g} nats on the same text): it draws random numbers that no dropout or jitter of its "
            "configuration turns off, which would count as a change of the policy: take another debater.model."
        )
