"""The model cards: what each embedded model is, how it was made, and what it can do."""

from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path

from envs.testimony.world import RELIABILITY
from trainer.testimony.checks import DebaterFigures, JudgeFigures
from trainer.testimony.corpora import Advocate
from trainer.testimony.teach import Course

DEBATER = """\
---
library_name: transformers
pipeline_tag: text-generation
---
# The base debater of the testimony world

A clumsy advocate: of its speeches, {supporting:.0%} quote a random statement for its own answer, {anything:.0%} any
statement of the story, and {inventing:.0%} make one up. It is where every debater of the embedded experiments starts.

Made by `rostrum build-models` from seed {seed}, with {steps} steps of role play after the look-up drills
({seconds:.0f} s, checks included). Weights are stored in half precision; the figures are those of the stored weights.

Shares of the speeches of {debates} debates with itself, at temperature 1:

| protocol | one clean quotation | verified | for its own answer | both |
|---|---|---|---|---|
{rows}
"""

JUDGE = """\
---
library_name: transformers
pipeline_tag: text-generation
---
# A weak judge of the testimony world: {name}

It reads the question and the speeches, not the story, and names one of the two answers after `verdict :`; compare the
log-probabilities of the two. It has learned how far to trust the {witnesses} witnesses from {debates} debates of the
base debater (and from stories read in full, for the reference arms), and was frozen before any debater was trained to
persuade it.

Made by `rostrum build-models` from seed {seed}: {architecture}, {steps} steps of {batch} debates at learning rate
{rate:g} ({seconds:.0f} s, playing included). Weights are stored in half precision; the figures are those of the stored
weights.

Accuracy on questions that were not in its teaching; both orders of presentation averaged unless it says otherwise:

| what it reads | debates | accuracy | 95 % interval | as given | relabelled | A right | A wrong | bias to A |
|---|---|---|---|---|---|---|---|---|
{rows}

"Bias to A" is the mean probability of the answer labelled A, less one half. In consultancy "A right" and "A wrong" are
the accuracies given an honest and a misleading consultant. The last three rows are scripted debates: quoting the most
credible witnesses, or inventing statements by the four most credible ones.
"""


def debater_card(
    folder: Path, seed: int, habits: Advocate, steps: int, seconds: float, figures: Mapping[str, DebaterFigures],
    debates: int,
) -> None:  # fmt: skip
    """Writes README.md into the debater's folder."""
    rows = "\n".join(
        f"| {name} | {f.quoting:.1%} | {f.verified:.1%} | {f.supporting:.1%} | {f.verified_and_supporting:.1%} |"
        for name, f in figures.items()
    )
    inventing = 1 - habits.supporting - habits.anything
    text = DEBATER.format(
        **asdict(habits), inventing=inventing, seed=seed, steps=steps, seconds=seconds, debates=debates, rows=rows
    )
    (folder / "README.md").write_text(text, "utf-8")


def judge_card(
    folder: Path, architecture: str, seed: int, course: Course, debates: int, steps: int, seconds: float,
    figures: Mapping[str, JudgeFigures],
) -> None:  # fmt: skip
    """Writes README.md into the judge's folder."""
    text = JUDGE.format(
        name=folder.name, witnesses=len(RELIABILITY), architecture=architecture, seed=seed, batch=course.batch,
        rate=course.rate, debates=debates, steps=steps, seconds=seconds,
        rows="\n".join(judge_row(kind, f) for kind, f in figures.items()),
    )  # fmt: skip
    (folder / "README.md").write_text(text, "utf-8")


def judge_row(kind: str, figures: JudgeFigures) -> str:
    """A line of the table."""
    low, high = figures.interval
    return (
        f"| {kind} | {figures.debates:,} | {figures.both:.1%} | {low:.1%} to {high:.1%} | {figures.given:.1%} "
        f"| {figures.swapped:.1%} | {figures.right:.1%} | {figures.wrong:.1%} | {figures.position_bias:+.3f} |"
    )
