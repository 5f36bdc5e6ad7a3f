"""A stored debate as people read it: which debate it is, what of it is kept, and where its rounds end."""

from collections.abc import Sequence
from dataclasses import replace

from rostrum.envs.fingerprints import record_hash
from rostrum.envs.types import Inquiry, Speech, Transcript


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
