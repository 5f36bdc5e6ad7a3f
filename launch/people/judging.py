"""What a judge is to do next, and what becomes of what they send: the rules of a study, without pages."""

import json
import math
import re
import sqlite3
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Literal

from rostrum.envs import transcripts
from rostrum.envs.types import Side, Transcript
from rostrum.launch.people import care
from rostrum.launch.people.care import Attention
from rostrum.launch.people.wording import WORDS
from rostrum.rewards.people import live, pay, places, quality, verdicts
from rostrum.rewards.people.database import StudyError, transaction
from rostrum.rewards.people.debates import Round, rounds_of
from rostrum.rewards.people.places import Phase, Place
from rostrum.rewards.people.verdicts import Draft, Sent
from rostrum.trainer.config.people import People

PHASES: Sequence[Phase] = ("training", "qualification", "main")
IDLE = 5.0
"""Seconds by which a page's own count of active time may be off."""
RATINGS = range(1, 11)
"""How good a case can be."""
TYPED = ("p", "explanation", "choice", "rating-first", "rating-second", "said", "question")
"""Fields of a verdict that a judge fills in."""


class FormError(ValueError):
    """A form that cannot be taken as it is; the message tells the judge what to do."""


@dataclass(frozen=True, slots=True)
class Item:
    """A debate as a judge is shown it."""

    place: Place
    phase: Literal["training", "qualification", "main"]
    """As the judge is told: gold debates are of the main phase, so that nothing made from an item can tell them."""
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
    draft: Draft
    attention: Attention | None
    """What the last form also asks, where it does."""
    asks: int = 0
    """Words of a question that the judge may ask now; 0: none can be asked."""
    waiting: live.Waiting | None = None
    """What the judge waits for."""
    ended: bool = False
    """Whether a live debate ended early."""


@dataclass(frozen=True, slots=True)
class Feedback:
    """What a judge is told after a verdict."""

    right: bool
    answer: str


def next_item(db: sqlite3.Connection, judge: str, people: People, now: float) -> Item | None:
    """Return the debate that the judge is to judge now; None once nothing is left in any phase. Moves the judge on to
    the next phase where one is done."""
    while (phase := _phase(db, judge)) is not None:
        place, seconds = None, people.place_minutes * 60
        if phase == "main" and care.gold_is_due(db, judge, people):
            place = places.take(db, judge, "gold", now, seconds, people.live)
        place = place or places.take(db, judge, phase, now, seconds, people.live)
        if place is not None:
            return _item(db, judge, _row(db, judge, place.token), people, now)
        _move_on(db, judge, phase, people)
    return None


def item_of(db: sqlite3.Connection, judge: str, token: str, people: People, now: float) -> Item:
    """Return a judge's debate by the token of its place.

    Raises:
        StudyError: it was not given to this judge.
    """
    return _item(db, judge, _row(db, judge, token), people, now)


def take_form(
    db: sqlite3.Connection, judge: str, token: str, form: Mapping[str, str], people: People, now: float
) -> Literal["round", "verdict"]:
    """Keep what a judge sent about a debate: a probability after a round, or the verdict after the last one; and warn
    or stop the judge where the rules say so.

    Raises:
        StudyError: the debate was not given to this judge.
        FormError: something is missing or cannot be.
    """
    row = _row(db, judge, token)
    place, transcript = row["id"], _transcript(row)
    rounds = len(rounds_of(transcript))
    last = rounds - 1 if people.reading == "stepped" else 0
    known = _known(db, place)
    if people.live:
        last = min(last, live.ended(db, place) or last)
    round_ = int(form["round"]) if re.fullmatch("[0-9]{1,4}", form.get("round", "")) else known
    p = _probability(form, people)
    first = Side(row["first"])
    p_of_a = p if first is Side.A else 1 - p
    on_page = max(0.0, now - _shown_at(db, place, min(round_, last), now))
    active = _active(form, on_page)
    too_fast = on_page < people.least_seconds * (1 if people.reading == "stepped" else rounds)
    if people.live and round_ == known:
        _ask(db, form, row, transcript, round_, last, people, now)
    if round_ < last:
        verdicts.step(db, judge, place, round_, p_of_a, on_page, now, active, too_fast)
        care.enforce(db, judge, place, people, now)
        return "round"
    if known < last:
        raise FormError(WORDS["rounds_before"])
    explanation = form.get("explanation", "").strip()
    if len(explanation.split()) < people.words:
        raise FormError(WORDS["too_short"].format(words=people.words))
    also = _also(form, p, first, people)
    checked: dict[quality.Kind, bool] = {"time": not too_fast} if people.least_seconds else {}
    if (asked := _attention(db, judge, row, people)) is not None:
        if form.get("said") not in {str(n) for n in range(len(asked[0].sentences))}:
            raise FormError(WORDS["attention_missing"])
        checked["attention"] = form["said"] == str(asked[1])
    if row["phase"] == "gold":
        checked["gold"] = _favours_right(db, row["debate"], p_of_a)
    sent = Sent(form.get("key") or token, p_of_a, explanation, on_page, active, also, checked)
    verdicts.submit(db, judge, place, sent, now)
    care.enforce(db, judge, place, people, now)
    return "verdict"


def keep_draft(db: sqlite3.Connection, judge: str, form: Mapping[str, str], people: People, now: float) -> None:
    """Keep what is typed and how long that has taken, and the debate with its judge for longer. What is of a round that
    was sent meanwhile changes nothing.

    Raises:
        StudyError: the debate was not given to this judge.
    """
    row = _row(db, judge, form.get("place", ""))
    place, known = row["id"], _known(db, row["id"])
    if form.get("round") == str(known):
        active = _active(form, max(0.0, now - _shown_at(db, place, known, now)))
        typed = {name: form[name] for name in TYPED if name in form}
        verdicts.save_draft(db, judge, place, typed, now, active)
        places.extend(db, place, now, people.place_minutes * 60)


def leave(db: sqlite3.Connection, judge: str, form: Mapping[str, str], people: People, now: float) -> None:
    """Let a judge go: what the open round has taken so far is kept, by the server's clock where no script counted, and
    the debate is put back."""
    found = db.execute("SELECT token FROM place WHERE judge = ? AND state = 'open'", (judge,)).fetchone()
    if found is not None and found["token"] == form.get("place"):
        row = _row(db, judge, found["token"])
        place, known = row["id"], _known(db, row["id"])
        on_page = max(0.0, now - _shown_at(db, place, known, now))
        active = _active(form, on_page)
        seconds = min(on_page, pay.LONGEST) if active is None else active
        verdicts.save_draft(db, judge, place, verdicts.draft(db, place).fields, now, seconds)
    live.leave(db, judge, now, people.live_seconds)
    places.give_back(db, judge)
    with transaction(db):
        db.execute("UPDATE judge SET state = 'left' WHERE id = ? AND state NOT IN ('finished', 'stopped')", (judge,))


def feedback(db: sqlite3.Connection, judge: str, token: str, people: People) -> Feedback | None:
    """Return whether the judge was right, once the verdict is given; None where the study tells nothing, which is in
    the qualification, of gold debates, and of a queue's debates, whose answer nobody knows, always.

    Raises:
        StudyError: the debate was not given to this judge.
    """
    row = _row(db, judge, token)
    given = db.execute("SELECT p FROM verdict WHERE place = ?", (row["id"],)).fetchone()
    phases = {"training": ["training"], "always": ["training", "main"], "never": []}[people.feedback]
    if row["phase"] not in phases or given is None:
        return None
    known = db.execute("SELECT correct FROM answer WHERE debate = ?", (row["debate"],)).fetchone()
    if known is None:
        return None
    correct = known["correct"]
    answers = dict(zip(Side, _transcript(row).answers, strict=True))
    return Feedback(_favours_right(db, row["debate"], given["p"]), answers[Side(correct)])


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
            reason = WORDS["stopped_qualification"]
    with transaction(db):
        db.execute("UPDATE judge SET state = ?, reason = ? WHERE id = ? AND state = ?", (after, reason, judge, phase))


def _item(db: sqlite3.Connection, judge: str, row: sqlite3.Row, people: People, now: float) -> Item:
    place = Place(
        row["id"], row["token"], row["debate"], Side(row["first"]), row["guidelines"], row["state"], row["expires"]
    )
    transcript = _transcript(row)
    shown = transcript if place.first is Side.A else transcript.swapped()
    rounds, known = rounds_of(shown), _known(db, place.id)
    at = live.Stands(known + 1 if people.reading == "stepped" else len(rounds), known + 1 < len(rounds))
    if people.live:
        at = live.stands(db, place.id, known, len(rounds), now, people.live_seconds)
    now_shown = rounds[: at.rounds]
    if at.waiting:
        places.extend(db, place.id, now, people.place_minutes * 60)
    else:
        with transaction(db):
            db.execute("INSERT OR IGNORE INTO shown VALUES (?, ?, ?)", (place.id, known, now))
    given = [p for (p,) in db.execute("SELECT p FROM step WHERE place = ? ORDER BY round", (place.id,))]
    more = at.more and len(now_shown) < len(rounds)
    asked = None if more else _attention(db, judge, row, people)
    return Item(
        place,
        "main" if row["phase"] == "gold" else row["phase"],
        _number(db, judge, row),
        transcript.question.text,
        shown.answers,
        transcript.question.passage if transcript.protocol.judge_sees_passage else None,
        now_shown,
        more,
        [p if place.first is Side.A else 1 - p for p in given],
        verdicts.draft(db, place.id),
        asked and asked[0],
        transcript.protocol.max_words if people.live and more else 0,
        at.waiting,
        at.ended,
    )


def _ask(
    db: sqlite3.Connection,
    form: Mapping[str, str],
    row: sqlite3.Row,
    transcript: Transcript,
    round_: int,
    last: int,
    people: People,
    now: float,
) -> None:
    """Keep what a judge asks before the next round.

    Raises:
        FormError: it cannot be asked as it is, or the debaters have yet to answer the question before.
    """
    place = row["id"]
    if live.waiting(db, place, round_, now, people.live_seconds):
        raise FormError(WORDS["live_still_waiting"])
    if round_ < last:
        text = form.get("question", "")
        problem = live.problem_with(text, transcript, round_ + 1, people.inquiry_characters)
        if problem is not None:
            most = {"words": transcript.protocol.max_words, "characters": people.inquiry_characters}
            raise FormError(WORDS[problem].format(**most))
        live.ask(db, place, round_ + 1, text, now)


def _number(db: sqlite3.Connection, judge: str, row: sqlite3.Row) -> int:
    """Return which of the phase's debates a place is for its judge, from 1; gold debates are counted with the main."""
    (number,) = db.execute(
        "SELECT count(*) FROM place p JOIN debate d ON d.id = p.debate WHERE p.judge = ? AND p.id <= ? "
        "AND replace(d.phase, 'gold', 'main') = replace(?, 'gold', 'main')",
        (judge, row["id"], row["phase"]),
    ).fetchone()
    return int(number)


def _attention(db: sqlite3.Connection, judge: str, row: sqlite3.Row, people: People) -> tuple[Attention, int] | None:
    """Return what a debate's last form also asks, and which sentence was said; None where it asks nothing."""
    if row["phase"] not in ("main", "gold") or not people.attention_every:
        return None
    (joined,) = db.execute("SELECT number FROM judge WHERE id = ?", (judge,)).fetchone()
    if not care.attention_is_due(joined, _number(db, judge, row), people):
        return None
    return care.attention(db, f"{row['debate']}:{row['number']}", _transcript(row))


def _favours_right(db: sqlite3.Connection, debate: int, p_of_a: float) -> bool:
    (correct,) = db.execute("SELECT correct FROM answer WHERE debate = ?", (debate,)).fetchone()
    return p_of_a > 0.5 if correct == Side.A else p_of_a < 0.5


def _also(form: Mapping[str, str], p: float, first: Side, people: People) -> dict[str, Any]:
    """Return what other scales say, by side.

    Raises:
        FormError: one is missing, cannot be, or contradicts the probability of the answer shown first.
    """
    found: dict[str, Any] = {}
    second = Side.B if first is Side.A else Side.A
    if "choice" in people.scales:
        chosen = {"first": first, "second": second}.get(form.get("choice", ""))
        if chosen is None:
            raise FormError(WORDS["choice_missing"])
        if (p > 0.5 and chosen is second) or (p < 0.5 and chosen is first):
            raise FormError(WORDS["choice_contradicts"])
        found["choice"] = chosen.value
    if "rating" in people.scales:
        given = [form.get(f"rating-{place}", "") for place in ("first", "second")]
        if not all(each in map(str, RATINGS) for each in given):
            raise FormError(WORDS["rating_missing"])
        found["rating"] = {first.value: int(given[0]), second.value: int(given[1])}
    return found


def _row(db: sqlite3.Connection, judge: str, token: str) -> sqlite3.Row:
    found: sqlite3.Row | None = db.execute(
        "SELECT p.*, d.phase, coalesce(l.transcript, d.transcript) AS transcript "
        "FROM place p JOIN debate d ON d.id = p.debate LEFT JOIN live l ON l.place = p.id "
        "WHERE p.token = ? AND p.judge = ?",
        (token, judge),
    ).fetchone()
    if found is None:
        raise StudyError("This debate was not given to you: go back to the study and open yours.", "not_yours")
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
        raise FormError(WORDS["p_missing"])
    if text not in map(str, people.probabilities):
        raise FormError(WORDS["p_strange"])
    return int(text) / 100


def _active(form: Mapping[str, str], on_page: float) -> float | None:
    """Return the seconds that a script has counted; None without a script, or where they cannot be."""
    try:
        seconds = float(form.get("active", ""))
    except ValueError:
        return None
    return seconds if math.isfinite(seconds) and 0 <= seconds <= on_page + IDLE else None
