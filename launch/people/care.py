"""How the care of judges is checked while they work, what follows, and the sentences that tell them so beforehand."""

import hashlib
import json
import random
import re
import sqlite3
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from rostrum.envs import transcripts
from rostrum.envs.types import Transcript
from rostrum.launch.people.wording import WORDS
from rostrum.rewards.people import quality
from rostrum.rewards.people.database import transaction
from rostrum.rewards.people.debates import rounds_of
from rostrum.trainer.config.people import People

CAREFUL: Sequence[quality.Kind] = ("attention", "time")
"""Checks that are warned of together."""
OTHERS = 12
"""Debates that are looked through for sentences that were not said."""
_TAG = re.compile("</?[vu]_quote>")
_END = re.compile(r"(?<=[.!?])\s+|\n+")


@dataclass(frozen=True, slots=True)
class Attention:
    """Three sentences, of which one was said in a round."""

    round: int
    """From 1."""
    sentences: Sequence[str]


def attention_is_due(judge: int, number: int, people: People) -> bool:
    """Return whether the debate of this number in the main phase asks what was said: one in so many, drawn for each
    judge by the order of joining."""
    if not people.attention_every:
        return False
    block, place = divmod(number - 1, people.attention_every)
    return place == _drawn(f"attention:{judge}:{block}", people.attention_every)


def attention(db: sqlite3.Connection, seed: str, debate: Transcript) -> tuple[Attention, int] | None:
    """Return a question about a debate and which of its sentences was said, the same for the same seed; None where
    there are no three sentences to choose from."""
    rng = random.Random(f"attention:{seed}")
    said = [[sentence for speech in of for sentence in _sentences(speech.text)] for _, of in rounds_of(debate)]
    everything = " ".join(_plain(speech.text) for speech in debate.speeches)
    once = [
        (number, sentence)
        for number, of in enumerate(said, 1)
        for sentence in of
        if not any(sentence in other for m, other in enumerate(said, 1) if m != number)
    ]
    if not once:
        return None
    number, true = rng.choice(once)
    ids = [n for (n,) in db.execute("SELECT id FROM debate WHERE question != ? ORDER BY id", (debate.question.id,))]
    strange: set[str] = set()
    for other in rng.sample(ids, min(OTHERS, len(ids))):
        (text,) = db.execute("SELECT transcript FROM debate WHERE id = ?", (other,)).fetchone()
        record = transcripts.from_json(json.loads(text))
        assert isinstance(record, Transcript)
        strange |= {each for speech in record.speeches for each in _sentences(speech.text) if each not in everything}
    if len(strange) < 2:
        return None
    three = [true, *rng.sample(sorted(strange), 2)]
    rng.shuffle(three)
    return Attention(number, three), three.index(true)


def gold_is_due(db: sqlite3.Connection, judge: str, people: People) -> bool:
    """Return whether a judge in the main phase is to be given a gold debate now: one in each `people.gold_every` of the
    others, at a place that is drawn for each judge."""
    given = {
        row["phase"]: row["n"]
        for row in db.execute(
            "SELECT d.phase, count(*) AS n FROM place p JOIN debate d ON d.id = p.debate "
            "WHERE p.judge = ? AND (d.phase = 'gold' OR d.phase = 'main' AND p.state IN ('done', 'late')) GROUP BY 1",
            (judge,),
        )
    }
    gold = given.get("gold", 0)
    if gold >= people.gold:
        return False
    (number,) = db.execute("SELECT number FROM judge WHERE id = ?", (judge,)).fetchone()
    drawn = 1 + _drawn(f"gold:{number}:{gold}", people.gold_every)
    return bool(given.get("main", 0) >= gold * people.gold_every + drawn)


def enforce(db: sqlite3.Connection, judge: str, place: int, people: People, now: float) -> None:
    """Carry out the rules on a judge who has just failed a check of a debate: warn or stop, as the guidelines say.

    Who failed nothing now is left alone: a researcher may have let in again who was stopped.
    """
    with transaction(db):
        (state,) = db.execute("SELECT state FROM judge WHERE id = ?", (judge,)).fetchone()
        rows = db.execute("SELECT kind FROM checked WHERE place = ? AND at = ? AND NOT passed", (place, now))
        new = {row["kind"] for row in rows}
        if not new or state not in ("training", "qualification", "main"):
            return
        failed: dict[str, int] = {}
        for kind in CAREFUL:
            n, passed = quality.counts(db, judge, kind)
            failed[kind] = n - passed
        gold, right = quality.counts(db, judge, "gold")
        told, total = WORDS["failed"].format(**failed), sum(failed.values())
        if new & set(CAREFUL) and total >= people.stop_after:
            quality.stop(db, judge, f"{WORDS['stopped_checks']} {told}")
        elif "gold" in new and gold >= people.gold_least and right < people.gold_accuracy * gold:
            quality.stop(db, judge, WORDS["stopped_gold"].format(right=right, n=gold))
        elif new & set(CAREFUL) and quality.warned(db, judge) <= total - people.warn_after:
            quality.warn(db, judge, f"{WORDS['warned']} {told} {WORDS['warned_stop'].format(n=people.stop_after)}", now)


def rules(people: People, comprehension: bool) -> Iterator[str]:
    """Yield what is checked and what follows, in sentences for the judge."""
    if comprehension:
        yield WORDS["rule_comprehension"]
    if people.qualification:
        accuracy, brier = people.qualify_accuracy, people.qualify_brier
        yield WORDS["rule_qualification"].format(n=people.qualification, accuracy=f"{accuracy:.0%}", brier=f"{brier:g}")
    if people.gold:
        yield WORDS["rule_gold"].format(accuracy=f"{people.gold_accuracy:.0%}", n=people.gold_least)
    if people.attention_every:
        yield WORDS["rule_attention"]
    if people.least_seconds:
        yield WORDS["rule_time"].format(seconds=f"{people.least_seconds:g}")
    if people.attention_every or people.least_seconds:
        yield WORDS["rule_stop"].format(warn=people.warn_after, stop=people.stop_after)
    yield WORDS[f"rule_feedback_{people.feedback}"]
    yield WORDS["rule_paid"]


def _drawn(key: str, among: int) -> int:
    return int(hashlib.sha256(key.encode()).hexdigest(), 16) % among


def _plain(text: str) -> str:
    return " ".join(_TAG.sub("", text).split())


def _sentences(text: str) -> list[str]:
    """Return the sentences of a speech that say enough to be known again."""
    found = [_plain(part) for part in _END.split(_TAG.sub("", text))]
    return [sentence for sentence in found if len(sentence.split()) >= 4 and len(sentence) <= 300]
