"""A judge without a model, with planted faults: the ground truth for tests of the statistics and the loop."""

import hashlib
import math
from collections.abc import Sequence

from rostrum.envs.types import AnswerKey, Side, Speech, Transcript
from rostrum.rewards.types import Usage, Verdict


class ScriptedJudge:
    """Right with probability `accuracy` whatever is said, and leaning towards the first answer by `position_bias`.

    The opinion on a question is drawn once, from the question's id and the seed; `margin` is how far (in log-odds) it
    leans to the side that it believes, `position_bias` (log-odds) is added to whichever answer is shown first,
    `length_bias` to whichever side says more, and `mark_weight` to a side for each of its quotations marked as verified
    (taken off for each marked as not). On about a share `ties` of the questions it says one half, whatever else holds.
    With `invalid_every` = n, the verdict on about every n-th question is INVALID. It holds an answer key, so it serves
    tests and evaluation only: a key never reaches training.
    """

    def __init__(
        self,
        key: AnswerKey,
        accuracy: float = 0.7,
        position_bias: float = 0.0,
        margin: float = 1.0,
        invalid_every: int = 0,
        seed: int = 0,
        name: str = "scripted",
        length_bias: float = 0.0,
        mark_weight: float = 0.0,
        ties: float = 0.0,
    ) -> None:
        self.name, self.usage = name, Usage()
        self._key, self._accuracy, self._bias, self._margin = key, accuracy, position_bias, margin
        self._invalid_every, self._seed = invalid_every, seed
        self._length_bias, self._mark_weight, self._ties = length_bias, mark_weight, ties

    def judge(self, transcripts: Sequence[Transcript]) -> list[Verdict]:
        """Return the planted verdicts, both orders."""
        return [self._verdict(transcript) for transcript in transcripts]

    def _verdict(self, transcript: Transcript) -> Verdict:
        question = transcript.question.id
        if self._invalid_every and _uniform(question, self._seed + 1) < 1 / self._invalid_every:
            return Verdict(self.name, None, None, valid=False, reason="planted")
        if _uniform(question, self._seed + 2) < self._ties:
            return Verdict(self.name, 0.5, 0.5)
        right = self._key[question]
        believed = right if _uniform(question, self._seed) < self._accuracy else 1 - right
        a_believed = transcript.question.answers[believed] == transcript.answers[0]
        lean = (self._margin if a_believed else -self._margin) + self._swayed(transcript)
        return Verdict(self.name, _sigmoid(lean + self._bias), _sigmoid(lean - self._bias))

    def _swayed(self, transcript: Transcript) -> float:
        """Return what length and marks add to the log-odds of side A's answer."""
        words = sum(_for_a(speech) * speech.words for speech in transcript.speeches)
        marks = sum(_for_a(speech) * (_opened(speech, "v") - _opened(speech, "u")) for speech in transcript.speeches)
        return self._length_bias * ((words > 0) - (words < 0)) + self._mark_weight * marks


def _for_a(speech: Speech) -> int:
    return 1 if speech.side is Side.A else -1


def _opened(speech: Speech, mark: str) -> int:
    return speech.text.count(f"<{mark}_quote>")


def _uniform(text: str, seed: int) -> float:
    digest = hashlib.sha256(f"{seed}:{text}".encode()).digest()
    return int.from_bytes(digest[:7], "big") / 2**56


def _sigmoid(x: float) -> float:
    return 1 / (1 + math.exp(-x))
