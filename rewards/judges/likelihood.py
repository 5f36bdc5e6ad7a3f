"""A frozen language model as judge: which of the two answers does it find likelier after reading the debate?

The verdict is read from log-probabilities, so there is no text to parse and none that a debater could forge.
"""

import math
from collections.abc import Sequence
from typing import Literal

from pydantic import Field, model_validator

from rostrum.envs.types import Transcript
from rostrum.rewards.orders import Opinion, Order, no_opinion, sigmoid, verdicts
from rostrum.rewards.settings import Models, ModelSettings
from rostrum.rewards.types import Reading, Scorer, Unscored, Usage, Verdict


class Settings(ModelSettings):
    """A frozen language model that is asked which answer is likelier."""

    kind: Literal["likelihood"]
    choice: Literal["answer", "letter"] = "answer"
    """What is scored after the prompt: the answers' own words, or the letters A and B."""
    min_mass: float = Field(0.01, ge=0, le=1)
    """Probability that the two choices must hold together, or the verdict is INVALID."""

    @model_validator(mode="after")
    def _chat_interfaces_are_asked_for_letters(self) -> "Settings":
        if self.endpoint is not None and self.endpoint.api == "chat" and self.choice == "answer":
            raise ValueError("a chat interface gives log-probabilities of single tokens: set choice=letter")
        return self

    def make(self, models: Models) -> "LikelihoodJudge":
        prompts, scorer = self.judge_prompts(), models.scorer(self)
        return LikelihoodJudge(self.name, scorer, prompts, self.order, self.choice, self.min_mass)


class LikelihoodJudge:
    """P(answer) from the log-probabilities of the two answers as continuations of the judge's prompt.

    `order` is "both" (read twice, answers and sides relabelled the second time), "given" or "swapped". `choice` is
    "answer" (the answers' own words) or "letter" (A and B). A verdict is INVALID when the model gives the two choices
    together less than `min_mass` of probability, or no number at all.
    """

    def __init__(
        self,
        name: str,
        scorer: Scorer,
        prompts: Reading,
        order: Order = "both",
        choice: str = "answer",
        min_mass: float = 0.01,
    ) -> None:
        self.name = name
        self.scorer, self._prompts = scorer, prompts
        self._order, self._choice, self._min_mass = order, choice, min_mass

    @property
    def usage(self) -> Usage:
        """What its model was asked so far."""
        return self.scorer.usage

    def judge(self, transcripts: Sequence[Transcript]) -> list[Verdict]:
        """Return one verdict per transcript."""
        return verdicts(self.name, self._order, transcripts, self._read)

    def _read(self, transcripts: list[Transcript]) -> list[Opinion]:
        prompts = [self._prompts.judge(transcript) for transcript in transcripts]
        letters = self._choice == "letter"
        choices = [("A", "B") if letters else t.answers for t in transcripts]
        return [self._opinion(logprobs) for logprobs in self.scorer.choice_logprobs(prompts, choices)]

    def _opinion(self, logprobs: tuple[float, ...] | Unscored) -> Opinion:
        if isinstance(logprobs, Unscored):
            return no_opinion(logprobs.reason, cause=logprobs.cause)
        problem = self._problem(logprobs)
        return no_opinion(problem, cause="speech") if problem else Opinion(sigmoid(logprobs[0] - logprobs[1]))

    def _problem(self, logprobs: tuple[float, ...]) -> str:
        if not all(math.isfinite(value) for value in logprobs):
            return "the judge gave no log-probability: the debate may be longer than its context"
        mass = sum(math.exp(value) for value in logprobs)
        return f"the two answers hold only {mass:.2g} of the judge's probability" if mass < self._min_mass else ""
