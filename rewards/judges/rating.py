"""A judge that rates two cases against each other: 1 for A, 5 for a tie, 9 for B, as JSON with the reason first.

Ratings become probabilities by `envs.prompts.ratings`: (9.5 - score) / 9, so a tie is exactly one half.
"""

import json
import re
from typing import ClassVar, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from rostrum.envs.prompts.judge_prompts import Task
from rostrum.envs.prompts.ratings import RATINGS, probability_of
from rostrum.rewards.settings import Models
from rostrum.rewards.written import Finding, WritingJudge, WritingSettings, plain


class Settings(WritingSettings):
    """A language model that writes a reason and a rating from 1 to 9; the samples of an order are averaged."""

    task: ClassVar[Task] = "rating"
    kind: Literal["rating"]
    samples: int = Field(1, ge=1)
    temperature: float = Field(0.3, ge=0)

    def make(self, models: Models) -> WritingJudge:
        prompts, scorer = self.judge_prompts(), models.scorer(self)
        return WritingJudge(self.name, scorer, prompts, self.order, self.writings(), parse)


_HEADING = re.compile(r"^ {0,3}#{1,6}\s[^\n]*$", re.MULTILINE)
"""A line that is a heading; JSON has none."""
_EMPHASISED = re.compile(r"\A([*_]{1,3}|`)(\{.*\})\1\Z", re.DOTALL)
_WHOLE = re.compile(r'("score"\s*:\s*\d+)\.0+(?=\s*\})')
"""A score with a fraction of nothing."""


class Rating(BaseModel):
    """What the judge is asked to write, in this order."""

    model_config = ConfigDict(extra="forbid", strict=True)

    reason: str
    score: int = Field(ge=RATINGS[0], le=RATINGS[-1])


def parse(text: str) -> Finding | None:
    """Return the rating of a text that is one JSON object with `reason` and then `score`, and nothing else but headings
    and one fence; None otherwise."""
    text = _WHOLE.sub(r"\1", _EMPHASISED.sub(r"\2", _HEADING.sub("", plain(text)).strip()))
    try:
        rating = Rating.model_validate_json(text)
    except ValidationError:  # a sample ends here: what cannot be read is for neither side
        return None
    keys = [key for key, _ in json.loads(text, object_pairs_hook=list)]
    return Finding(probability_of(rating.score), rating.score) if keys == list(Rating.model_fields) else None
