"""Which judges are audited: the configured one, the held-out ones, and the configured one with other prompts."""

from collections.abc import Iterator
from pathlib import Path
from typing import get_args

from rostrum.envs.prompts.judge_prompts import Layout
from rostrum.rewards import labelled
from rostrum.rewards.judges import JudgeSettings, ModelSettings
from rostrum.trainer.config import Config
from rostrum.trainer.evaluation.labelled_debates import play_labelled

REWARD, HELD_OUT, VARIANT = "reward", "held-out", "variant"
EXAMPLES = "examples.jsonl"
"""The file of an audit that keeps the examples that were played for it."""
EXAMPLE_QUESTIONS = 20
"""Training questions whose debates examples are chosen from if no file of them is named."""


class VariantError(ValueError):
    """A variant that the judge cannot be asked in; the message says what to do."""


def arms(settings: Config) -> Iterator[tuple[str, JudgeSettings]]:
    """Yield the judges to be audited, each with its role.

    Raises:
        VariantError: the configured judge has no prompt of its own.
    """
    yield REWARD, settings.judge
    yield from ((HELD_OUT, judge) for judge in settings.heldout_judges)
    for variant in settings.audit.variants:
        yield VARIANT, _variant(settings, variant)


def readers(settings: Config) -> list[ModelSettings]:
    """Return every model that an audit reads debates with, its prompt as it will be; without the judge that is shown
    examples which have yet to be played.

    Raises:
        VariantError: the configured judge has no prompt of its own.
    """
    variants = [name for name in settings.audit.variants if name != "few_shot" or settings.audit.examples is not None]
    judges = [*settings.judges, *(_variant(settings, variant) for variant in variants)]
    return [model for judge in judges for model in judge.needs()]


def _variant(settings: Config, variant: str) -> JudgeSettings:
    judge = settings.judge
    if not isinstance(judge, ModelSettings):
        raise VariantError(
            f"audit.variants changes a judge's prompt, and a judge of kind {judge.kind} has none: leave it out."
        )
    plain = {"name": f"{judge.name}, {variant}", "instructions": "plain", "examples": None}
    if variant == "few_shot":
        return judge.model_copy(update=plain | {"examples": _examples(settings)})
    if variant in get_args(Layout):
        return judge.model_copy(update=plain | {"layout": variant})
    return judge.model_copy(update=plain | {"instructions": variant})


def _examples(settings: Config) -> Path:
    """Return a file of labelled debates about training questions."""
    if settings.audit.examples is not None:
        return settings.audit.examples
    path = settings.output / EXAMPLES
    if not path.exists():
        labelled.write(path, play_labelled(settings, "train", EXAMPLE_QUESTIONS))
    return path
