"""A stored debate as people read it: which debate it is, what of it is kept, and where its rounds end."""

import json
import sqlite3
from collections.abc import Iterable, Sequence
from dataclasses import replace

from rostrum.envs.fingerprints import record_hash
from rostrum.envs.transcripts import to_json
from rostrum.envs.types import Inquiry, Speech, Transcript
from rostrum.rewards.people import controls
from rostrum.rewards.people.database import transaction


def id_of(transcript: Transcript) -> str:
    """Return a hash of what a reader is shown: question, answers, speeches and the judge's questions, and the passage
    where the protocol shows it. Who played and how, tokens and private thoughts do not count."""
    asked, protocol = transcript.question, transcript.protocol
    shown = {
        "question": [asked.id, asked.story_id, asked.text, *transcript.answers],
        "passage": asked.passage if protocol.judge_sees_passage else "",
        "speeches": [[transcript.label(each), each.side, each.turn, each.text] for each in transcript.speeches],
        "inquiries": [[each.turn, each.text] for each in transcript.inquiries],
    }
    return record_hash(shown)[:24]


def bare(transcript: Transcript) -> Transcript:
    """Return the debate without what nobody may be shown: who spoke, tokens, drafts, private thoughts, provenance."""
    return replace(transcript, speeches=tuple(map(_bare, transcript.speeches)), provenance={})


def _bare(speech: Speech) -> Speech:
    return replace(speech, raw="", private="", policy="", policy_version=0, token_ids=(), logprobs=(), neutralised={})


_WANTED = "wanted"


def want(connection: sqlite3.Connection, verdicts: int) -> None:
    """Set how many verdicts are wanted on each debate that is put into a study which has none of its own."""
    controls.put(connection, _WANTED, str(verdicts))


def put(connection: sqlite3.Connection, asked: Iterable[Transcript]) -> None:
    """Add debates to the main phase of a study, for its people to judge; those that are there are left as they are.
    They belong to no condition, and nobody has said which answer is right."""
    with transaction(connection):
        (wanted,) = connection.execute(
            "SELECT coalesce(max(wanted), (SELECT CAST(value AS INTEGER) FROM setting WHERE key = ?), 1) FROM debate "
            "WHERE phase = 'main'",
            (_WANTED,),
        ).fetchone()
        for transcript in (one for one in asked if one.speeches):
            shown, question = id_of(transcript), transcript.question
            connection.execute(
                "INSERT INTO debate (shown, phase, question, story, transcript, wanted) SELECT ?, 'main', ?, ?, ?, ? "
                "WHERE NOT EXISTS (SELECT 1 FROM debate WHERE shown = ?)",
                (shown, question.id, question.story_id, json.dumps(to_json(bare(transcript))), wanted, shown),
            )


Round = tuple[Sequence[Inquiry], Sequence[Speech]]
"""What the judge asked before a round, and what was said in it."""


def rounds_of(transcript: Transcript) -> list[Round]:
    """Return the debate cut into rounds, after each of which a judge who reads step by step gives a probability."""
    turns = len(transcript.protocol.order())
    each = max(1, turns // max(1, transcript.protocol.rounds)) if not transcript.protocol.turns else 1
    found: list[Round] = []
    for begin in range(0, turns, each):
        asked = [inquiry for inquiry in transcript.inquiries if begin <= inquiry.turn < begin + each]
        said = [speech for speech in transcript.speeches if begin <= speech.turn < begin + each]
        found.append((asked, said))
    return found
