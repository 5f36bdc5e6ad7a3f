"""A source of labels: whoever says more is taken to be right, which costs next to nothing."""

from collections.abc import Sequence
from typing import Literal

from rostrum.envs.types import Side, Transcript
from rostrum.rewards.label_source import Labelling, LabelSource


class Settings(LabelSource):
    """The answer of the side with more words; one half if both have as many."""

    kind: Literal["longest"]

    def label(self, debates: Sequence[Transcript], labelling: Labelling) -> list[float | None]:
        return [_label(debate) for debate in debates]


def _label(debate: Transcript) -> float:
    a, b = (sum(len(s.text.split()) for s in debate.speeches if s.side is side) for side in (Side.A, Side.B))
    return 0.5 if a == b else float(a > b)
