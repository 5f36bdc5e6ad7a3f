"""Verdicts of a judge of any kind: a weak model, a panel, one behind an endpoint."""

import random
from collections.abc import Sequence
from typing import Literal

from rostrum.envs.types import Transcript
from rostrum.rewards.judges import AnyJudge
from rostrum.rewards.label_source import Labelling, LabelSource


class Settings(LabelSource):
    """A judge whose verdicts are labels."""

    kind: Literal["judged"]
    judge: AnyJudge
    """Whose verdicts they are. The judge that is taught learns nothing from its own."""
    drawn: bool = False
    """Whether a label is an answer, drawn by the judge's probability as one annotator of many would give it; else it is
    the probability itself."""

    def label(self, debates: Sequence[Transcript], labelling: Labelling) -> list[float | None]:
        return self.again(debates, labelling, 1)[0]

    def again(self, debates: Sequence[Transcript], labelling: Labelling, times: int) -> list[list[float | None]]:
        verdicts = labelling.judge(self.judge).judge(debates)
        found = [verdict.mean if verdict.valid else None for verdict in verdicts]
        if not self.drawn:
            return [found] * times
        return [
            [p if p is None else float(_chance(debate, draw) < p) for p, debate in zip(found, debates, strict=True)]
            for draw in range(times)
        ]


def _chance(debate: Transcript, draw: int) -> float:
    """Return a number from 0 to 1 by which a label is drawn, always the same for a debate and a draw."""
    said = [speech.text for speech in debate.speeches]
    return random.Random(f"label:{draw}:{debate.question.id}:{debate.swapped_seats}:{said}").random()
