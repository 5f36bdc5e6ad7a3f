"""People: the verdicts that were given in a study (`rostrum people`). Nobody is asked and nobody is waited for."""

import operator
import sqlite3
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path
from typing import ClassVar, Literal

from pydantic import Field

from rostrum.envs.fingerprints import record_hash
from rostrum.envs.types import Transcript
from rostrum.rewards.people import database, debates, verdicts
from rostrum.rewards.people.database import StudyError
from rostrum.rewards.people.debates import id_of
from rostrum.rewards.people.verdicts import Opinion
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

    queue: bool = Field(False, exclude_if=operator.not_)
    """Whether a debate that nobody has judged is put to the study's people, at the end of what they have to do: until
    then it is INVALID, and whoever asks again later gets their verdict."""

    def make(self, models: Models) -> "People":
        return People(self.name, self.study, self.queue)

    def given(self) -> str:
        """Return a hash of all verdicts of the study."""
        opinions = _opinions(self.study)
        return record_hash([[opinion.debate, opinion.judge, opinion.p] for opinion in opinions])

    def needs(self) -> Sequence[ModelSettings]:
        return ()


class People:
    """Gives the mean of the probabilities of those who judged a debate, and in `readings` how many they were.

    Each person read one presentation order, so there is one probability, of no order; a bias to the first answer is a
    figure between people. A debate that nobody has judged yet is INVALID.
    """

    def __init__(self, name: str, study: Path, queue: bool = False) -> None:
        self.name, self._study, self._queue = name, study, queue
        self._given: dict[str, list[float]] = {}
        for opinion in _opinions(study):
            self._given.setdefault(opinion.debate, []).append(opinion.p)

    @property
    def usage(self) -> Usage:
        """Nothing: no model was asked."""
        return Usage()

    def judge(self, transcripts: Sequence[Transcript]) -> list[Verdict]:
        """Return what people said of each transcript, whichever of its sides is called A."""
        found = [self._verdict(transcript) for transcript in transcripts]
        if self._queue and not all(verdict.valid for verdict in found):
            with closing(_opened(self._study)) as connection:
                debates.put(connection, [t for t, verdict in zip(transcripts, found, strict=True) if not verdict.valid])
        return found

    def _verdict(self, transcript: Transcript) -> Verdict:
        given = self._given.get(id_of(transcript))
        if given is None:
            turned = self._given.get(id_of(transcript.swapped()))
            given = turned and [1 - p for p in turned]
        if given is None:
            return Verdict(self.name, None, None, valid=False, reason=PENDING)
        return Verdict(self.name, sum(given) / len(given), None, readings=len(given))


def _opinions(study: Path) -> list[Opinion]:
    with closing(_opened(study)) as connection:
        return list(verdicts.opinions(connection))


def _opened(study: Path) -> sqlite3.Connection:
    try:
        return database.connect(study)
    except StudyError as error:
        raise JudgeError(str(error)) from None
