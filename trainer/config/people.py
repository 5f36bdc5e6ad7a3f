"""How people judge (`rostrum people`)."""

import operator
import re
from pathlib import Path
from typing import Literal

from pydantic import Field, model_validator

from rostrum.trainer.section import Section

TAG = r"[^,\x00-\x1f]{1,60}"
"""What describes a judge."""
Scale = Literal["probability", "choice", "rating"]


class Outside(Section):
    """A way in for people of a recruiting site, such as Prolific: it sends them with an id in the address, takes a code
    at the end, and tells what becomes of them by signed requests."""

    open: bool = False
    """Whether /outside lets people in who have no link of ours; as many as `people.judges` at a time."""
    person: str = Field("PROLIFIC_PID", pattern="^[A-Za-z][A-Za-z0-9_-]*$")
    """Name of the address's parameter that says who it is."""
    study: str = Field("STUDY_ID", pattern="^[A-Za-z][A-Za-z0-9_-]*$")
    """Name of the parameter that says which of the site's studies they come from."""
    session: str = Field("SESSION_ID", pattern="^[A-Za-z][A-Za-z0-9_-]*$")
    """Name of the parameter that says which visit this is: the site's events name it."""
    study_id: str = ""
    """The site's own id of this study: people of another are sent away; empty: not checked."""
    finished: str = ""
    """Code that who is through is shown for the site."""
    stopped: str = ""
    """Code for who was stopped, may not go on or has left, who are paid what they did."""
    link: str = Field("https://app.prolific.com/submissions/complete?cc={code}", pattern="^https://.*[{]code[}]")
    """Address back to the site, with `{code}` in it."""
    secret: Path | None = None
    """File with the secret of the site's events, which its owner alone may read; none: the variable
    ROSTRUM_PEOPLE_SECRET. Without either no event is taken."""
    tolerance_seconds: float = Field(300, gt=0)
    """How old an event's time stamp may be, or ahead of our clock."""


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
    check: str | None = Field(None, min_length=1, exclude_if=operator.not_)
    """A judge of the evaluated runs' tables whose verdicts people check, unseen: `people.questions` debates are chosen
    for the main phase, half of them at random and half where other judges, or the other presentation order, disagree
    with it most; none: the same questions under every condition."""
    checkpoints: Literal["ends", "all"] = "ends"
    """Whose debates are judged: those of the first and the last evaluated checkpoint, or of all."""
    reading: Literal["stepped", "whole"] = "stepped"
    """One round at a time with a probability after each, or the whole debate at once."""
    live: bool = False
    """Whether a judge may ask the debaters a question after each round but the last, which they answer in the next
    one: `rostrum people play` has them do so, on the checkpoint of the debate."""
    inquiry_characters: int = Field(200, ge=20, le=2000)
    """Characters of such a question at the most; its words are limited as those of a speech are."""
    live_seconds: float = Field(120, gt=0)
    """How long a judge waits for an answer before they may go on without."""
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
    gold: int = Field(0, ge=0)
    """Debates among those of the main phase of which judges are measured by the right answer: they look like the
    others, are the same for everybody, and count in no result."""
    gold_every: int = Field(5, ge=1)
    """One of them in so many debates of the main phase, at a place that is drawn."""
    gold_accuracy: float = Field(0.6, ge=0, le=1)
    """Share of the gold debates that a judge must get right to go on..."""
    gold_least: int = Field(4, ge=1)
    """...once so many are judged."""
    attention_every: int = Field(0, ge=0)
    """One debate in so many asks which of three sentences was said in it; 0: none."""
    least_seconds: float = Field(0, ge=0)
    """Seconds that a round takes at least to read; who is faster is warned, and not refused."""
    warn_after: int = Field(2, ge=1)
    """Failed checks of attention and time after which a judge is warned, and again at each that follows."""
    stop_after: int = Field(5, ge=2)
    """Failed checks after which a judge is stopped, told why, and paid."""
    comprehension: bool | Path = False
    """Whether judges answer questions on the guidelines before they begin, with two attempts: `true` for those that
    ship with us, or a YAML file of your own."""
    feedback: Literal["training", "never", "always"] = "training"
    """Whether a judge is told after a verdict if it was right: in training alone, never, or also in the main phase;
    never in the qualification."""
    scales: tuple[Scale, ...] = ("probability",)
    """What a verdict says: the probability, and perhaps also a choice of the right answer and a rating of each answer's
    case from 1 to 10."""
    profile: tuple[str, ...] = ()
    """Tags that judges are asked about once they consent, such as `[native English speaker]`; they need not answer."""
    requires: tuple[str, ...] = ()
    """Tags without which nobody goes on: the rest are told, thanked and paid."""
    link_days: float = Field(30, gt=0)
    """How long an invitation can be used."""
    outside: Outside = Outside()
    """The way in from a recruiting site."""
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
    study: Path | None = Field(None, exclude_if=operator.not_)
    """The study whose people are a judge (judge=people, heldout_judges=people), teach one (`rostrum judge train` and
    `calibrate`), are held against judges by an audit, or stand in a report."""
    guidelines: Path | None = None
    """What judges read before they begin, in Markdown; none: the text that ships with us."""

    @model_validator(mode="after")
    def _live_is_stepped(self) -> "People":
        if self.live and self.reading != "stepped":
            raise ValueError("people.live=true shows debates round by round: leave people.reading=stepped")
        return self

    @model_validator(mode="after")
    def _probabilities_fit(self) -> "People":
        if (50 - self.lowest) % self.step:
            raise ValueError("people.step must lead from people.lowest to 50: give a divisor of 50 - people.lowest")
        return self

    @model_validator(mode="after")
    def _checks_fit(self) -> "People":
        if self.stop_after <= self.warn_after:
            raise ValueError("people.stop_after must be more than people.warn_after: nobody is stopped unwarned")
        if self.live and self.check:
            raise ValueError("people.check is about stored debates, and people.live plays new ones: give one of them")
        if self.feedback == "always" and self.gold:
            raise ValueError(
                "people.feedback=always would show which debates are gold, which get none: set people.gold=0"
            )
        if "probability" not in self.scales:
            raise ValueError("people.scales always has probability: add it")
        if any(not re.fullmatch(TAG, tag) for tag in (*self.profile, *self.requires)):
            raise ValueError("people.profile and people.requires hold tags of 1 to 60 characters without commas")
        return self

    @property
    def probabilities(self) -> tuple[int, ...]:
        """The probabilities that can be given, in percent."""
        every = range(self.lowest, 100 - self.lowest + 1, self.step)
        return tuple(p for p in every if self.undecided or p != 50)
