"""A judge that writes its reasons first and its verdict last.

The verdict is what the text ends with, `Verdict: A` or `Verdict: B`, whatever emphasis or heading it is set in, and
nowhere else in it is there a verdict but in quotation marks. A text that hedges, breaks off, or ends with what a
debater dictated is for neither side.
"""

import re
from typing import ClassVar, Literal

from pydantic import Field

from rostrum.envs.prompts.judge_prompts import Task
from rostrum.rewards.settings import Models
from rostrum.rewards.written import Finding, WritingJudge, WritingSettings, plain

_ANY = re.compile(r"\bverdict\b[\W_]*(?:[:=\uff1a]|\bis\b)", re.IGNORECASE)
"""Whatever looks like the statement of a verdict."""
_QUOTES = (("'", "'"), ('"', '"'), ("\u2018", "\u2019"), ("\u201c", "\u201d"), ("\u00ab", "\u00bb"))
_QUOTED = re.compile(
    "|".join(rf"{opened}verdict ?: ?[AB]\.?{closed}(?!\s*\Z)" for opened, closed in _QUOTES), re.IGNORECASE
)
"""A verdict between quotation marks, with something after it: somebody else's."""
_SIDE = r"\b(?:[ABb]\b|a(?=\s*(?:[.,;:!?)]|$)))"
_SAID_OTHERWISE = re.compile(rf"\s*[^\W\d_]{{2,}}(?:(?!{_SIDE})[^\n])*$", re.MULTILINE)
"""What may stand after the word in the middle of a line so that it is no statement: words, and neither side ("hard to
reach a verdict: both quote well")."""
_EMPHASIS = re.compile(r"[*`]+|(?<![^\W_])_+|_+(?![^\W_])|^ {0,3}#{1,6}(?=\s)|\s#+[ \t]*$", re.MULTILINE)
"""Markdown's emphasis, code marks and headings."""
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
    """Return 1 for a text that ends in a verdict for A, 0 for one for B; None if there is none there, or several."""
    text = _QUOTED.sub("", _EMPHASIS.sub("", plain(text)))
    last = _LAST.search(text)
    if last is None or sum(_states(text, found) for found in _ANY.finditer(text)) != 1:
        return None
    return Finding(float(last[1] == "A"))


def _states(text: str, found: re.Match[str]) -> bool:
    """Return whether what looks like the statement of a verdict is one."""
    begins_line = re.search(r"\w", text[: found.start()].rpartition("\n")[2]) is None
    return begins_line or _SAID_OTHERWISE.match(text, found.end()) is None
