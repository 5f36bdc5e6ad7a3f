"""A judge that rates two cases against each other: 1 for A, 5 for a tie, 9 for B, as JSON with the reason first.

Ratings become probabilities by `envs.ratings`: (9.5 - score) / 9, so a tie is exactly one half.
"""

import json
from typing import ClassVar, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from envs.judge_prompts import Task
from envs.ratings import RATINGS, probability_of
from rewards.settings import Models
from rewards.written import Finding, WritingJudge, WritingSettings


class Settings(WritingSettings):
    """A language model that writes a reason and a rating from 1 to 9; the samples of an order are averaged."""

    task: ClassVar[Task] = "rating"
    kind: Literal["rating"]
    samples: int = Field(1, ge=1)
    temperature: float = Field(0.3, ge=0)

    def make(self, models: Models) -> WritingJudge:
        prompts, scorer = self.judge_prompts(), models.scorer(self)
        return WritingJudge(self.name, scorer, prompts, self.order, self.writings(), parse)


class Rating(BaseModel):
    """What the judge is asked to write, in this order."""

    model_config = ConfigDict(extra="forbid", strict=True)

    reason: str
    score: int = Field(ge=RATINGS[0], le=RATINGS[-1])


def parse(text: str) -> Finding | None:
    """The rating of a text that is one JSON object with `reason` and then `score`, and nothing else; None otherwise."""
    try:
        rating = Rating.model_validate_json(text)
    except ValidationError:  # a sample ends here: what cannot be read is for neither side
        return None
    keys = [key for key, _ in json.loads(text, object_pairs_hook=list)]
    return Finding(probability_of(rating.score), rating.score) if keys == list(Rating.model_fields) else None
