"""What a judge is taught from: labelled debates as readings, split into those to learn from and held-out ones.

A reading is a debate in one presentation order. Every debate gives two, so a judge that is taught from them is taught
that sides are only labels.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from datasets import Dataset

from rostrum.envs.questions import splits
from rostrum.rewards import types
from rostrum.rewards.labelled import Labelled
from rostrum.trainer.engines.formats import Format

ORDERS = 2
"""Readings per debate: as it is, and with the sides relabelled."""
LETTERS = ("A", "B")


class JudgeTrainingError(ValueError):
    """A judge that cannot be trained as it is asked for; the message says what to do."""


@dataclass(frozen=True, slots=True)
class Reading:
    """A debate in one order as tokens: the judge's prompt, what it says for A and for B, P(answer A), and how much it
    counts."""

    prompt: tuple[int, ...]
    choices: tuple[tuple[int, ...], tuple[int, ...]]
    target: float
    weight: float = 1.0

    @property
    def length(self) -> int:
        """Tokens of the prompt with the longer choice."""
        return len(self.prompt) + max(map(len, self.choices))


def split_by_story(
    debates: Sequence[Labelled], heldout_fraction: float, seed: int
) -> tuple[list[Labelled], list[Labelled]]:
    """Return debates to learn from and held-out ones, which share no story.

    A hash of the story decides, so a story stays on its side whatever debates are added.

    Raises:
        JudgeTrainingError: one of the two would be empty.
    """
    parts: tuple[list[Labelled], list[Labelled]] = ([], [])
    for debate in debates:
        story = debate.transcript.question.story_id
        parts[splits.fraction(f"judge:{seed}:{story}") < heldout_fraction].append(debate)
    if not all(parts):
        stories = len({debate.transcript.question.story_id for debate in debates})
        raise JudgeTrainingError(
            f"The {len(debates)} debates are about {stories} {'story' if stories == 1 else 'stories'}, too few to hold "
            "some of them out: give debates about more stories, or another judge_training.heldout_fraction."
        )
    return parts


def readings_of(
    debates: Sequence[Labelled], prompts: types.Reading, fmt: Format, head: str, context: int
) -> list[Reading]:
    """Return both readings of every debate, the given order first. `head` is "letter", "answer" or "classifier", which
    says nothing and so has empty choices.

    Raises:
        JudgeTrainingError: a reading is longer than `context` tokens; none is ever cut.
    """
    readings = [_reading(order, prompts, fmt, head) for debate in debates for order in (debate, debate.swapped())]
    longest = max((reading.length for reading in readings), default=0)
    if longest > context:
        raise JudgeTrainingError(
            f"A debate has {longest:,} tokens and the judge reads {context:,}: leave longer debates out, or train a "
            "judge with a longer context."
        )
    return readings


def _reading(debate: Labelled, prompts: types.Reading, fmt: Format, head: str) -> Reading:
    said = {"letter": LETTERS, "answer": debate.transcript.answers}.get(head)
    prompt = prompts.judge(debate.transcript)
    of_a, of_b = ((), ()) if said is None else (tuple(fmt.choice(choice, prompt)) for choice in said)
    return Reading(tuple(fmt.open([prompt])), (of_a, of_b), debate.target, debate.weight)


def columns_of(readings: Sequence[Reading]) -> Dataset:
    """Return the readings as the table that trainers shuffle."""
    return Dataset.from_dict(
        {
            "prompt_ids": [list(reading.prompt) for reading in readings],
            "choice_ids": [[list(choice) for choice in reading.choices] for reading in readings],
            "target": [reading.target for reading in readings],
            "weight": [reading.weight for reading in readings],
        }
    )
