"""People: the verdicts that were given in a study (`rostrum people`). Nobody is asked and nobody is waited for."""

from collections.abc import Sequence
from pathlib import Path
from typing import ClassVar, Literal

from pydantic import Field

from rostrum.envs.types import Transcript
from rostrum.rewards.people import database, verdicts
from rostrum.rewards.people.database import StudyError
from rostrum.rewards.people.debates import id_of
from rostrum.rewards.settings import JudgeError, JudgeSettings, Models, ModelSettings
from rostrum.rewards.types import Usage, Verdict

PENDING = "no person has judged this debate yet"


class Settings(JudgeSettings):
    """The people of a study."""

    reads_anew: ClassVar[bool] = False

    kind: Literal["people"]
    study: Path
    """The folder of the study."""
    probe: bool = Field(False, exclude_if=lambda probe: not probe)
    """They have judged whole debates, as they were, and nothing else."""

    def make(self, models: Models) -> "People":
        return People(self.name, self.study)

    def needs(self) -> Sequence[ModelSettings]:
        return ()


class People:
    """Gives the mean of the probabilities of those who judged a debate, and in `readings` how many they were.

    Each person read one presentation order, so there is one probability, of no order; a bias to the first answer is a
    figure between people. A debate that nobody has judged yet is INVALID.
    """

    def __init__(self, name: str, study: Path) -> None:
        self.name = name
        try:
            connection = database.connect(study)
        except StudyError as error:
            raise JudgeError(str(error)) from None
        with connection:
            self._given: dict[str, list[float]] = {}
            for opinion in verdicts.opinions(connection):
                self._given.setdefault(opinion.debate, []).append(opinion.p)
        connection.close()

    @property
    def usage(self) -> Usage:
        """Nothing: no model was asked."""
        return Usage()

    def judge(self, transcripts: Sequence[Transcript]) -> list[Verdict]:
        """Return what people said of each transcript, whichever of its sides is called A."""
        return [self._verdict(transcript) for transcript in transcripts]

    def _verdict(self, transcript: Transcript) -> Verdict:
        given = self._given.get(id_of(transcript))
        if given is None:
            turned = self._given.get(id_of(transcript.swapped()))
            given = turned and [1 - p for p in turned]
        if given is None:
            return Verdict(self.name, None, None, valid=False, reason=PENDING)
        return Verdict(self.name, sum(given) / len(given), None, readings=len(given))
