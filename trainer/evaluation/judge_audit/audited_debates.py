"""The debates that judges are audited on."""

import json
from collections import Counter
from contextlib import closing
from dataclasses import replace
from functools import lru_cache
from pathlib import Path

import numpy as np

from rostrum.envs import transcripts
from rostrum.envs.questions.base import load_questions
from rostrum.envs.questions.splits import SPLITS
from rostrum.envs.types import Side, Transcript
from rostrum.rewards import labelled
from rostrum.rewards.audit.agreement import rating_of
from rostrum.rewards.audit.ratings import Rating, RatingError, read_ratings
from rostrum.rewards.audit.sections import debate_id
from rostrum.rewards.labelled import Labelled, LabelledError
from rostrum.rewards.people import database, verdicts
from rostrum.trainer.config import Config
from rostrum.trainer.evaluation.labelled_debates import play_labelled


def debates(settings: Config, stored: Path) -> list[Labelled]:
    """Return the configured debates, which are written to `stored`; if none are configured, those that lie there
    already, those of `people.study`, or newly played ones.

    Raises:
        LabelledError: the file cannot be used.
    """
    source = settings.audit.debates or (stored if stored.exists() else None)
    if source is None and settings.people.study is not None:
        found = judged_debates(settings.people.study)
    elif source is not None:
        found = labelled.read(source, _label(settings))
    else:
        found = play_labelled(settings, "heldout", settings.audit.questions)
    if source != stored:
        labelled.write(stored, found)
    return found


def check(settings: Config) -> list[Labelled]:
    """Read the files that the configuration names, before anything is written down of an audit of them; return the
    stored debates, none if they are to be played.

    Raises:
        LabelledError: the debates or the examples cannot be used.
        TranscriptError: a line is no transcript.
        RatingError: the ratings cannot be used.
    """
    options = settings.audit
    if options.examples is not None:
        labelled.read(options.examples)
    if options.ratings is not None:
        read_ratings(options.ratings)
    if options.debates is None:
        return [] if settings.people.study is None else judged_debates(settings.people.study)
    return labelled.read(options.debates, _label(settings))


def judged_debates(study: Path) -> list[Labelled]:
    """Return the debates of a study's main phase that people have judged, with their right answers, each under the name
    that `people_ratings` knows it by.

    Raises:
        LabelledError: nobody has judged one of which the right answer is known.
    """
    found = list[Labelled]()
    with closing(database.connect(study)) as connection:
        judged = {opinion.debate for opinion in verdicts.opinions(connection)}
        rows = connection.execute(
            "SELECT d.shown, d.transcript, a.correct FROM debate d JOIN answer a ON a.debate = d.id "
            "WHERE d.phase = 'main' GROUP BY d.shown ORDER BY d.id"
        )
        for row in rows:
            record = transcripts.from_json(json.loads(row["transcript"]))
            if row["shown"] in judged and isinstance(record, Transcript):
                named = replace(record, provenance={"match": row["shown"]})
                found.append(Labelled(named, float(row["correct"] == "A")))
    if not found:
        raise LabelledError(f"Nobody has judged in {study} yet: name a study in which people have.")
    return found


def people_ratings(study: Path) -> list[Rating]:
    """Return what people of a study said of each debate, averaged, on the scale of 1 to 9."""
    given: dict[str, list[float]] = {}
    with closing(database.connect(study)) as connection:
        for opinion in verdicts.opinions(connection):
            given.setdefault(opinion.debate, []).append(opinion.p)
    means = rating_of(np.array([sum(of) / len(of) for of in given.values()]))
    return [Rating(debate, int(human), None) for debate, human in zip(given, means, strict=True)]


def ratings(settings: Config, played: list[Labelled]) -> tuple[list[Rating], list[Rating]]:
    """Return the human ratings of the debates, and those that have a judge's rating with them and need no debate.

    Raises:
        RatingError: the file cannot be used, or rates a debate that is not there or that is there twice.
    """
    path, study = settings.audit.ratings, settings.people.study
    read = [] if path is None else read_ratings(path)
    alone = [rating for rating in read if rating.judge is None]
    known = Counter(debate_id(debate) for debate in played)
    for rating in alone:
        if known[rating.debate] != 1:
            raise RatingError(
                f"{path} rates debate {rating.debate!r}, which is there {known[rating.debate]} times: name debates of "
                'audit.debates by provenance.match, or add "judge", the judge\'s rating, to each line.'
            )
    if study is not None and path is None:
        alone = [rating for rating in people_ratings(study) if known[rating.debate]]
    return alone, [rating for rating in read if rating.judge is not None]


def _label(settings: Config) -> "labelled.Label":
    """Return P(answer of side A) by the question set's own answers; None for questions that it does not know."""

    @lru_cache(maxsize=1)
    def correct() -> dict[str, int]:
        questions = load_questions(settings.questions)
        return {id: right for split in SPLITS for id, right in questions.answer_key(split).correct.items()}

    def label(transcript: Transcript) -> float | None:
        right = correct().get(transcript.question.id)
        return None if right is None else float(transcript.answer_index(Side.A) == right)

    return label
