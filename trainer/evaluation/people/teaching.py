"""What people teach a judge, and which stories a taught judge is therefore not tested on."""

import json
from collections.abc import Collection, Iterable, Sequence
from contextlib import closing
from pathlib import Path

from rostrum.envs.transcripts import from_json
from rostrum.envs.types import Transcript
from rostrum.rewards.judges import JudgeSettings, people
from rostrum.rewards.labelled import Labelled
from rostrum.rewards.people import database, verdicts
from rostrum.rewards.people.database import StudyError
from rostrum.rewards.settings import TAUGHT
from rostrum.trainer.evaluation.people.study_file import settings_of
from rostrum.trainer.reading import Open, read_json


class Taught(Open):
    """Who taught a judge, and about which stories."""

    studies: list[str]
    stories: list[str]


class TaughtError(ValueError):
    """A judge or a study that may not be used for this; the message says why and what to do."""


def lessons(study: Path) -> list[Labelled]:
    """Return a labelled debate for each verdict of a teaching study: its target is what that person said, so that a
    debate weighs as much as people have judged it.

    Raises:
        TaughtError: the study is one that tests.
        StudyError: nobody has judged in it.
    """
    if settings_of(study).purpose != "teach":
        raise TaughtError(f"{study} is a study that tests: teach by one that was made with people.purpose=teach.")
    with closing(database.connect(study)) as connection:
        rows = connection.execute("SELECT shown, transcript FROM debate WHERE phase = 'main'")
        stored = {row["shown"]: row["transcript"] for row in rows}
        said = [(stored[opinion.debate], opinion.p) for opinion in verdicts.opinions(connection)]
    if not said:
        raise StudyError(f"Nobody has judged in {study} yet: there is nothing to learn from.")
    found = [(from_json(json.loads(text)), p) for text, p in said]
    return [Labelled(record, p) for record, p in found if isinstance(record, Transcript)]


def taught(study: Path, debates: Sequence[Labelled], before: JudgeSettings) -> Taught:
    """Return what a judge that learned these debates was taught on, with what people had taught it `before`."""
    stories = {debate.transcript.question.story_id for debate in debates}
    earlier = list(_taught(before))
    return {
        "studies": sorted({str(study), *(name for one in earlier for name in one["studies"])}),
        "stories": sorted(stories.union(*(one["stories"] for one in earlier))),
    }


def check_stories(judges: Iterable[JudgeSettings], stories: Collection[str]) -> None:
    """Refuse to test by a study that teaches, and to test a judge on stories that people taught it on.

    Raises:
        TaughtError: one of the judges is not to be used on these stories.
    """
    for judge in judges:
        for inner in judge.within():
            if isinstance(inner, people.Settings) and settings_of(inner.study).purpose != "test":
                raise TaughtError(
                    f"{inner.study} is a study that teaches judges: test by one that was made with people.purpose=test."
                )
        for one in _taught(judge):
            if known := set(one["stories"]) & set(stories):
                raise TaughtError(
                    f"People taught {judge.name} on {len(known)} of these {len(set(stories))} stories "
                    f"({', '.join(one['studies'])}): take questions about others (questions.seed=N makes new ones of "
                    "the embedded world), or another judge."
                )


def _taught(judge: JudgeSettings) -> Iterable[Taught]:
    """Yield what the judge's settings, and the folders of its models, say of who taught it."""
    for inner in judge.within():
        files = [inner.taught_on] if inner.taught_on is not None else []
        files += [Path(model.model) / TAUGHT for model in inner.needs() if model.endpoint is None]
        for path in dict.fromkeys(files):
            if path == inner.taught_on or path.is_file():
                yield read_json(path, Taught, "put the file back, or take another judge")
