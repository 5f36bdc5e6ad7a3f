"""How people judge (`rostrum people`)."""

from pathlib import Path
from typing import Literal

from pydantic import Field, model_validator

from rostrum.trainer.section import Section


class People(Section):
    """A judging study: what is judged, by how many people, in which phases, and what they are paid."""

    purpose: Literal["test", "teach"] = "test"
    """What the verdicts are for: to test debaters and judges, or to teach a judge. Stories are dealt into those for
    either and a third part that people never read, so that a taught judge is tested on stories of its own."""
    questions: int = Field(24, ge=1)
    """Questions of the main phase, each under every condition."""
    training: int = Field(4, ge=0)
    """Debates with feedback after each verdict, the same for everybody."""
    qualification: int = Field(4, ge=0)
    """Debates without feedback after them, by which it is decided who goes on."""
    verdicts: int = Field(2, ge=1)
    """Verdicts wanted on each debate of the main phase, of different people."""
    judges: int = Field(8, ge=1)
    """People wanted."""
    checkpoints: Literal["ends", "all"] = "ends"
    """Whose debates are judged: those of the first and the last evaluated checkpoint, or of all."""
    reading: Literal["stepped", "whole"] = "stepped"
    """One round at a time with a probability after each, or the whole debate at once."""
    lowest: int = Field(5, ge=0, lt=50)
    """The least probability that can be given, in percent; the greatest is 100 less this."""
    step: int = Field(5, ge=1, le=25)
    """Between two probabilities that can be given."""
    undecided: bool = False
    """Whether 50 % can be given."""
    words: int = Field(8, ge=0)
    """Words that an explanation has at least."""
    qualify_accuracy: float = Field(0.6, ge=0, le=1)
    """Share of the qualification's debates that a judge must get right."""
    qualify_brier: float = Field(0.3, ge=0, le=1)
    """Greatest mean squared error of the probabilities given in the qualification."""
    place_minutes: float = Field(60, gt=0)
    """How long a debate stays with a judge who does nothing."""
    minutes: float = Field(6, gt=0)
    """What a verdict is taken to need, for the estimate of time and money."""
    wage: float = Field(20, ge=0)
    """Dollars per hour."""
    budget: float | None = Field(None, gt=0)
    """Dollars that the study may cost, for the researcher's pages; none: what all verdicts are taken to need."""
    busiest_fifth: float = Field(0.5, ge=0, le=1)
    """Share of the verdicts from which on it is an alarm that they came from the busiest fifth of the judges."""
    guidelines: Path | None = None
    """What judges read before they begin, in Markdown; none: the text that ships with us."""

    @model_validator(mode="after")
    def _probabilities_fit(self) -> "People":
        if (50 - self.lowest) % self.step:
            raise ValueError("people.step must lead from people.lowest to 50: give a divisor of 50 - people.lowest")
        return self

    @property
    def probabilities(self) -> tuple[int, ...]:
        """The probabilities that can be given, in percent."""
        every = range(self.lowest, 100 - self.lowest + 1, self.step)
        return tuple(p for p in every if self.undecided or p != 50)
