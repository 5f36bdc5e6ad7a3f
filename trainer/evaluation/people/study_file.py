"""study.json: what a study was made with."""

import json
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from rostrum.envs.files import write_atomically
from rostrum.rewards.people.database import StudyError
from rostrum.trainer.config.people import People
from rostrum.trainer.reading import read_json
from rostrum.trainer.section import Section

NAME = "study.json"


class StudyFile(Section):
    """What a study was made with."""

    runs: tuple[str, ...]
    seed: int
    people: People

    def write(self, folder: Path) -> None:
        """Write study.json into a study's folder."""
        write_atomically(folder / NAME, json.dumps(self.model_dump(mode="json"), indent=2) + "\n")

    @classmethod
    def read(cls, study: Path) -> "StudyFile":
        """Return what a study was made with.

        Raises:
            DamagedError: the folder holds no study, or its settings were damaged.
            StudyError: they are another release's.
        """
        found = read_json(study / NAME, dict[str, Any])
        try:
            return cls.model_validate(found)
        except ValidationError as error:
            raise StudyError(
                f"{study / NAME} holds no settings of a study ({error.errors()[0]['msg']}): restore it from a copy."
            ) from None


def settings_of(study: Path) -> People:
    """Return how a study judges.

    Raises:
        DamagedError: the folder holds no study, or its settings were damaged.
        StudyError: they are another release's.
    """
    return StudyFile.read(study).people
