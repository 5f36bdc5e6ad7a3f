"""Gold: the right answer, as somebody who knows would give it, for money."""

from collections.abc import Sequence
from typing import Literal

from rostrum.envs.types import Side, Transcript
from rostrum.rewards.label_source import LabelError, Labelling, LabelSource


class Settings(LabelSource):
    """The right answers of the question set."""

    kind: Literal["gold"]

    def label(self, debates: Sequence[Transcript], labelling: Labelling) -> list[float | None]:
        key = labelling.key()
        for debate in debates:
            if debate.question.id not in key.correct:
                raise LabelError(
                    f"The right answer of {debate.question.id} is not known to {self.name}: take a study of debates "
                    "about the run's own questions."
                )
        return [float(debate.answer_index(Side.A) == key[debate.question.id]) for debate in debates]
