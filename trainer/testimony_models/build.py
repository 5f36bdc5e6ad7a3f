"""Builds the embedded models from nothing but a seed.

A base learns to look statements up; one copy becomes the clumsy advocate that is everyone's first debater; the judges
learn from that debater's debates, and are frozen before anyone is trained to persuade them. The reward judge is where
the judge that writes and the judge with a head start from (`trainer.testimony_models.offspring`).
"""

import copy
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from transformers import PreTrainedModel

from rostrum.trainer.engines.transformers.causal import TransformersEngine
from rostrum.trainer.testimony_models import checks
from rostrum.trainer.testimony_models.architectures import new_gpt_neox, new_llama, save
from rostrum.trainer.testimony_models.base_debates import base_debates
from rostrum.trainer.testimony_models.corpora import (
    CONSULTANCY,
    DEBATE,
    PROTOCOLS,
    SIMULTANEOUS,
    Advocate,
    Case,
    advocate_rows,
    look_ups,
    primers,
    verdict_rows,
)
from rostrum.trainer.testimony_models.embedded_cards import Making, debater_card, judge_card
from rostrum.trainer.testimony_models.mixed import mixed_debates
from rostrum.trainer.testimony_models.offspring import TrainingData, build_head, build_writer
from rostrum.trainer.testimony_models.teach import Course, Progress, teach
from rostrum.trainer.testimony_models.vocabulary import build_tokenizer
from rostrum.trainer.testimony_models.writings import opined

HELD_OUT_DEBATES = 300_000
MIXED_DEBATES = 450_000
OFFSPRING_DEBATES = 600_000
CHECKED_DEBATES = 900_000
"""Where the debates of the two held-out judges, of the judges made from the reward judge, and of the cards begin in the
teaching split: no two share a story."""
OFFSPRING_CHECKED = 400
"""Base debates per protocol behind the cards of the judges made from the reward judge: writing takes its time."""


@dataclass(frozen=True, slots=True)
class Recipe:
    """How long each model is taught what, and from how much."""

    primer: Course = field(default_factory=lambda: Course(1200, enough=0.15))
    look_up: Course = field(default_factory=lambda: Course(250))
    advocate: Course = field(default_factory=lambda: Course(160))
    judge: Course = field(default_factory=lambda: Course(300))
    heldout_judge: Course = field(default_factory=lambda: Course(900))
    mixed_judge: Course = field(default_factory=lambda: Course(600))
    writer_drill: Course = field(default_factory=lambda: Course(300))
    writer: Course = field(default_factory=lambda: Course(450))
    head: Course = field(default_factory=lambda: Course(600))
    habits: Advocate = field(default_factory=Advocate)
    debates: int = 1500
    """Base debates per protocol that each judge learns from."""
    checked: int = 1000
    """Base debates per protocol behind the figures of the cards."""


def build_models(output: Path, seed: int = 0, progress: Progress = print, recipe: Recipe | None = None) -> None:
    """Write the folders `debater`, `judge`, `judge-writer`, `judge-head`, `judge-heldout` and `judge-mixed`, each with
    its card.

    Takes tens of minutes on a CPU; `progress` gets a line every fifty steps. The same seed and recipe give
    the same models on the same machine.
    """
    recipe = recipe or Recipe()
    base = teach_base(new_llama(seed), seed, "base", recipe, progress)
    debater = output / "debater"
    started = time.perf_counter()
    advocate = copy.deepcopy(base)
    steps = teach(advocate, build_tokenizer(), advocate_rows(seed, recipe.habits), recipe.advocate, "debater", progress)
    save(advocate, debater, build_tokenizer())
    checked = {p.name: base_debates(debater, p, _span(CHECKED_DEBATES, recipe.checked), seed) for p in PROTOCOLS}
    figures = {name: checks.debater_figures([t for t, _ in cases]) for name, cases in checked.items()}
    seconds = time.perf_counter() - started
    making = _making(advocate, seed, recipe, recipe.advocate, steps, seconds, recipe.checked)
    debater_card(debater, making, recipe.habits, figures)
    cases = _played(debater, 0, "judge", seed, recipe, progress)
    build_judge(output / "judge", base, recipe.judge, seed, cases, "the base debater", checked, recipe, progress)
    build_offspring(output, seed, checked, recipe, progress)
    other = teach_base(new_gpt_neox(seed + 1), seed + 1, "held-out base", recipe, progress)
    folder = output / "judge-heldout"
    cases = _played(debater, HELD_OUT_DEBATES, folder.name, seed + 1, recipe, progress)
    build_judge(folder, other, recipe.heldout_judge, seed + 1, cases, "the base debater", checked, recipe, progress)
    build_mixed(output / "judge-mixed", seed + 2, checked, recipe, progress)


def build_mixed(folder: Path, seed: int, checked: dict[str, list[Case]], recipe: Recipe, progress: Progress) -> None:
    """Build the held-out judge that learns from debates of other debaters than the base one."""
    base = teach_base(new_llama(seed), seed, f"{folder.name}, base", recipe, progress)
    cases, of = mixed_debates(_span(MIXED_DEBATES, recipe.debates), seed), "scripted debaters of many kinds"
    build_judge(folder, base, recipe.mixed_judge, seed, cases, of, checked, recipe, progress)


def teach_base(model: PreTrainedModel, seed: int, name: str, recipe: Recipe, progress: Progress) -> PreTrainedModel:
    """Teach a new model to look a statement up by its place."""
    tokenizer = build_tokenizer()
    teach(model, tokenizer, primers(seed), recipe.primer, f"{name}, pairs", progress)
    teach(model, tokenizer, look_ups(seed), recipe.look_up, f"{name}, look-ups", progress)
    return model


def build_judge(
    folder: Path,
    model: PreTrainedModel,
    course: Course,
    seed: int,
    cases: Sequence[Case],
    debaters: str,
    checked: dict[str, list[Case]],
    recipe: Recipe,
    progress: Progress,
) -> None:
    """Teach a judge from debates (`debaters` says whose), save it, check it as saved, write its card."""
    started = time.perf_counter()
    steps = teach(model, build_tokenizer(), verdict_rows(seed, cases), course, folder.name, progress)
    save(model, folder, build_tokenizer())
    seconds = time.perf_counter() - started
    making = _making(model, seed, recipe, course, steps, seconds, len(cases))
    judge_card(folder, making, debaters, examine(folder, checked, seed))


def build_offspring(
    output: Path, seed: int, checked: dict[str, list[Case]], recipe: Recipe, progress: Progress
) -> None:
    """Build the judge that writes and the judge with a head from the folders `debater` and `judge`."""
    cases = _played(output / "debater", OFFSPRING_DEBATES, "judge-writer, judge-head", seed, recipe, progress)
    weak = TransformersEngine(str(output / "judge"))
    few = {name: debates[:OFFSPRING_CHECKED] for name, debates in checked.items()}
    data = TrainingData(output / "judge", opined(seed, cases, weak), kinds_of_debates(few, seed), seed)
    build_writer(output / "judge-writer", data, recipe.writer_drill, recipe.writer, progress)
    build_head(output / "judge-head", data, recipe.head, progress)


def _played(debater: Path, first: int, reader: str, seed: int, recipe: Recipe, progress: Progress) -> list[Case]:
    """Play base debates under every protocol, from question `first` on, for a judge to learn from."""
    progress(f"{reader}: playing {recipe.debates} base debates for each of {len(PROTOCOLS)} protocols")
    span = _span(first, recipe.debates)
    return [case for protocol in PROTOCOLS for case in base_debates(debater, protocol, span, seed)]


def examine(folder: Path, checked: dict[str, list[Case]], seed: int) -> dict[str, checks.JudgeFigures]:
    """Return the figures of a saved likelihood judge by the kind of debate it reads."""
    engine = TransformersEngine(str(folder))
    return {kind: checks.judge_figures(engine, cases) for kind, cases in kinds_of_debates(checked, seed).items()}


def kinds_of_debates(checked: dict[str, list[Case]], seed: int) -> dict[str, Sequence[Case]]:
    """Return what judges are examined on: base debates, reference arms, scripted debates."""
    debates = checked[DEBATE.name]
    span = _span(CHECKED_DEBATES, len(debates))
    return {
        "debate": debates,
        "debate, simultaneous": checked[SIMULTANEOUS.name],
        "consultancy": checked[CONSULTANCY.name],
        "naive": checks.alone(debates, sees_passage=False),
        "expert": checks.alone(debates, sees_passage=True),
        "both sides quote their best two": checks.scripted_debates(span, seed, checks.strongest, checks.strongest),
        "the wrong side invents": checks.scripted_debates(span, seed, checks.strongest, checks.invented),
        "both sides invent": checks.scripted_debates(span, seed, checks.invented, checks.invented),
    }


def _making(
    model: PreTrainedModel, seed: int, recipe: Recipe, course: Course, steps: int, seconds: float, debates: int
) -> Making:
    architecture = f"{model.config.model_type} with {model.num_parameters():,} parameters"
    pairs, look_up = recipe.primer, recipe.look_up
    drills = f"up to {pairs.steps:,} steps of {pairs.batch} pair drills, {look_up.steps} of {look_up.batch} look-ups"
    return Making(seed, architecture, drills, course, steps, seconds, debates)


def _span(first: int, length: int) -> range:
    return range(first, first + length)
