"""What the kinds of label sources share (`rewards/labels/`): who says which answer of a stored debate is right, and at
which price. Labels teach judges; they are never a reward's.
"""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from pathlib import Path
from typing import Protocol as Interface

from pydantic import BaseModel, ConfigDict, Field

from rostrum.envs.types import AnswerKey, Transcript
from rostrum.rewards.judges import JudgeSettings
from rostrum.rewards.types import Judge


class LabelError(ValueError):
    """A source that cannot label what it is asked for; the message says what to do."""


class Labelling(Interface):
    """What a source may ask about the debates that it labels."""

    def judge(self, settings: JudgeSettings) -> Judge:
        """Return a judge as it is described."""

    def key(self) -> AnswerKey:
        """Return the right answers of the questions that teach."""

    def wage(self, study: Path) -> float:
        """Return the dollars an hour that people of a study are paid; raises where the study does not teach."""


class LabelSource(BaseModel, ABC):
    """The settings of a source; a kind adds its own and `kind: Literal["its name"]`."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    kind: str
    name: str = Field(min_length=1)
    """What pages and tables call it."""
    price: float | None = Field(None, gt=0)
    """Dollars for a label; none: what the source itself says it costs."""

    def priced(self, labelling: Labelling) -> float:
        """Return the dollars for a label.

        Raises:
            LabelError: no price is given, and the source does not know its own.
        """
        if self.price is None:
            raise LabelError(f"The labels of {self.name} have no price: set its price in dollars.")
        return self.price

    def own(self) -> Sequence[Transcript]:
        """Return debates that lie with the source and that it has labelled, which join those to be bought from."""
        return ()

    def can(self, debates: Sequence[Transcript]) -> list[bool]:
        """Return of each debate whether the source sells a label of it."""
        return [True] * len(debates)

    @abstractmethod
    def label(self, debates: Sequence[Transcript], labelling: Labelling) -> list[float | None]:
        """Return P(answer of side A) of each debate, or None where the label that was paid for says nothing."""

    def again(self, debates: Sequence[Transcript], labelling: Labelling, times: int) -> list[list[float | None]]:
        """Return the labels of each debate that is bought so many times, (times, debates): the same each time, unless
        the source's labels vary."""
        return [self.label(debates, labelling)] * times
