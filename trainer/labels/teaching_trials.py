"""Trials: a judge is taught from the labels that were bought, in two stages, and then judges held-out debates."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from accelerate.utils import set_seed

from rostrum.envs.files import make_folder, temporary_folder
from rostrum.rewards import labelled
from rostrum.rewards.judges import ModelSettings
from rostrum.rewards.labelled import Labelled
from rostrum.trainer import setup
from rostrum.trainer.config import Config
from rostrum.trainer.judge_training.figures import probabilities
from rostrum.trainer.judge_training.training import Lesson, Student, student_of
from rostrum.trainer.labels.grid_plan import Trial
from rostrum.trainer.labels.pool import Market, by_confidence, hold_back, one_per_story
from rostrum.trainer.rollouts.schedule import derive

ROWS_PER_DEBATE = 2
"""A debate is read in both presentation orders."""


@dataclass(frozen=True, slots=True)
class Arm:
    """How a judge learns from what is bought."""

    shots: bool = False
    """Some of the labels are shown in its prompt."""
    tunes: bool = True
    unsure_first: bool = False
    """Dearer labels are bought for debates on which the judge is least sure."""
    repeats: bool = False
    """Several cheaper labels of each debate are averaged."""
    together: bool = False
    """All labels at once, weighted by confidence."""


ARMS: Mapping[str, Arm] = {
    "finetune": Arm(),
    "shots": Arm(shots=True, tunes=False),
    "shots+finetune": Arm(shots=True),
    "uncertain": Arm(unsure_first=True),
    "repeated": Arm(repeats=True),
    "confidence": Arm(together=True),
    "none": Arm(tunes=False),
}


@dataclass(frozen=True, slots=True)
class Tested:
    """Held-out debates of one set of debaters, with the right answers."""

    debaters: str
    debates: Sequence[Labelled]


class Trials:
    """Teaches and tests the judges of a chain: trials that have the arm, the seed and the cheaper labels in common."""

    def __init__(
        self,
        config: Config,
        market: Market,
        tested: Sequence[Tested],
        workplace: Path,
        begin: Callable[..., Lesson] = Lesson,
    ) -> None:
        """Begin each lesson by `begin`, so that a test may look at what it is given."""
        self._config, self._market, self._tested, self._workplace = config, market, tested, workplace
        self._begin = begin
        self._student = student_of(config.judge, config.judge_training)

    def results(self, chain: Sequence[Trial]) -> Iterator[tuple[Trial, pd.DataFrame]]:
        """Yield each trial with one row for each held-out debate, as soon as it is there."""
        arm, first, labels = ARMS[chain[0].arm], chain[0], self._config.labels
        make_folder(self._workplace)
        with temporary_folder(self._workplace, first.name) as folder:
            bought = self._market.buy_cheap(first.cheap, labels.repeats if arm.repeats else 1)
            begun, left = self._with_shots(arm, bought, folder)
            once = arm.together or not arm.tunes
            shared = begun if once else self._stage(begun, [left], first, "cheap", folder)
            for trial in chain:
                yield trial, self._table(trial, self._finished(arm, trial, shared, left, folder))

    def _finished(
        self, arm: Arm, trial: Trial, shared: ModelSettings, cheap: Sequence[Labelled], folder: Path
    ) -> ModelSettings:
        """Return the judge after the dearer labels."""
        if not arm.tunes:
            return shared
        dear = self._market.buy_dear(self._chosen(arm, trial, shared))
        if not arm.together:
            return self._stage(shared, [dear], trial, f"dear-{trial.dear}", folder)
        parts = [by_confidence(part) for part in (cheap, dear)]
        return self._stage(shared, parts, trial, f"together-{trial.dear}", folder)

    def _chosen(self, arm: Arm, trial: Trial, judge: ModelSettings) -> Sequence[int]:
        """Return the debates of which dearer labels are bought."""
        offered = self._market.left(trial.cheap // (self._config.labels.repeats if arm.repeats else 1))
        if not arm.unsure_first or not trial.dear:
            return offered[: trial.dear]
        debates = [self._market.sold.debates[i] for i in offered]
        p = probabilities(setup.judge(judge).judge(debates))
        unsure = np.argsort(np.abs(np.nan_to_num(p, nan=0.5) - 0.5), kind="stable")
        chosen = {offered[i] for i in unsure[: trial.dear]}
        return [i for i in offered if i in chosen]  # as they lie: those that are held back are no surer than others

    def _with_shots(
        self, arm: Arm, bought: Sequence[Labelled], folder: Path
    ) -> tuple[ModelSettings, Sequence[Labelled]]:
        """Return the judge that is taught, with the first labels in its prompt if the arm has shots, and the labels
        that are left to learn from."""
        judge, wanted = self._student.judge, self._config.labels.shots + 1  # one more: none is about the story judged
        shown = one_per_story(bought)[:wanted]
        if not arm.shots or len(shown) < wanted:
            return judge, bought
        path = folder / "shots.jsonl"
        labelled.write(path, shown)
        left = [debate for debate in bought if debate not in shown]
        return judge.model_copy(update={"examples": path, "shots": wanted - 1}), left

    def _stage(
        self, judge: ModelSettings, bought: Sequence[Sequence[Labelled]], trial: Trial, name: str, folder: Path
    ) -> ModelSettings:
        """Return the judge after a stage, with an optimizer of its own and what was best on the stage's own labels, of
        which some of every source are held back; the judge as it is where there are too few to learn from."""
        halves = [hold_back(part, self._config.labels.validation) for part in bought]
        learned, held_back = ([debate for half in halves for debate in half[side]] for side in (0, 1))
        if not learned:
            return judge
        place = folder / name
        place.mkdir()
        seed = derive("labels", self._config.seed, trial.seed, trial.cheap, name)  # arms that begin alike stay alike
        set_seed(seed)
        settings = self._config.model_copy(update={"seed": seed})
        student = Student(judge, self._student.head)
        lesson = self._begin(settings, student, learned, held_back, place, self._schedule(len(learned)))
        lesson.teach()
        model = place / "judge"
        lesson.finished().save_pretrained(model)
        lesson.tokenizer.save_pretrained(model)
        return judge.model_copy(update={"model": str(model)})

    def _schedule(self, debates: int) -> dict[str, Any]:
        """Return the trainer's arguments for a stage: steps, when it is evaluated, and rows in a step."""
        labels, training = self._config.labels, self._config.judge_training
        readings = ROWS_PER_DEBATE * debates
        rows = min(training.batch_rows, readings)
        micro = min(training.micro_batch_rows or rows, rows)
        steps = min(labels.steps, training.epochs * -(-readings // rows))
        return {
            "max_steps": steps,
            "eval_strategy": "steps",
            "eval_steps": -(-steps // labels.evaluations),
            "per_device_train_batch_size": micro,
            "gradient_accumulation_steps": max(1, rows // micro),
        }

    def _table(self, trial: Trial, judge: ModelSettings) -> pd.DataFrame:
        return outcomes(trial, lambda debates: setup.judge(judge).judge([d.transcript for d in debates]), self._tested)


def outcomes(
    trial: Trial, judge: Callable[[Sequence[Labelled]], Sequence[Any]], tested: Sequence[Tested]
) -> pd.DataFrame:
    """Return one row for each held-out debate: the trial, by whom it was argued, question, story, seating, and p, the
    probability of the right answer (NaN for an INVALID verdict)."""
    parts = []
    for part in tested:
        of_a = probabilities(judge(part.debates))
        right = np.array([debate.target for debate in part.debates]) > 0.5
        asked = [debate.transcript for debate in part.debates]
        parts.append(
            pd.DataFrame(
                {
                    "arm": trial.arm,
                    "cheap": trial.cheap,
                    "dear": trial.dear,
                    "seed": trial.seed,
                    "debaters": part.debaters,
                    "question": [transcript.question.id for transcript in asked],
                    "story": [transcript.question.story_id for transcript in asked],
                    "swapped": [transcript.swapped_seats for transcript in asked],
                    "p": np.where(right, of_a, 1 - of_a),
                }
            )
        )
    return pd.concat(parts, ignore_index=True)
