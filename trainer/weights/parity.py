"""The rows of tokens on which engine and learner are compared, and the check that an adapter is served at all.

An engine may take an adapter whose names match none of its modules and serve the base model without a word. The parity
check of the first publish cannot see that, since a fresh adapter changes nothing (its B is zero), so here B is random.
"""

from collections.abc import Collection, Sequence
from typing import Any

import torch
from transformers import GenerationConfig, PreTrainedTokenizerBase

from rostrum.envs.files import temporary_folder
from rostrum.envs.types import TRAINED
from rostrum.trainer import setup
from rostrum.trainer.config import Config
from rostrum.trainer.models import loading
from rostrum.trainer.rollouts.local import RolloutWorkers
from rostrum.trainer.types import Policy
from rostrum.trainer.weights import finite
from rostrum.trainer.weights.logprobs import Scores, flat, gap_between, learner_logprobs
from rostrum.trainer.weights.publish import ParityError, allowed, known_tokens, within

_SPREADS = [0.8 / 2**halvings for halvings in range(12)]
"""Standard deviations of the random B, of which the first that does not go beyond `_MOVED` is taken."""
_MOVED = 1.0
"""Nats by which the random adapter may move log-probabilities on average: far beyond any tolerance, and yet a model
that finds the rows likely, as rounding grows with |log p|."""


def rows_of(settings: Config) -> list[list[int]]:
    """Return the rows that a run with this debater is checked on, sampled from the base debater.

    Raises:
        FiniteError: its weights are not all numbers.
    """
    debater = settings.debater
    tokenizer = loading.load_tokenizer(debater.model)
    model = loading.load_model(debater.model, getattr(torch, debater.dtype), loading.default_device()).eval()
    finite.check(model.named_parameters(), 0)
    return sampled_rows(model, tokenizer, loading.end_tokens(debater.model, tokenizer))


@torch.no_grad()
def sampled_rows(
    model: Any, tokenizer: PreTrainedTokenizerBase, ends: Collection[int], rows: int = 4, length: int = 48
) -> list[list[int]]:
    """Sample fixed rows of tokens, of unequal lengths: what the model says after its beginning of text.

    In bfloat16 two ways of computing the same model agree on such tokens, and differ by nats on tokens that it would
    hardly ever sample. Rows hold tokens of text alone, as special ones may stand for images, so `ends` do not end one.
    The model is not to be used for anything else afterwards.
    """
    first = tokenizer.eos_token_id if tokenizer.bos_token_id is None else tokenizer.bos_token_id
    ids = torch.full((rows, 1), first, device=next(model.parameters()).device)
    config = model.config.get_text_config()
    special = {index for index, token in tokenizer.added_tokens_decoder.items() if token.special}
    unwanted = {*range(config.vocab_size)} - {*known_tokens(tokenizer)} | {*tokenizer.all_special_ids, *special, *ends}
    model.generation_config = GenerationConfig()  # no top-k or penalty from the model's folder
    with torch.random.fork_rng():  # the run's own random numbers stay as they were
        torch.manual_seed(0)
        sampled = model.generate(
            inputs=ids,
            attention_mask=torch.ones_like(ids),
            synced_gpus=False,
            generation_config=GenerationConfig(
                max_new_tokens=min(length, loading.context_length(config)) - 1,
                do_sample=True,
                top_k=0,
                suppress_tokens=sorted(unwanted) or None,
                pad_token_id=tokenizer.pad_token_id,
            ),
        )
    return [row[: length - 5 * i] for i, row in enumerate(sampled.tolist())]


def check_adapter(
    settings: Config, workers: RolloutWorkers, rows: Sequence[Sequence[int]], policy: str = TRAINED
) -> None:
    """Have every engine serve a random adapter of the configured make, and compare it with peft's own on the `rows`.

    The adapter is written into the run's folder, where all engines can read it, and removed again; they serve it as the
    policy of this name.

    Raises:
        ParityError: an engine serves the base model, or something else that is not the adapter.
    """
    with temporary_folder(settings.output, "adapter-probe") as folder, torch.random.fork_rng():  # the run's own
        base, adapted = _write_adapter(settings, str(folder), rows)  # random numbers stay as they were
        for engine in workers.logprobs(rows, Policy(policy, -1, str(folder))):
            compare(engine, base, adapted, settings)


def compare(engine: Scores, base: Scores, adapted: Scores, settings: Config) -> None:
    """Compare what an engine makes of the rows with what the learner makes of them without and with the adapter.

    Raises:
        ParityError: the engine's log-probabilities are the base model's, or not those of the adapter.
    """
    assert settings.debater.lora is not None
    what, engine_name = f"A LoRA adapter on {settings.debater.lora.target_modules}", settings.debater.engine
    way_out = "train full weights with debater.lora=null, or use another engine."
    moved, apart = (gap_between(flat(engine), flat(learner)) for learner in (base, adapted))
    if within(moved, settings.parity_tolerance):
        raise ParityError(
            f"{what} changes nothing in engine={engine_name}, which goes on serving the base model: {way_out}"
        )
    if not within(apart, settings.parity_tolerance):
        raise ParityError(
            f"{what} is {apart.mean:.2g} nats away in engine={engine_name} from what the learner makes of it, and "
            f"{apart.max:.2g} at the most ({allowed(settings.parity_tolerance)}): {way_out}"
        )


def _write_adapter(settings: Config, folder: str, rows: Sequence[Sequence[int]]) -> tuple[Scores, Scores]:
    """Write the adapter; return the learner's log-probabilities without it and with it."""
    torch.manual_seed(0)
    model = setup.policy_model(settings.debater).to(loading.default_device())
    base = learner_logprobs(model, rows)
    for spread in _SPREADS:
        with torch.no_grad():
            for name, parameter in model.named_parameters():
                if "lora_B" in name:
                    parameter.normal_(std=spread)
        adapted = learner_logprobs(model, rows)
        if gap_between(flat(base), flat(adapted)).mean <= _MOVED:
            break
    model.save_pretrained(folder)
    loading.load_tokenizer(settings.debater.model).save_pretrained(folder)
    return base, adapted
