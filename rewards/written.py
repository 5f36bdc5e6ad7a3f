"""Judges that write: several samples of a text in each presentation order, each read by a strict parser."""

import re
import zlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from pydantic import Field, model_validator

from rostrum.envs.text import scratchpad
from rostrum.envs.types import Transcript
from rostrum.rewards.orders import Opinion, Order, no_opinion, verdicts
from rostrum.rewards.settings import ModelSettings
from rostrum.rewards.types import Reading, Scorer, Unscored, Usage, Verdict, Writing


@dataclass(frozen=True, slots=True)
class Finding:
    """What a sample says: P(the answer shown as A), and the rating if it gives one."""

    of_a: float
    score: int = 0


KEPT = 2000
"""Characters that are kept of a text that cannot be read."""
Parse = Callable[[str], Finding | None]
"""What a text says; None if it is not of the form that was asked for."""


_FENCE = re.compile(r"^ {0,3}(?:```+|~~~+)[\w+-]*[ \t]*\r?$\n?", re.MULTILINE)


def plain(text: str) -> str:
    """Return what a judge wrote without thoughts, and without the two lines of a code fence if there is one."""
    public = scratchpad.split(text)[0]
    return _FENCE.sub("", public).strip() if len(_FENCE.findall(public)) == 2 else public


class WritingSettings(ModelSettings):
    """The settings of a judge that writes its verdicts."""

    samples: int = Field(1, ge=1)
    """Texts per presentation order, averaged."""
    temperature: float = Field(0.0, ge=0)
    """0 takes the likeliest token."""
    max_tokens: int = Field(400, ge=1)
    """Tokens that a text may have; one that is cut off there is INVALID."""
    seed: int = Field(0, ge=0)

    @model_validator(mode="after")
    def _samples_differ(self) -> "WritingSettings":
        if self.samples > 1 and self.temperature == 0:
            raise ValueError("samples at temperature 0 are all the same: set temperature above 0, or samples to 1")
        return self

    def writings(self) -> list[Writing]:
        """Return how each of the samples is drawn."""
        seeds = [zlib.crc32(f"{self.seed}:{sample}".encode()) for sample in range(self.samples)]
        return [Writing(self.max_tokens, self.temperature, seed) for seed in seeds]


class WritingJudge:
    """P(answer) from what the samples of each order say, averaged over those that say anything.

    A verdict is INVALID when fewer than half of an order's samples can be read.
    """

    def __init__(
        self, name: str, scorer: Scorer, prompts: Reading, order: Order, writings: Sequence[Writing], parse: Parse
    ) -> None:
        self.name = name
        self.scorer, self._prompts = scorer, prompts
        self._order, self._writings, self._parse = order, writings, parse

    @property
    def usage(self) -> Usage:
        """What its model was asked so far."""
        return self.scorer.usage

    def judge(self, transcripts: Sequence[Transcript]) -> list[Verdict]:
        """Return one verdict per transcript."""
        return verdicts(self.name, self._order, transcripts, self._read)

    def _read(self, transcripts: list[Transcript]) -> list[Opinion]:
        prompts = [self._prompts.judge(transcript) for transcript in transcripts]
        samples = [self.scorer.write(prompts, writing) for writing in self._writings]
        return [self._opinion(texts) for texts in zip(*samples, strict=True)]

    def _opinion(self, texts: Sequence[str | Unscored]) -> Opinion:
        found = [None if isinstance(text, Unscored) else self._parse(text) for text in texts]
        said = [finding for finding in found if finding is not None]
        failed = [text for text in texts if isinstance(text, Unscored) and text.cause == "failure"]
        unscored = [text for text in texts if isinstance(text, Unscored)]
        readings = len(texts) - len(unscored)
        unreadable = next(
            (text[:KEPT] for text, of in zip(texts, found, strict=True) if of is None and isinstance(text, str)), ""
        )
        if 2 * len(said) < len(texts):
            spoiled = 2 * (len(said) + len(failed)) < len(texts)
            problem = f"only {len(said)} of the judge's {len(texts)} texts can be read as a verdict"
            reason = next((text.reason for text in unscored if not spoiled or text.cause == "speech"), problem)
            return no_opinion(reason, readings, "speech" if spoiled else "failure", unreadable)
        scores = tuple(finding.score if finding else 0 for finding in found)
        of_a = sum(finding.of_a for finding in said) / len(said)
        return Opinion(of_a, readings=readings, scores=scores if any(scores) else (), unreadable=unreadable)
