"""A person at the terminal as judge."""

import sys
from collections.abc import Sequence
from typing import Literal

from rostrum.envs.types import Transcript
from rostrum.rewards.orders import Opinion, no_opinion, verdicts
from rostrum.rewards.settings import JudgeError, JudgeSettings, Models, ModelSettings
from rostrum.rewards.types import Usage, Verdict


class Settings(JudgeSettings):
    """Somebody who reads each debate once and types how likely the answer of A is to be right, in percent."""

    kind: Literal["person"]

    def make(self, models: Models) -> "Person":
        return Person(self.name)

    def needs(self) -> Sequence[ModelSettings]:
        return ()


class Person:
    """Asks on standard error and reads standard input. An empty line is no opinion: the verdict is INVALID."""

    usage = Usage()

    def __init__(self, name: str) -> None:
        self.name = name

    def judge(self, transcripts: Sequence[Transcript]) -> list[Verdict]:
        """Return one verdict per transcript, in the order given."""
        return verdicts(self.name, "given", transcripts, lambda shown: [self._ask(debate) for debate in shown])

    def _ask(self, debate: Transcript) -> Opinion:
        a, b = debate.answers
        said = [f"{debate.label(speech)} says: {speech.text}" for speech in debate.speeches]
        lines = [debate.question.text, f"A: {a}", f"B: {b}", *said]
        print(*map(_printable, lines), "How likely is A's answer, in percent?", sep="\n", file=sys.stderr, flush=True)
        typed = sys.stdin.readline()
        if not typed:
            raise JudgeError("Nobody answers any more (standard input has ended): start it again from a terminal.")
        try:
            percent = float(typed)
        except ValueError:
            return no_opinion("the person gave no opinion")
        return Opinion(min(max(percent / 100, 0.01), 0.99))


def _printable(text: str) -> str:
    """Return what a terminal shows and does not obey: debaters write what they like."""
    return "".join(sign if sign.isprintable() else " " for sign in text)
