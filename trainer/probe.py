"""Is a LoRA adapter served at all? Asked before a run, with an adapter that does something.

An engine may take an adapter whose names match none of its modules and serve the base model without a word. The parity
check of the first publish cannot see that, since a fresh adapter changes nothing (its B is zero), so here B is random.
"""

from collections.abc import Sequence

import torch

from envs.files import remove_folder
from trainer import models, setup
from trainer.config import Config
from trainer.publish import ParityError, learner_logprobs
from trainer.rollouts import Rollouts
from trainer.types import Policy

_SPREAD = 0.05
"""Standard deviation of the random B: enough to move log-probabilities well beyond any tolerance."""

Scores = list[tuple[float, ...]]


def check_adapter(settings: Config, rollouts: Rollouts, rows: Sequence[Sequence[int]]) -> None:
    """Has every engine serve a random adapter of the configured make, and compares it with peft's own on the `rows`.

    The adapter is written into the run's folder, where all engines can read it, and removed again.

    Raises:
        ParityError: an engine serves the base model, or something else that is not the adapter.
    """
    folder = settings.output / ".adapter-probe"
    remove_folder(folder)  # of a killed process
    with torch.random.fork_rng():  # the run's own random numbers stay as they were
        try:
            base, adapted = _write_adapter(settings, str(folder), rows)
            for engine in rollouts.logprobs(rows, Policy("current", -1, str(folder))):
                compare(engine, base, adapted, settings)
        finally:
            remove_folder(folder)


def compare(engine: Scores, base: Scores, adapted: Scores, settings: Config) -> None:
    """Compares what an engine makes of the rows with what the learner makes of them without and with the adapter.

    Raises:
        ParityError: the engine's log-probabilities are the base model's, or not those of the adapter.
    """
    assert settings.debater.lora is not None
    what, engine_name = f"A LoRA adapter on {settings.debater.lora.target_modules}", settings.debater.engine
    way_out = "train full weights with debater.lora=null, or use another engine."
    moved, apart = _difference(engine, base), _difference(engine, adapted)
    if moved <= settings.parity_tolerance:
        raise ParityError(
            f"{what} changes nothing in engine={engine_name}, which goes on serving the base model: {way_out}"
        )
    if not apart <= settings.parity_tolerance:
        raise ParityError(
            f"{what} is {apart:.2g} nats away in engine={engine_name} from what the learner makes of it (allowed: "
            f"parity_tolerance={settings.parity_tolerance:g}): {way_out}"
        )


def _write_adapter(settings: Config, folder: str, rows: Sequence[Sequence[int]]) -> tuple[Scores, Scores]:
    """Writes the adapter; the learner's log-probabilities without it and with it."""
    torch.manual_seed(0)
    model = setup.policy_model(settings.debater).to(models.default_device())  # type: ignore[arg-type]
    base = learner_logprobs(model, rows)
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            if "lora_B" in name:
                parameter.normal_(std=_SPREAD)
    model.save_pretrained(folder)  # type: ignore[operator]
    models.load_tokenizer(settings.debater.model).save_pretrained(folder)
    return base, learner_logprobs(model, rows)


def _difference(ours: Scores, theirs: Scores) -> float:
    """The largest, in nats; NaN if any number is."""
    pairs = zip(ours, theirs, strict=True)
    return float(torch.tensor([abs(a - b) for x, y in pairs for a, b in zip(x, y, strict=True)]).max())
