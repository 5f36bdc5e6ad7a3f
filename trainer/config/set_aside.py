"""Training questions that are set aside for the over-optimisation monitor, whole stories at a time."""

import math
from collections.abc import Sequence

from rostrum.envs.questions.splits import digest
from rostrum.envs.types import Question
from rostrum.rewards.significance import FEWEST_STORIES

PER_STORY = 4
"""Questions taken of a story that is set aside, at most: more stories say more than more questions about one."""


class MonitorError(ValueError):
    """A monitor that cannot be kept as it is configured; the message says what to do."""


def set_aside(questions: Sequence[Question], count: int, level: float = 0.05) -> tuple[list[Question], list[Question]]:
    """Return the questions to train on, and `count` to watch with (at most `PER_STORY` a story), which share no story.

    `level` is that of the tests, which too few stories cannot reach: K of them have 2^K flips of signs. Which stories
    are set aside depends on their ids alone. All of a story's questions leave the training.

    Raises:
        MonitorError: there are too few questions or stories.
    """
    by_story: dict[str, list[Question]] = {}
    for question in questions:
        by_story.setdefault(question.story_id, []).append(question)
    in_turn = sorted(by_story, key=lambda story: digest(f"watch:{story}"))
    watched = [question for story in in_turn for question in by_story[story][:PER_STORY]][:count]
    stories = {question.story_id for question in watched}
    training = [question for question in questions if question.story_id not in stories]
    if len(watched) < count or (count and not training):
        raise MonitorError(f"monitor.questions={count} leaves no questions to train on: lower it, or add questions.")
    fewest = max(FEWEST_STORIES, math.floor(-math.log2(level)) + 1)
    if count and len(stories) < fewest:
        raise MonitorError(
            f"monitor.questions={count} come from {len(stories)} stories, which can show no change: at least "
            f"{fewest} stories are needed, so raise monitor.questions."
        )
    return training, watched
