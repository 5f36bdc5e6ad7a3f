"""A frozen model with a classification or reward head, as Hugging Face's AutoModelForSequenceClassification loads it.

With two classes the model reads the debate once, and class 0 is the answer shown as A. With one output it is a reward
model: it reads the debate twice, followed by the one answer and by the other (or by the letters A and B), the way a
likelihood judge's choices follow its prompt, and by Bradley and Terry P(A) = sigmoid(r(A) - r(B)).
"""

import math
from collections.abc import Sequence
from typing import ClassVar, Literal

from rostrum.envs.types import Transcript
from rostrum.rewards.orders import Opinion, Order, no_opinion, sigmoid, verdicts
from rostrum.rewards.settings import Models, ModelSettings
from rostrum.rewards.types import Classifier, Reading, Unscored, Usage, Verdict


class Settings(ModelSettings):
    """A frozen model whose head has two outputs (the classes A and B) or one (a reward)."""

    has_head: ClassVar[bool] = True
    kind: Literal["head"]
    choice: Literal["answer", "letter"] = "answer"
    """For reward models: what follows the debate, the answers' own words or the letters A and B."""

    def make(self, models: Models) -> "HeadJudge":
        prompts, classifier = self.judge_prompts(), models.classifier(self)
        return HeadJudge(self.name, classifier, prompts, self.order, self.choice)


class HeadJudge:
    """P(answer) from the outputs of a head. A verdict is INVALID where they are no numbers."""

    def __init__(
        self, name: str, classifier: Classifier, prompts: Reading, order: Order = "both", choice: str = "answer"
    ) -> None:
        self.name = name
        self.classifier, self._prompts, self._order, self._choice = classifier, prompts, order, choice

    @property
    def usage(self) -> Usage:
        """What its model was asked so far."""
        return self.classifier.usage

    def judge(self, transcripts: Sequence[Transcript]) -> list[Verdict]:
        """Return one verdict per transcript."""
        return verdicts(self.name, self._order, transcripts, self._read)

    def _read(self, transcripts: list[Transcript]) -> list[Opinion]:
        prompts = [self._prompts.judge(transcript) for transcript in transcripts]
        if self.classifier.outputs == 2:
            return [_opinion(logits) for logits in self.classifier.logits(prompts)]
        claims = [self._claims(prompt, t) for prompt, t in zip(prompts, transcripts, strict=True)]
        rewards = iter(self.classifier.logits([claim for pair in claims for claim in pair]))
        return [_opinion(*pair) for pair in zip(rewards, rewards, strict=True)]

    def _claims(self, prompt: str, transcript: Transcript) -> tuple[str, str]:
        """Return the debate followed by each of the two answers."""
        of_a, of_b = ("A", "B") if self._choice == "letter" else transcript.answers
        return f"{prompt} {of_a}", f"{prompt} {of_b}"


def _opinion(*outputs: tuple[float, ...] | Unscored) -> Opinion:
    """Return the opinion from the numbers for A and for B, in one output or in two."""
    numbers: list[float] = []
    for output in outputs:
        if isinstance(output, Unscored):
            return no_opinion(output.reason, cause=output.cause)
        numbers += output
    if not all(math.isfinite(number) for number in numbers):
        return no_opinion("the judge gave no number: the debate may be longer than its context", cause="speech")
    of_a, of_b = numbers
    return Opinion(sigmoid(of_a - of_b), readings=len(outputs))
