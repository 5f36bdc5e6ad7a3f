"""Live debates: what a judge asks between two rounds, and how far the debaters have answered. No pages, no models.

As long as a judge has asked nothing, the debate is the stored one. With the first question the judge's place gets a
debate of its own, which begins as the stored one did, and from then on its rounds are played: `waiting` to be taken by
a player, `playing` while the player's lease lasts, then `done`, or `failed` where nobody is waited for any more and the
debate ends as far as it went. A lease that ran out, of a player that was killed, is another player's; what the first
one writes after all is not taken. So a round is kept once, whoever dies when.
"""

import json
import sqlite3
from dataclasses import dataclass, replace
from typing import Literal

from rostrum.envs import transcripts
from rostrum.envs.prompts.inquiries import inquiry_of
from rostrum.envs.text.quotes import count_words
from rostrum.envs.types import Transcript
from rostrum.rewards.people.database import StudyError, transaction
from rostrum.rewards.people.debates import Round, bare, id_of, rounds_of

LEASE = 20.0
"""Seconds for which a round is a player's; it renews that while it is at work."""
SILENT = 15.0
"""Seconds without a sign of any player after which judges are told."""
TRIES = 3
"""How often a round is taken up: one that kills its players is given up."""
_HEARD = "player"

Problem = Literal["question_too_long", "question_words", "question_one", "question_empty"]


@dataclass(frozen=True, slots=True)
class Waiting:
    """A judge waits for the debaters."""

    asked: str
    """The question as the judge wrote it; empty where none was asked."""
    late: bool
    """Whether the judge need not wait any longer: the time is up, or nobody plays."""


@dataclass(frozen=True, slots=True)
class Work:
    """A round that a player is to play."""

    place: int
    round: int
    asked: str
    lease: int
    """Which of the round's leases this is."""
    condition: int
    run: str
    checkpoint: str
    shown: str
    """The stored debate, by `rewards.people.debates.id_of`."""
    played: Transcript | None
    """The place's own debate so far, as it was played; None before its first round."""


def problem_with(text: str, transcript: Transcript, round_: int, characters: int) -> Problem | None:
    """Return why a question cannot be put to debaters as it is, as a key of the pages' words; None where it can.

    Debaters read what they would of a model's question: one line, one question, so many words. A judge is told of what
    would be cut, and nothing is cut in silence.
    """
    protocol, line = transcript.protocol, " ".join(text.split())
    if len(line) > characters:
        return "question_too_long"
    if count_words(line) > protocol.max_words:
        return "question_words"
    if count_words(line.partition("?")[2]):
        return "question_one"
    if line and not inquiry_of(line, first_turn(transcript, round_), protocol, transcript.question.passage).text:
        return "question_empty"
    return None


def first_turn(transcript: Transcript, round_: int) -> int:
    """Return the turn with which a round begins."""
    return round_ * len(transcript.protocol.order()) // len(rounds_of(transcript))


def ask(connection: sqlite3.Connection, place: int, round_: int, text: str, now: float) -> None:
    """Keep what a judge asks before a round; empty: nothing. What came first stays: sent again, it changes nothing."""
    line = " ".join(text.split())
    with transaction(connection):
        own, stored = connection.execute(
            "SELECT l.place, d.transcript FROM place p JOIN debate d ON d.id = p.debate "
            "LEFT JOIN live l ON l.place = p.id WHERE p.id = ?",
            (place,),
        ).fetchone()
        goes_on = not line and own is None and not _asks(_read(stored), round_)
        connection.execute(
            "INSERT OR IGNORE INTO inquiry (place, round, text, at, state, since) VALUES (?, ?, ?, ?, ?, ?)",
            (place, round_, line, now, "done" if goes_on else "waiting", now),
        )


def _asks(stored: Transcript, round_: int) -> bool:
    """Return whether a model asked before this round of the stored debate, so that its answers are not the judge's."""
    return any(inquiry.turn == first_turn(stored, round_) for inquiry in stored.inquiries)


def waiting(connection: sqlite3.Connection, place: int, round_: int, now: float, seconds: float) -> Waiting | None:
    """Return what a judge waits for before a round; None where the round is there, or will never be.

    `seconds` is how long nobody need wait longer than."""
    found = connection.execute(
        "SELECT text, at FROM inquiry WHERE place = ? AND round = ? AND state IN ('waiting', 'playing')",
        (place, round_),
    ).fetchone()
    if found is None:
        return None
    heard = connection.execute("SELECT value FROM setting WHERE key = ?", (_HEARD,)).fetchone()
    silent = heard is None or now - float(heard["value"]) > SILENT
    return Waiting(found["text"], silent or now - found["at"] >= seconds)


@dataclass(frozen=True, slots=True)
class Stands:
    """How far a judge is with a debate that is read round by round."""

    rounds: int
    """How many may be read."""
    more: bool
    """Whether others follow."""
    waiting: Waiting | None = None
    ended: bool = False
    """Whether it ends before its last round, since nobody answered."""


def stands(connection: sqlite3.Connection, place: int, known: int, rounds: int, now: float, seconds: float) -> Stands:
    """Return how far the judge of a live debate of so many rounds is, who has judged those that are `known`."""
    if (last := ended(connection, place)) is not None and known >= last:
        return Stands(last, False, ended=True)
    if (waits := waiting(connection, place, known, now, seconds)) is not None:
        return Stands(known, True, waits)
    return Stands(known + 1, known + 1 < rounds)


def ended(connection: sqlite3.Connection, place: int) -> int | None:
    """Return the round before which a debate ended; None where it goes its way."""
    found = connection.execute(
        "SELECT min(round) AS round FROM inquiry WHERE place = ? AND state = 'failed'", (place,)
    ).fetchone()
    return None if found["round"] is None else int(found["round"])


def give_up(connection: sqlite3.Connection, place: int, round_: int, now: float, seconds: float) -> None:
    """End a debate before a round that its judge need not wait for any longer. Does nothing where the round has come
    meanwhile, or the judge is still to wait."""
    with transaction(connection):
        found = waiting(connection, place, round_, now, seconds)
        if found is not None and found.late:
            _end(connection, place, round_, now, seconds)


def leave(connection: sqlite3.Connection, judge: str, now: float, seconds: float) -> None:
    """End what a judge waits for who leaves or is stopped: the wait until now is paid, and no player need answer."""
    with transaction(connection):
        for place, round_ in connection.execute(
            "SELECT i.place, i.round FROM inquiry i JOIN place p ON p.id = i.place "
            "WHERE p.judge = ? AND i.state IN ('waiting', 'playing')",
            (judge,),
        ).fetchall():
            _end(connection, place, round_, now, seconds)


def _end(connection: sqlite3.Connection, place: int, round_: int, now: float, seconds: float) -> None:
    connection.execute(
        "UPDATE inquiry SET state = 'failed', since = min(?, at + ?) WHERE place = ? AND round = ?",
        (now, seconds, place, round_),
    )
    _cut_short(connection, place, round_)


def cut(debate: Transcript, round_: int) -> Transcript:
    """Return a debate as it was before a round."""
    turn = first_turn(debate, round_)
    return replace(
        debate,
        speeches=tuple(speech for speech in debate.speeches if speech.turn < turn),
        inquiries=tuple(inquiry for inquiry in debate.inquiries if inquiry.turn < turn),
    )


def _cut_short(connection: sqlite3.Connection, place: int, round_: int) -> None:
    """Give a place whose debate ended before anything was played a debate of its own: a verdict on a part of the stored
    one is none on the whole."""
    if read(connection, place) is None:
        (stored,) = connection.execute(
            "SELECT d.transcript FROM place p JOIN debate d ON d.id = p.debate WHERE p.id = ?", (place,)
        ).fetchone()
        shown = cut(_read(stored), round_)
        connection.execute(
            "INSERT INTO live (place, shown, transcript) VALUES (?, ?, ?)",
            (place, id_of(shown), json.dumps(transcripts.to_json(shown))),
        )


def beat(connection: sqlite3.Connection, now: float) -> None:
    """Note that a player is there."""
    connection.execute(
        "INSERT INTO setting VALUES (?, ?) ON CONFLICT (key) DO UPDATE SET value = excluded.value", (_HEARD, str(now))
    )


def is_wanted(connection: sqlite3.Connection) -> bool:
    """Return whether any round is to be played, perhaps by another player; a look that keeps no writer waiting."""
    found = connection.execute(
        "SELECT 1 FROM inquiry i JOIN place p ON p.id = i.place "
        "WHERE i.state IN ('waiting', 'playing') AND p.state = 'open'"
    ).fetchone()
    return found is not None


def lease(connection: sqlite3.Connection, now: float, seconds: float, loaded: int | None = None) -> Work | None:
    """Take a round to play, for `LEASE` seconds: the one that has waited longest, but those of the condition that is
    `loaded` first while nobody has waited half of the `seconds` that judges are to wait. None where nobody waits."""
    free = "(i.state = 'waiting' OR (i.state = 'playing' AND i.since <= :over))"
    values = {"over": now - LEASE, "now": now, "late": now - seconds / 2, "loaded": loaded, "tries": TRIES}
    with transaction(connection):
        for row in connection.execute(
            f"SELECT place, round FROM inquiry i WHERE {free} AND i.tries >= :tries", values
        ).fetchall():
            _end(connection, row["place"], row["round"], now, seconds)
        found = connection.execute(
            "SELECT i.place, i.round, i.text, i.tries, d.condition, d.shown, c.run, c.checkpoint, y.transcript "
            "FROM inquiry i JOIN place p ON p.id = i.place JOIN debate d ON d.id = p.debate "
            "JOIN condition c ON c.id = d.condition LEFT JOIN played y ON y.place = i.place "
            f"WHERE {free} AND p.state = 'open' "
            "ORDER BY i.at <= :late DESC, CASE WHEN i.at > :late THEN d.condition IS :loaded END DESC, i.at, i.place "
            "LIMIT 1",
            values,
        ).fetchone()
        if found is None:
            return None
        connection.execute(
            "UPDATE inquiry SET state = 'playing', since = ?, tries = tries + 1 WHERE place = ? AND round = ?",
            (now, found["place"], found["round"]),
        )
    return Work(
        found["place"],
        found["round"],
        found["text"],
        found["tries"] + 1,
        found["condition"],
        found["run"],
        found["checkpoint"],
        found["shown"],
        found["transcript"] and _read(found["transcript"]),
    )


def renew(connection: sqlite3.Connection, work: Work, now: float) -> None:
    """Let a lease last: its player is at work."""
    connection.execute(f"UPDATE inquiry SET since = ? WHERE {_MINE}", (now, work.place, work.round, work.lease))


def keep(connection: sqlite3.Connection, work: Work, played: Transcript, now: float, seconds: float) -> bool:
    """Keep a debate with its new round, and return whether that was still wanted: the judge may have gone on, and a
    player whose lease ran out comes too late."""
    with transaction(connection):
        if not _over(connection, work, "done", now, seconds):
            return False
        shown = bare(played)
        connection.execute(
            "INSERT INTO live (place, shown, transcript) VALUES (?, ?, ?) ON CONFLICT (place) "
            "DO UPDATE SET shown = excluded.shown, transcript = excluded.transcript",
            (work.place, id_of(shown), json.dumps(transcripts.to_json(shown))),
        )
        connection.execute(
            "INSERT INTO played (place, transcript) VALUES (?, ?) ON CONFLICT (place) "
            "DO UPDATE SET transcript = excluded.transcript",
            (work.place, json.dumps(transcripts.to_json(played))),
        )
    return True


def fail(connection: sqlite3.Connection, work: Work, now: float, seconds: float) -> None:
    """End a debate whose next round cannot be played."""
    with transaction(connection):
        if _over(connection, work, "failed", now, seconds):
            _cut_short(connection, work.place, work.round)


_MINE = "place = ? AND round = ? AND tries = ? AND state = 'playing'"


def _over(connection: sqlite3.Connection, work: Work, state: str, now: float, seconds: float) -> bool:
    done = connection.execute(
        f"UPDATE inquiry SET state = ?, since = min(?, at + ?) WHERE {_MINE}",
        (state, now, seconds, work.place, work.round, work.lease),
    )
    return done.rowcount == 1


def read(connection: sqlite3.Connection, place: int) -> Transcript | None:
    """Return a place's own debate as far as it went; None where it is the stored one."""
    found = connection.execute("SELECT transcript FROM live WHERE place = ?", (place,)).fetchone()
    return found and _read(found["transcript"])


def rounds_read(connection: sqlite3.Connection, place: int, stored: Transcript) -> list[Round] | None:
    """Return the rounds that a place's judge could read; None where they are those of the stored debate."""
    own, last = read(connection, place), ended(connection, place)
    return None if own is None and last is None else rounds_of(own or stored)[:last]


def _read(text: str) -> Transcript:
    record = transcripts.from_json(json.loads(text))
    if not isinstance(record, Transcript):
        raise StudyError("The study's database holds what is no debate: restore it from a copy.", "damaged")
    return record
