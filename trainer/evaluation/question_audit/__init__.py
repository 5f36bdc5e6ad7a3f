"""What is in a question set, and whether its answers can be told without the passage.

Belongs to evaluation: it is given the `AnswerKey` of both splits. Nothing here reaches a debater, a judge or a reward.
"""

import math
from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

from rostrum.envs.questions.splits import SPLITS
from rostrum.envs.types import Question, QuestionSet
from rostrum.rewards.statistics import Interval
from rostrum.trainer.evaluation.question_audit import baselines, duplicates


def audit(questions: QuestionSet) -> dict[str, Any]:
    """Return everything that `rostrum questions audit` prints, ready for JSON.

    Raises:
        QuestionError: a question has no gold label.
    """
    split = {name: questions.questions(name) for name in SPLITS}
    correct = {id: right for name in SPLITS for id, right in questions.answer_key(name).correct.items()}
    every = [question for name in SPLITS for question in split[name]]
    return {
        **_size(every),
        "splits": {name: _size(split[name]) for name in SPLITS},
        "selection": {key: value for key, value in asdict(questions.account()).items() if value is not None},
        "duplicates": duplicates.across(split["train"], split["heldout"]),
        "first_answer_right": _json(baselines.first_answer(every, correct)),
        "baselines": {
            **{name: _json(baselines.accuracy(every, correct, score)) for name, score in baselines.SCORES.items()},
            "answer_only": _json(baselines.answer_only(split["train"], split["heldout"], correct)),
        },
    }


def _size(questions: Sequence[Question]) -> dict[str, int]:
    return {"n_stories": len({question.story_id for question in questions}), "n_questions": len(questions)}


def _json(interval: Interval) -> dict[str, float | None]:
    """Return the interval; JSON has no NaN, so null stands where there were no questions."""
    return {key: None if math.isnan(value) else value for key, value in asdict(interval).items()}
