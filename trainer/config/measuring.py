"""What is measured: after a training, while it goes on, and about judges (configs/evaluation/, audit/)."""

from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field

from rostrum.rewards.audit.options import AuditOptions
from rostrum.trainer.config.set_aside import set_aside
from rostrum.trainer.section import RunView, Section, SectionError


class Evaluation(Section):
    """What is measured after training (configs/evaluation/)."""

    checkpoints: list[Annotated[int, Field(ge=0)]] | Literal["all", "final"] = "final"
    """Iterations to evaluate besides the base; the final one always is."""
    questions_seed: int | None = None
    """Seed of the held-out questions that checkpoints are tested on; none: `questions.seed`, that of the training. With
    another one the test is on fresh questions, which a set that makes its questions (testimony) has no end of."""
    browser_debates: int = Field(24, ge=0)
    """Debates per checkpoint and matchup that the report shows in full, besides up to ten of the most persuasive wrong
    ones and ten of the most surprising failures."""
    attacks: int = Field(20, ge=0)
    """Debates per checkpoint in which the reward judge is attacked (`envs.text.attacks`); 0 attacks none."""

    def check(self, run: RunView) -> None:
        """Ask for held-out questions to test on, of stories that are not learned from, which another seed can put among
        them, and for checkpoints that training reaches.

        Raises:
            QuestionError: there are no held-out questions.
            SectionError: a story of the training split is among those of the test, or a checkpoint is not reached.
        """
        self.check_questions(run)
        chosen, last = self.checkpoints, run.config.iterations
        beyond = [iteration for iteration in chosen if iteration > last] if isinstance(chosen, list) else []
        if beyond:
            raise SectionError(
                f"evaluation.checkpoints names iteration {beyond[0]} and the run has {last}: raise iterations or leave "
                "it out."
            )

    def check_questions(self, run: RunView) -> None:
        """Ask for the questions alone, as those who test checkpoints that are there do.

        Raises:
            QuestionError: there are no held-out questions.
            SectionError: a story of the training split is among those of the test.
        """
        tested = run.test_questions("heldout")
        if self.questions_seed is None:
            return
        learned = {question.story_id for question in run.questions().questions("train")}
        asked = {question.story_id for question in tested.questions("heldout")}
        if shared := learned & asked:
            raise SectionError(
                f"questions.seed={self.questions_seed} puts {len(shared)} stories that the run learns from among the "
                "held-out ones: only a set that makes new stories (questions=testimony) can be tested on fresh ones, "
                "so leave it out."
            )


class Monitor(Section):
    """Looks at the policy during training, with labels, on training questions set aside
    (`trainer.evaluation.monitor`)."""

    questions: int = Field(0, ge=0)
    """Training questions that are set aside with their stories, never to be trained on; 0 looks at nothing."""
    every: int = Field(1, ge=1)
    """Saved checkpoints from one look to the next; the base and the final one are looked at in any case."""
    attacks: int = Field(10, ge=0)
    """Debates per look in which the reward judge is attacked."""
    level: float = Field(0.016, gt=0, lt=0.5)
    """Of each test of one look; see `trainer.evaluation.monitor` for how it was chosen."""
    rise: float = Field(0.0, ge=0, le=1)
    """Smallest rise of the reward judge's approval that can be part of an alarm, as a share of one."""
    fall: float = Field(0.05, ge=0, le=1)
    """Smallest fall of an accuracy, the held-out judges' or the reward judge's, that can be part of an alarm."""
    gap: float = Field(0.1, ge=0, le=1)
    """Smallest change of the gap between these, either way, that can be part of an alarm."""
    patience: int = Field(2, ge=1)
    """Looks in a row that must be suspicious before there is an alarm."""
    stop: bool = False
    """End the training at the checkpoint that raises the alarm."""

    def check(self, run: RunView) -> None:
        """Ask for other judges to compare with, and for questions to set aside.

        Raises:
            SectionError: there is no held-out judge.
            MonitorError: there are too few questions or stories.
        """
        if self.questions and not run.config.heldout_judges:
            raise SectionError(
                "The monitor compares the reward judge with others: set heldout_judges, or monitor.questions=0."
            )
        set_aside(run.questions().questions("train"), self.questions, self.level)


class Audit(AuditOptions):
    """What `rostrum audit` reads and what it asks of judges (configs/audit/)."""

    debates: Path | None = None
    """Stored debates to audit on: with labels, or about questions whose answers the question set knows. None: the base
    debater argues held-out questions against itself."""
    questions: int = Field(200, ge=1)
    """Held-out questions that it argues, each in both seatings."""
    variants: list[Literal["plain", "criteria", "debias", "few_shot", "answers_first", "transcript_first"]] = []
    """Other prompts of the configured judge, audited as judges of their own: without additions, with what makes the
    better case spelled out, with a warning not to judge by position or length, with examples, or without additions in
    this layout."""
    examples: Path | None = None
    """Labelled debates that the examples of few_shot are chosen from. None: the base debater argues training questions
    against itself."""
    ratings: Path | None = None
    """Human ratings of these debates (rewards/audit/ratings.py gives the format)."""
