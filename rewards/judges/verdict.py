"""A judge that writes its reasons first and its verdict last.

The verdict is what the text ends with, `Verdict: A` or `Verdict: B`, and nowhere else in it is there a verdict, not
even a quoted one. A text that hedges, breaks off, or repeats what a debater dictated is for neither side.
"""

import re
from typing import ClassVar, Literal

from pydantic import Field

from envs.judge_prompts import Task
from rewards.settings import Models
from rewards.written import Finding, WritingJudge, WritingSettings

_ANY = re.compile(r"\bverdict\b[\W_]*(?:[:=\uff1a]|\bis\b)", re.IGNORECASE)
"""Whatever looks like the statement of a verdict."""
_LAST = re.compile(r"(?:^|\s)(?i:verdict) ?: ?([AB])\s*\Z")


class Settings(WritingSettings):
    """A language model that writes its reasons, then a verdict; the samples of an order are averaged."""

    task: ClassVar[Task] = "verdict"
    kind: Literal["verdict"]
    samples: int = Field(3, ge=1)
    """Texts per presentation order; the share that is for an answer is its probability."""
    temperature: float = Field(0.7, ge=0)

    def make(self, models: Models) -> WritingJudge:
        prompts, scorer = self.judge_prompts(), models.scorer(self)
        return WritingJudge(self.name, scorer, prompts, self.order, self.writings(), parse)


def parse(text: str) -> Finding | None:
    """1 for a text that ends in a verdict for A, 0 for one for B; None where there is no verdict there or several."""
    last = _LAST.search(text)
    if last is None or len(_ANY.findall(text)) != 1:
        return None
    return Finding(float(last[1] == "A"))
