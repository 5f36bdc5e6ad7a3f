"""The model cards: what each embedded model is, how it was made, and what it can do."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path

from rostrum.envs.files import write_atomically
from rostrum.envs.testimony.world import RELIABILITY
from rostrum.trainer.testimony_models.checks import DebaterFigures, JudgeFigures
from rostrum.trainer.testimony_models.corpora import Advocate
from rostrum.trainer.testimony_models.teach import Course

DEBATER = """\
---
library_name: transformers
pipeline_tag: text-generation
---
# The base debater of the testimony world

A clumsy advocate: of its speeches, {supporting:.0%} quote a random statement for its own answer, {anything:.0%} any
statement of the story, and {inventing:.0%} make one up. It is where every debater of the embedded experiments starts.

Made by `rostrum build-models`, this model from seed {seed}: {architecture};
{drills}; then {steps} steps of {batch} sides in
debates of such advocates, at learning rate {rate:g} ({seconds:.0f} s, checks included). Weights are stored in half
precision; the figures are those of the stored weights.

Shares of the speeches of {debates:,} debates with itself, at temperature 1:

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
log-probabilities of the two. It has learned how far to trust the {witnesses} witnesses from {debates:,} debates of
{debaters} (and from stories read in full, for the
reference arms), and was frozen before any debater was trained to persuade it.

Made by `rostrum build-models`, this model from seed {seed}: {architecture};
{drills}; then {steps} steps of {batch} verdicts at
learning rate {rate:g} ({seconds:.0f} s). Weights are stored in half precision; the figures are those
of the stored weights.

Accuracy on questions that were not in its teaching; both orders of presentation averaged unless it says otherwise:

| what it reads | debates | accuracy | 95 % interval | as given | relabelled | A right | A wrong | bias to A |
|---|---|---|---|---|---|---|---|---|
{rows}

"Bias to A" is the mean probability of the answer labelled A, less one half. In consultancy "A right" and "A wrong" are
the accuracies given an honest and a misleading consultant. The last three rows are scripted debates: quoting the most
credible witnesses, or inventing statements by the four most credible ones.
"""

OFFSPRING = """\
---
library_name: transformers
pipeline_tag: {pipeline}
---
# A weak judge of the testimony world: {name}

{what}

Made by `rostrum build-models`, this model from seed {seed}: llama with {parameters:,} parameters, from the weights of
the embedded `judge`; {drills}{steps} steps of {batch} texts at
learning rate {rate:g} on {debates:,} base debates, parts of debates, and stories read in full ({seconds:.0f} s).
Weights are stored in half precision; the figures are those of the stored weights.

On questions that were not in its teaching, both orders of presentation averaged; INVALID verdicts count half:

| asked for | what it reads | debates | accuracy | 95 % interval | bias to A | INVALID |
|---|---|---|---|---|---|---|
{rows}

"Bias to A" is the mean probability of the answer labelled A, less one half.
"""
WRITER = """\
It reads the question and the speeches, not the story, and writes. After `verdict.j2` of the testimony prompts: the
answer that it prefers with its side, who saw it there, then `Verdict : A` or `Verdict : B`. After `rating.j2`: the same
as the reason in a JSON object, then a score from 1 (for A) to 9 (for B). What it says is what the embedded `judge`
thinks: it was taught that judge's preference, both orders averaged, as the verdict, and its probability as the rating,
so that the score may be a tie. The figures are for three samples at temperature 0.7 in each order (verdict) and one at
0.3 (rating).
"""
HEAD = """\
It reads the question and the speeches, not the story; its head has two classes, of which 0 is the answer labelled A. It
was taught by the probabilities of the embedded `judge`, both orders averaged.
"""


@dataclass(frozen=True, slots=True)
class Offspring:
    """How a judge was made from the weights of another, for its card."""

    seed: int
    parameters: int
    course: Course
    steps: int
    seconds: float
    debates: int
    drilled: int = 0
    """Steps of drills before those steps."""


@dataclass(frozen=True, slots=True)
class Making:
    """How a model was made, for its card."""

    seed: int
    architecture: str
    drills: str
    course: Course
    steps: int
    seconds: float
    debates: int
    """Learned from (a judge) or measured on (the debater)."""

    def words(self) -> dict[str, object]:
        """Return the blanks of a card that this fills."""
        return {**asdict(self), "batch": self.course.batch, "rate": self.course.rate}


def debater_card(folder: Path, making: Making, habits: Advocate, figures: Mapping[str, DebaterFigures]) -> None:
    """Write README.md into the debater's folder."""
    rows = "\n".join(
        f"| {name} | {f.quoting:.1%} | {f.verified:.1%} | {f.supporting:.1%} | {f.verified_and_supporting:.1%} |"
        for name, f in figures.items()
    )
    inventing = 1 - habits.supporting - habits.anything
    text = DEBATER.format(**making.words(), **asdict(habits), inventing=inventing, rows=rows)
    write_atomically(folder / "README.md", text)


def judge_card(folder: Path, making: Making, debaters: str, figures: Mapping[str, JudgeFigures]) -> None:
    """Write README.md into the judge's folder."""
    rows = "\n".join(judge_row(kind, f) for kind, f in figures.items())
    text = JUDGE.format(**making.words(), name=folder.name, debaters=debaters, witnesses=len(RELIABILITY), rows=rows)
    write_atomically(folder / "README.md", text)


def offspring_card(folder: Path, making: Offspring, figures: Mapping[str, Mapping[str, JudgeFigures]]) -> None:
    """Write README.md into the folder of a judge made from another. `figures` are by what it is asked for, then by what
    it reads."""
    rows = "\n".join(
        f"| {asked} | {kind} | {f.debates:,} | {f.both:.1%} | {f.interval[0]:.1%} to {f.interval[1]:.1%} "
        f"| {f.position_bias:+.3f} | {f.invalid:.1%} |"
        for asked, by_kind in figures.items()
        for kind, f in by_kind.items()
    )
    writes = "verdict" in figures
    batch, drills = making.course.batch, ""
    if making.drilled:
        drills = f"{making.drilled} steps of {batch} drills (whose answer is this?), then "
    blanks = {**asdict(making), "batch": batch, "rate": making.course.rate, "rows": rows, "drills": drills}
    text = OFFSPRING.format(
        **blanks,
        name=folder.name,
        what=(WRITER if writes else HEAD).strip(),
        pipeline="text-generation" if writes else "text-classification",
    )
    write_atomically(folder / "README.md", text)


def judge_row(kind: str, figures: JudgeFigures) -> str:
    """Return a line of the table."""
    low, high = figures.interval
    return (
        f"| {kind} | {figures.debates:,} | {figures.both:.1%} | {low:.1%} to {high:.1%} | {figures.given:.1%} "
        f"| {figures.swapped:.1%} | {figures.right:.1%} | {figures.wrong:.1%} | {figures.position_bias:+.3f} |"
    )
