"""One hash for what a run was made with: questions as they were asked, and any record that JSON can hold."""

import hashlib
import json
from collections.abc import Sequence
from typing import Any

from rostrum.envs.types import AnswerKey, Question


def record_hash(record: Any) -> str:
    """Return the SHA-256 of a record of plain values; the order of keys does not count."""
    text = json.dumps(record, sort_keys=True, separators=(",", ":"), ensure_ascii=True, allow_nan=False)
    return hashlib.sha256(text.encode()).hexdigest()


def questions_hash(questions: Sequence[Question]) -> str:
    """Return the hash of a split as debaters get it: every question with its story, answers and passage, in this
    order."""
    return record_hash([[q.id, q.story_id, q.text, list(q.answers), q.passage] for q in questions])


def answers_hash(key: AnswerKey) -> str:
    """Return the hash of the right answers. For evaluation only, like the key itself."""
    return record_hash(sorted(key.correct.items()))
