"""The debates that judges are audited on."""

from collections import Counter
from functools import lru_cache
from pathlib import Path

from rostrum.envs.questions.base import load_questions
from rostrum.envs.questions.splits import SPLITS
from rostrum.envs.types import Side, Transcript
from rostrum.rewards import labelled
from rostrum.rewards.audit.ratings import Rating, RatingError, read_ratings
from rostrum.rewards.audit.sections import debate_id
from rostrum.rewards.labelled import Labelled
from rostrum.trainer.config import Config
from rostrum.trainer.evaluation.labelled_debates import play_labelled


def debates(settings: Config, stored: Path) -> list[Labelled]:
    """Return the configured debates, which are written to `stored`; if none are configured, those that lie there
    already, or newly played ones.

    Raises:
        LabelledError: the file cannot be used.
    """
    source = settings.audit.debates or (stored if stored.exists() else None)
    if source is not None:
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
    return [] if options.debates is None else labelled.read(options.debates, _label(settings))


def ratings(path: Path | None, played: list[Labelled]) -> tuple[list[Rating], list[Rating]]:
    """Return the human ratings of the debates, and those that have a judge's rating with them and need no debate.

    Raises:
        RatingError: the file cannot be used, or rates a debate that is not there or that is there twice.
    """
    read = [] if path is None else read_ratings(path)
    alone = [rating for rating in read if rating.judge is None]
    known = Counter(debate_id(debate) for debate in played)
    for rating in alone:
        if known[rating.debate] != 1:
            raise RatingError(
                f"{path} rates debate {rating.debate!r}, which is there {known[rating.debate]} times: name debates of "
                'audit.debates by provenance.match, or add "judge", the judge\'s rating, to each line.'
            )
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
