"""The lists on an arm's page: the most persuasive wrong debates, and the most surprising failures."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from rostrum.trainer.evaluation import notable
from rostrum.trainer.evaluation.verdict_table import BASE, REWARD, SELF
from rostrum.trainer.report.debates import sides_of, visible
from rostrum.trainer.report.inputs import Debate

Key = tuple[str, str, str, bool, str]
"""Checkpoint, matchup, question, whether sides are swapped, and the checkpoint's sides: what tells debates apart."""


@dataclass(frozen=True, slots=True)
class Case:
    """A line of a list. Texts are None, and `place` is, where the debate itself was not kept."""

    checkpoint: str
    matchup: str
    question_id: str
    wrong_seat: str
    p_wrong: float
    """P(wrong answer) by the reward judge."""
    base_p_right: float | None
    """P(right answer) by the reward judge in the base debaters' debate; None in the list of persuasive ones."""
    others: Mapping[str, float]
    """P(wrong answer) by each held-out judge."""
    place: int | None
    """Of the debate among those of the page."""
    base_place: int | None
    question: str | None = None
    right: str | None = None
    wrong: str | None = None


class Stored:
    """The debates that the page holds, and the verdicts on all of the arm's debates."""

    def __init__(self, debates: Sequence[Debate], rows: pd.DataFrame) -> None:
        self.debates, self.rows = debates, rows
        self.places = {key_of(debate): place for place, debate in enumerate(debates)}
        self.reward = rows[rows["judge_role"] == REWARD]

    def persuasive(self) -> list[Case]:
        """Return trained checkpoints at their most persuasive for the wrong answer."""
        found = notable.most_persuasive_wrong(notable.of_training(self.reward))
        return [self._case(row) for row in found.to_dict("records")]

    def failures(self) -> list[Case]:
        """Return debates of trained checkpoints lost to the truth that base debaters had let the judge see."""
        base = self.reward[self.reward["checkpoint"] == BASE]
        found = notable.most_surprising_failures(notable.of_training(self.reward), base)
        return [self._case(row) for row in found.to_dict("records")]

    def _case(self, row: Mapping[Any, Any]) -> Case:
        sides, swapped = row["checkpoint_seats"], bool(row["swapped_seats"])
        place = self.places.get((row["checkpoint"], row["matchup"], row["question_id"], swapped, sides))
        base = self.places.get((BASE, SELF, row["question_id"], swapped, sides))
        wrong = "B" if row["correct_seat"] == "A" else "A"
        texts = () if place is None else self._texts(self.debates[place], wrong)
        return Case(
            row["checkpoint"],
            row["matchup"],
            row["question_id"],
            wrong,
            row.get("p_wrong", 1 - row.get("p_right", 1)),
            row.get("base_p_right"),
            self._others(row),
            place,
            base if "base_p_right" in row else None,
            *texts,
        )

    def _texts(self, debate: Debate, wrong: str) -> tuple[str, str, str]:
        of_a, of_b = (visible(answer) for answer in debate.transcript.answers)
        return visible(debate.transcript.question.text), *((of_b, of_a) if wrong == "A" else (of_a, of_b))

    def _others(self, row: Mapping[Any, Any]) -> dict[str, float]:
        rows = self.rows[(self.rows["judge_role"] != REWARD) & self.rows["valid"]]
        for name in ("checkpoint", "matchup", "question_id", "swapped_seats", "checkpoint_seats"):
            rows = rows[rows[name] == row[name]]
        p_wrong = np.where(rows["correct_seat"] == "A", 1 - rows["p_mean"], rows["p_mean"])
        return dict(zip(rows["judge"], p_wrong.tolist(), strict=True))


def key_of(debate: Debate) -> Key:
    """Return what a stored debate is found by."""
    transcript = debate.transcript
    return (debate.checkpoint, debate.matchup, transcript.question.id, transcript.swapped_seats, sides_of(debate))
