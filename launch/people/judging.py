"""What a judge is to do next, and what becomes of what they send: the rules of a study, without pages."""

import json
import math
import re
import sqlite3
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Literal, cast

from rostrum.envs import transcripts
from rostrum.envs.types import Side, Transcript
from rostrum.rewards.people import places, verdicts
from rostrum.rewards.people.database import StudyError, transaction
from rostrum.rewards.people.debates import Round, rounds_of
from rostrum.rewards.people.places import Phase, Place
from rostrum.rewards.people.verdicts import Sent
from rostrum.trainer.config.people import People

PHASES: Sequence[Phase] = ("training", "qualification", "main")
IDLE = 5.0
"""Seconds by which a page's own count of active time may be off."""


class FormError(ValueError):
    """A form that cannot be taken as it is; the message tells the judge what to do."""


@dataclass(frozen=True, slots=True)
class Item:
    """A debate as a judge is shown it."""

    place: Place
    phase: Phase
    number: int
    """Which of the phase's debates it is for this judge, from 1."""
    question: str
    answers: tuple[str, str]
    """In the order in which they are shown."""
    passage: str | None
    rounds: Sequence[Round]
    """Those that are shown now."""
    more: bool
    """Whether rounds follow."""
    given: Sequence[float]
    """P(answer shown first) after each round so far."""
    draft: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Feedback:
    """What a judge is told after a verdict in training."""

    right: bool
    answer: str


def next_item(db: sqlite3.Connection, judge: str, people: People, now: float) -> Item | None:
    """Return the debate that the judge is to judge now; None once nothing is left in any phase. Moves the judge on to
    the next phase where one is done."""
    while (phase := _phase(db, judge)) is not None:
        place = places.take(db, judge, phase, now, people.place_minutes * 60)
        if place is not None:
            return _item(db, judge, place, phase, people, now)
        _move_on(db, judge, phase, people)
    return None


def item_of(db: sqlite3.Connection, judge: str, token: str, people: People, now: float) -> Item:
    """Return a judge's debate by the token of its place.

    Raises:
        StudyError: it was not given to this judge.
    """
    row = _row(db, judge, token)
    phase = cast(Phase, row["phase"])
    place = Place(row["id"], token, row["debate"], Side(row["first"]), row["guidelines"], row["state"], row["expires"])
    return _item(db, judge, place, phase, people, now)


def take_form(
    db: sqlite3.Connection, judge: str, token: str, form: Mapping[str, str], people: People, now: float
) -> Literal["round", "verdict"]:
    """Keep what a judge sent about a debate: a probability after a round, or the verdict after the last one.

    Raises:
        StudyError: the debate was not given to this judge.
        FormError: something is missing or cannot be.
    """
    row = _row(db, judge, token)
    place, transcript = row["id"], _transcript(row)
    last = len(rounds_of(transcript)) - 1 if people.reading == "stepped" else 0
    known = _known(db, place)
    round_ = int(form["round"]) if re.fullmatch("[0-9]{1,4}", form.get("round", "")) else known
    p = _probability(form, people)
    p_of_a = p if row["first"] == Side.A else 1 - p
    on_page = max(0.0, now - _shown_at(db, place, min(round_, last), now))
    active = _active(form, on_page)
    if round_ < last:
        verdicts.step(db, judge, place, round_, p_of_a, on_page, now, active)
        return "round"
    if known < last:
        raise FormError("Judge the rounds before this one first.")
    explanation = form.get("explanation", "").strip()
    if len(explanation.split()) < people.words:
        raise FormError(f"Write at least {people.words} words about why.")
    sent = Sent(form.get("key") or token, p_of_a, explanation, on_page, active)
    verdicts.submit(db, judge, place, sent, now)
    return "verdict"


def feedback(db: sqlite3.Connection, judge: str, token: str) -> Feedback:
    """Return whether the judge was right, once the verdict is given, in training alone.

    Raises:
        StudyError: nothing may be told of this debate.
    """
    row = _row(db, judge, token)
    given = db.execute("SELECT p FROM verdict WHERE place = ?", (row["id"],)).fetchone()
    if row["phase"] != "training" or given is None:
        raise StudyError("There is no feedback on this debate.")
    (correct,) = db.execute("SELECT correct FROM answer WHERE debate = ?", (row["debate"],)).fetchone()
    answers = dict(zip(Side, _transcript(row).answers, strict=True))
    return Feedback((given["p"] > 0.5) == (correct == Side.A), answers[Side(correct)])


def qualified(scores: Sequence[tuple[float, str]], people: People) -> bool:
    """Return whether these probabilities of side A, each with the right side, are good enough to go on."""
    if not scores:
        return True
    of_right = [p if correct == Side.A else 1 - p for p, correct in scores]
    accuracy = sum((p > 0.5) + 0.5 * (p == 0.5) for p in of_right) / len(scores)
    brier = sum((1 - p) ** 2 for p in of_right) / len(scores)
    return accuracy >= people.qualify_accuracy and brier <= people.qualify_brier


def _phase(db: sqlite3.Connection, judge: str) -> Phase | None:
    (state,) = db.execute("SELECT state FROM judge WHERE id = ?", (judge,)).fetchone()
    return state if state in PHASES else None


def _move_on(db: sqlite3.Connection, judge: str, phase: Phase, people: People) -> None:
    """Let a judge who is through with a phase enter the next one, or stop where the qualification was not passed."""
    after = {"training": "qualification", "qualification": "main", "main": "survey"}[phase]
    reason = ""
    if phase == "qualification":
        scores = db.execute(
            "SELECT v.p, a.correct FROM verdict v JOIN place p ON p.id = v.place JOIN debate d ON d.id = p.debate "
            "JOIN answer a ON a.debate = d.id WHERE p.judge = ? AND d.phase = 'qualification'",
            (judge,),
        ).fetchall()
        if not qualified([(row["p"], row["correct"]) for row in scores], people):
            after = "stopped"
            reason = "Your verdicts in the qualification were not right, or not careful, often enough to go on."
    with transaction(db):
        db.execute("UPDATE judge SET state = ?, reason = ? WHERE id = ? AND state = ?", (after, reason, judge, phase))


def _item(db: sqlite3.Connection, judge: str, place: Place, phase: Phase, people: People, now: float) -> Item:
    row = db.execute("SELECT * FROM debate WHERE id = ?", (place.debate,)).fetchone()
    transcript = _transcript(row)
    shown = transcript if place.first is Side.A else transcript.swapped()
    rounds, known = rounds_of(shown), _known(db, place.id)
    now_shown = rounds[: known + 1] if people.reading == "stepped" else rounds
    with transaction(db):
        db.execute("INSERT OR IGNORE INTO shown VALUES (?, ?, ?)", (place.id, known, now))
    given = [p for (p,) in db.execute("SELECT p FROM step WHERE place = ? ORDER BY round", (place.id,))]
    (number,) = db.execute(
        "SELECT count(*) FROM place p JOIN debate d ON d.id = p.debate WHERE p.judge = ? AND d.phase = ? AND p.id <= ?",
        (judge, phase, place.id),
    ).fetchone()
    return Item(
        place,
        phase,
        number,
        transcript.question.text,
        shown.answers,
        transcript.question.passage if transcript.protocol.judge_sees_passage else None,
        now_shown,
        len(now_shown) < len(rounds),
        [p if place.first is Side.A else 1 - p for p in given],
        verdicts.draft(db, place.id),
    )


def _row(db: sqlite3.Connection, judge: str, token: str) -> sqlite3.Row:
    found: sqlite3.Row | None = db.execute(
        "SELECT p.*, d.phase, d.transcript FROM place p JOIN debate d ON d.id = p.debate "
        "WHERE p.token = ? AND p.judge = ?",
        (token, judge),
    ).fetchone()
    if found is None:
        raise StudyError("This debate was not given to you: go back to the list and open the one that was.")
    return found


def _transcript(row: sqlite3.Row) -> Transcript:
    return _decoded(row["transcript"])


@lru_cache(maxsize=256)
def _decoded(text: str) -> Transcript:
    record = transcripts.from_json(json.loads(text))
    assert isinstance(record, Transcript)
    return record


def _known(db: sqlite3.Connection, place: int) -> int:
    (known,) = db.execute("SELECT count(*) FROM step WHERE place = ?", (place,)).fetchone()
    return int(known)


def _shown_at(db: sqlite3.Connection, place: int, round_: int, now: float) -> float:
    found = db.execute("SELECT at FROM shown WHERE place = ? AND round = ?", (place, round_)).fetchone()
    return float(found["at"]) if found else now


def _probability(form: Mapping[str, str], people: People) -> float:
    """Return the probability of the answer shown first.

    Raises:
        FormError: none was chosen, or one that cannot be.
    """
    text = form.get("p", "")
    if not text:
        raise FormError("Choose how likely the first answer is.")
    if text not in map(str, people.probabilities):
        raise FormError("Choose one of the probabilities that are offered.")
    return int(text) / 100


def _active(form: Mapping[str, str], on_page: float) -> float | None:
    """Return the seconds that a script has counted; None without a script, or where they cannot be."""
    try:
        seconds = float(form.get("active", ""))
    except ValueError:
        return None
    return seconds if math.isfinite(seconds) and 0 <= seconds <= on_page + IDLE else None
