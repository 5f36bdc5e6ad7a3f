"""People: what they said in a teaching study (`rostrum people`), at what their time cost."""

import json
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path
from typing import Literal

from rostrum.envs.transcripts import from_json
from rostrum.envs.types import Transcript
from rostrum.rewards.judges.people import People
from rostrum.rewards.label_source import LabelError, Labelling, LabelSource
from rostrum.rewards.people import database, pay


class Settings(LabelSource):
    """The people of a study that was made with people.purpose=teach.

    A label is what people said of a debate, on average, and costs what all of them were paid for it.
    """

    kind: Literal["study"]
    study: Path
    """The folder of the study."""

    def priced(self, labelling: Labelling) -> float:
        wage = labelling.wage(self.study)
        if self.price is not None:
            return self.price
        with closing(database.connect(self.study)) as connection:
            judged, seconds = pay.judging(connection)
        if not judged:
            raise LabelError(f"Nobody has judged in {self.study} yet: there are no labels to buy.")
        return pay.dollars(seconds, wage) / judged

    def own(self) -> Sequence[Transcript]:
        with closing(database.connect(self.study)) as connection:
            rows = connection.execute("SELECT transcript FROM debate WHERE phase = 'main' ORDER BY id").fetchall()
        read = [from_json(json.loads(row["transcript"])) for row in rows]
        found = [one for one in read if isinstance(one, Transcript)]
        return [one for one, known in zip(found, self.can(found), strict=True) if known]

    def can(self, debates: Sequence[Transcript]) -> list[bool]:
        return [verdict.valid for verdict in People(self.name, self.study).judge(debates)]

    def label(self, debates: Sequence[Transcript], labelling: Labelling) -> list[float | None]:
        verdicts = People(self.name, self.study).judge(debates)
        return [verdict.mean if verdict.valid else None for verdict in verdicts]
