"""What a debater itself believes: the answer that it finds likelier with the passage in sight.

Open debate and open consultancy, in which the model chooses its side, are made of assigned ones after the fact: those
in which the first side defends the model's own answer (Kenton et al. 2024).
"""

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace

import pandas as pd

from rostrum.envs.prompts.prompt_sets import load_prompts
from rostrum.envs.text import windows
from rostrum.envs.types import Protocol, Question, Transcript
from rostrum.rewards.judges.likelihood import LikelihoodJudge
from rostrum.rewards.types import Verdict
from rostrum.trainer import setup
from rostrum.trainer.config import Config
from rostrum.trainer.engines import make_engine
from rostrum.trainer.engines.base import Engine, EngineSettings
from rostrum.trainer.engines.formats import ChatFormat
from rostrum.trainer.types import Policy

KINDS = {"question_id": "text", "story_id": "text", "p_first": "share", "own": "share"}
"""What the columns of the answers hold."""
READING = Protocol("own answer", speakers={}, rounds=0, judge_sees_passage=True)
"""Nobody argues: question, answers and passage."""


def own_answers(
    settings: Config,
    policy: Policy,
    questions: Sequence[Question],
    start: Callable[[str, EngineSettings], Engine] = make_engine,
) -> pd.DataFrame:
    """Return one row per question: `question_id`, `story_id`, `p_first` (the policy's P(the first of the question's
    answers), both presentation orders averaged; NaN if it could not be had) and `own` (0 or 1, which answer is its own;
    NaN if it is neither).

    The policy is asked as a judge is: by the judge's prompt of the debater's own prompt set, through its own engine,
    which `start` makes of a model's path and the engine's settings.
    """
    engine = start(policy.path, setup.debater_engine(settings).model_copy(update={"thinking": False}))
    kind = settings.comparison.own_answer
    if kind == "auto":
        kind = "letter" if isinstance(engine.format, ChatFormat) else "answer"
    judge = LikelihoodJudge(policy.name, engine, load_prompts(settings.debater.prompts), "both", kind, min_mass=0.0)
    verdicts = judge.judge(list(_readings(settings, engine, questions)))
    return pd.DataFrame([_row(question, verdict) for question, verdict in zip(questions, verdicts, strict=True)])


def _readings(settings: Config, engine: Engine, questions: Sequence[Question]) -> Iterator[Transcript]:
    """Yield the questions with as much of their passages as the debater reads."""
    for question in questions:
        passage = windows.shown(question, settings.debater.window, engine.format.count)
        yield Transcript(replace(question, passage=passage), READING, question.answers, swapped_seats=False)


def _row(question: Question, verdict: Verdict) -> dict[str, str | float]:
    p = verdict.mean if verdict.valid else math.nan
    own = math.nan if math.isnan(p) or p == 0.5 else float(p < 0.5)
    return {"question_id": question.id, "story_id": question.story_id, "p_first": p, "own": own}
