"""A judge without a model, with planted faults: the ground truth for tests of the statistics and the loop."""

import hashlib
import math
from collections.abc import Sequence

from envs.types import AnswerKey, Transcript
from rewards.types import Usage, Verdict


class ScriptedJudge:
    """Right with probability `accuracy` whatever is said, and leaning towards the first answer by `position_bias`.

    The opinion on a question is drawn once, from the question's id and the seed; `margin` is how far (in log-odds) it
    leans to the side that it believes, `position_bias` (log-odds) is added to whichever answer is shown first. With
    `invalid_every` = n, the verdict on about every n-th question is INVALID. It holds an answer key, so it serves tests
    and evaluation only: a key never reaches training.
    """

    def __init__(
        self, key: AnswerKey, accuracy: float = 0.7, position_bias: float = 0.0, margin: float = 1.0,
        invalid_every: int = 0, seed: int = 0, name: str = "scripted",
    ) -> None:  # fmt: skip
        self.name, self.usage = name, Usage()
        self._key, self._accuracy, self._bias, self._margin = key, accuracy, position_bias, margin
        self._invalid_every, self._seed = invalid_every, seed

    def judge(self, transcripts: Sequence[Transcript]) -> list[Verdict]:
        """The planted verdicts, both orders."""
        return [self._verdict(transcript) for transcript in transcripts]

    def _verdict(self, transcript: Transcript) -> Verdict:
        question = transcript.question.id
        if self._invalid_every and _uniform(question, self._seed + 1) < 1 / self._invalid_every:
            return Verdict(self.name, None, None, valid=False, reason="planted")
        right = self._key[question]
        believed = right if _uniform(question, self._seed) < self._accuracy else 1 - right
        a_believed = transcript.question.answers[believed] == transcript.answers[0]
        lean = self._margin if a_believed else -self._margin
        return Verdict(self.name, _sigmoid(lean + self._bias), _sigmoid(lean - self._bias))


def _uniform(text: str, seed: int) -> float:
    digest = hashlib.sha256(f"{seed}:{text}".encode()).digest()
    return int.from_bytes(digest[:7], "big") / 2**56


def _sigmoid(x: float) -> float:
    return 1 / (1 + math.exp(-x))
