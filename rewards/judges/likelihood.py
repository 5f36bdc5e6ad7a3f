"""A frozen language model as judge: which of the two answers does it find likelier after reading the debate?

The verdict is read from log-probabilities, so there is no text to parse and none that a debater could forge.
"""

import math
from collections.abc import Sequence
from typing import Literal

from pydantic import Field

from envs.types import Transcript
from rewards.settings import Models, ModelSettings
from rewards.types import Reading, Scorer, Unscored, Usage, Verdict

_Scores = tuple[float, ...] | Unscored


class Settings(ModelSettings):
    """A frozen language model that is asked which answer is likelier."""

    kind: Literal["likelihood"]
    choice: Literal["answer", "letter"] = "answer"
    """What is scored after the prompt: the answers' own words, or the letters A and B."""
    min_mass: float = Field(0.01, ge=0, le=1)
    """Probability that the two choices must hold together, or the verdict is INVALID."""

    def make(self, models: Models) -> "LikelihoodJudge":
        prompts, scorer = self.judge_prompts(), models.scorer(self)
        return LikelihoodJudge(self.name, scorer, prompts, self.order, self.choice, self.min_mass)


class LikelihoodJudge:
    """P(answer) from the log-probabilities of the two answers as continuations of the judge's prompt.

    `order` is "both" (read twice, answers and seats relabelled the second time), "given" or "swapped". `choice` is
    "answer" (the answers' own words) or "letter" (A and B). A verdict is INVALID when the model gives the two choices
    together less than `min_mass` of probability, or no number at all.
    """

    def __init__(
        self, name: str, scorer: Scorer, prompts: Reading, order: str = "both", choice: str = "answer",
        min_mass: float = 0.01,
    ) -> None:  # fmt: skip
        self.name = name
        self.scorer, self._prompts = scorer, prompts
        self._order, self._choice, self._min_mass = order, choice, min_mass

    @property
    def usage(self) -> Usage:
        """What its model was asked so far."""
        return self.scorer.usage

    def judge(self, transcripts: Sequence[Transcript]) -> list[Verdict]:
        """One verdict per transcript; both orders of all transcripts are scored as one batch."""
        given = list(transcripts) if self._order != "swapped" else []
        swapped = [transcript.swapped() for transcript in transcripts] if self._order != "given" else []
        logprobs = iter(self._score([*given, *swapped]))
        unasked: list[_Scores | None] = [None] * len(transcripts)
        first = [next(logprobs) for _ in given] or unasked
        second = [next(logprobs) for _ in swapped] or unasked
        return [self._verdict(a, b) for a, b in zip(first, second, strict=True)]

    def _score(self, transcripts: list[Transcript]) -> Sequence[_Scores]:
        prompts = [self._prompts.judge(transcript) for transcript in transcripts]
        letters = self._choice == "letter"
        choices = [("A", "B") if letters else t.answers for t in transcripts]
        return self.scorer.choice_logprobs(prompts, choices)

    def _verdict(self, given: _Scores | None, swapped: _Scores | None) -> Verdict:
        for logprobs in (given, swapped):
            if isinstance(logprobs, Unscored):
                return Verdict(self.name, None, None, valid=False, reason=logprobs.reason)
            if logprobs is not None and (problem := self._problem(logprobs)):
                return Verdict(self.name, None, None, valid=False, reason=problem)
        assert not isinstance(given, Unscored) and not isinstance(swapped, Unscored)
        of_a = _sigmoid(given[0] - given[1]) if given else None
        of_a_swapped = _sigmoid(swapped[1] - swapped[0]) if swapped else None
        return Verdict(self.name, of_a, of_a_swapped, readings=(given is not None) + (swapped is not None))

    def _problem(self, logprobs: tuple[float, ...]) -> str:
        if not all(math.isfinite(value) for value in logprobs):
            return "the judge gave no log-probability: the debate may be longer than its context"
        mass = sum(math.exp(value) for value in logprobs)
        return f"the two answers hold only {mass:.2g} of the judge's probability" if mass < self._min_mass else ""


def _sigmoid(x: float) -> float:
    return 1 / (1 + math.exp(-x)) if x >= 0 else 1 - 1 / (1 + math.exp(x))
