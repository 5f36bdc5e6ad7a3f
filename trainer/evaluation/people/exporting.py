"""Writes a study's verdicts, steps, judges, debates and messages as tables, without names, contacts and outside ids."""

import csv
import hashlib
import hmac
import json
import re
import secrets
import sqlite3
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pandas as pd

from rostrum.envs.files import write_atomically
from rostrum.rewards.people.database import transaction
from rostrum.rewards.people.pay import PAID, SECONDS
from rostrum.trainer.store.tables import write_parquet

GONE = "[removed]"
FORMULA = ("=", "+", "-", "@", "＝", "＋", "－", "＠")
"""What a spreadsheet takes a cell for a formula by."""
SHORTEST = 3
"""Characters of a name, contact or outside id that is looked for in what people wrote."""
_CONDITION = "c.run, c.checkpoint, c.matchup, c.protocol"
TABLES: Mapping[str, str] = {
    "verdicts": f"""
SELECT p.judge, d.id AS debate, d.phase, {_CONDITION}, d.question, d.story, p.state = 'done' AS counts, p.guidelines,
       p.first AS shown_first, v.p AS p_a, a.correct,
       CASE a.correct WHEN 'A' THEN v.p WHEN 'B' THEN 1 - v.p END AS p_right,
       v.also, v.explanation, v.active AS active_seconds, v.on_page AS page_seconds, {SECONDS} AS seconds_with_rounds,
       p.given, v.at, l.transcript AS live_transcript
FROM verdict v JOIN place p ON p.id = v.place JOIN debate d ON d.id = p.debate LEFT JOIN answer a ON a.debate = d.id
     LEFT JOIN condition c ON c.id = d.condition LEFT JOIN live l ON l.place = p.id
""",
    "steps": """
SELECT p.judge, d.id AS debate, d.phase, s.round, s.p AS p_a, s.active AS active_seconds, s.on_page AS page_seconds,
       s.at
FROM step s JOIN place p ON p.id = s.place JOIN debate d ON d.id = p.debate
""",
    "judges": f"""
SELECT j.id AS judge, j.state, j.reason, j.tags, j.joined, j.seen, s.fields AS survey,
       (SELECT coalesce(sum({PAID}), 0) FROM place p LEFT JOIN verdict v ON v.place = p.id WHERE p.judge = j.id)
       AS paid_seconds
FROM judge j LEFT JOIN survey s ON s.judge = j.id
""",
    "debates": f"""
SELECT d.id AS debate, d.shown, d.phase, {_CONDITION}, d.question, d.story, d.wanted, a.correct, j.p AS decided_p_a,
       j.explanation AS decided_because, d.transcript
FROM debate d LEFT JOIN answer a ON a.debate = d.id LEFT JOIN condition c ON c.id = d.condition
     LEFT JOIN adjudication j ON j.debate = d.id
""",
    "messages": """
SELECT m.judge, m.sender, p.debate, m.text, m.at, m.read FROM message m LEFT JOIN place p ON p.id = m.place
""",
}
ORDER: Mapping[str, Sequence[str]] = {
    "verdicts": ("judge", "debate"),
    "steps": ("judge", "debate", "round"),
    "judges": ("judge",),
    "debates": ("debate",),
    "messages": ("judge", "at"),
}


WRITTEN = ("explanation", "reason", "decided_because", "text")
"""Columns of what people wrote."""
COLUMNS: Mapping[str, str] = {
    "active_seconds": "seconds less idle times and hidden tabs; empty without a script",
    "also": "what other scales of the form were given, as JSON",
    "at": "when it came, in seconds since 1970",
    "checkpoint": "whose debate it is",
    "correct": "which side defends the right answer; empty of a queue's debates, of which nobody knows it",
    "counts": "1, or 0 where the place had been given to somebody else when the verdict came",
    "debate": "the number of the debate in the study",
    "decided_because": "the researcher's reason",
    "decided_p_a": "P(answer of side A) that a researcher decided on",
    "explanation": "why, in the judge's words",
    "given": "when the debate was given out, in seconds since 1970",
    "guidelines": "the version that the judge had read",
    "joined": "when the judge consented, in seconds since 1970",
    "judge": "a pseudonym",
    "live_transcript": "the debate as this judge asked and read it, where it was live, as JSON",
    "matchup": "who argued against whom",
    "p_a": "P(answer of side A)",
    "p_right": "P(right answer)",
    "page_seconds": "seconds between page and form, by the server's clock",
    "paid_seconds": "all seconds that are paid: of verdicts, of debates that were begun and not finished, of waiting",
    "phase": "practice, qualification, main phase or gold item",
    "protocol": "the protocol of the debate",
    "question": "the question's id",
    "read": "when the other side opened it, in seconds since 1970",
    "reason": "why the judge was stopped",
    "round": "after which round, from 0",
    "run": "which run the debate is of",
    "seconds_with_rounds": "seconds of all rounds, active where they were counted",
    "seen": "when the judge was last there, in seconds since 1970",
    "sender": "judge or researcher",
    "shown": "a hash of what is read",
    "shown_first": "which side's answer the judge saw first",
    "state": "where the judge is",
    "story": "the story's id",
    "survey": "what the judge said at the end, as JSON",
    "tags": "the judge's profile, as JSON",
    "text": "the message",
    "transcript": "the debate, as JSON",
    "wanted": "verdicts that are wanted on it",
}


def export(connection: sqlite3.Connection, folder: Path, keep_ids: bool = False) -> dict[str, int]:
    """Write each table as Parquet, CSV and JSON Lines; return how many rows each has.

    Judges get new pseudonyms, of a salt that is not kept, unless their ids are to be kept. Names, contacts and outside
    ids are not exported, and are taken out of what people wrote wherever they stand there as they are known.
    """
    with transaction(connection):  # all tables as of one moment
        cursors = {name: connection.execute(query) for name, query in TABLES.items()}
        columns = {name: [column for column, *_ in cursor.description] for name, cursor in cursors.items()}
        rows = {name: cursor.fetchall() for name, cursor in cursors.items()}
        judges = [judge for (judge,) in connection.execute("SELECT id FROM judge")]
        persons = connection.execute("SELECT * FROM person").fetchall()
    salt = secrets.token_bytes(32)
    names = {judge: judge if keep_ids else _pseudonym(judge, salt) for judge in judges}
    known = {said for row in persons for key, said in dict(row).items() if key != "judge" and isinstance(said, str)}
    clean = Cleaner(names, known)
    for name, found in rows.items():
        records = [clean.record(dict(row)) for row in found]
        records.sort(key=lambda record: tuple(record[key] for key in ORDER[name]))
        _write(folder, name, pd.DataFrame(records, columns=columns[name]), records)
    return {name: len(found) for name, found in rows.items()}


class Cleaner:
    """Takes ids and personal data out of texts."""

    def __init__(self, names: Mapping[str, str], known: set[str]) -> None:
        """Make it of the judges' pseudonyms by id, and what is known of persons."""
        self._names = {judge.lower(): name for judge, name in names.items()}
        longest_first = sorted((text for text in known if len(text.strip()) >= SHORTEST), key=len, reverse=True)
        parts = [re.escape(text.strip()) for text in (*longest_first, *sorted(names, key=len, reverse=True))]
        self._found = re.compile(rf"(?<!\w)(?:{'|'.join(parts)})(?!\w)", re.IGNORECASE) if parts else None

    def record(self, row: Mapping[str, Any]) -> dict[str, Any]:
        """Return a row of a table with the judge's pseudonym, and with texts that people wrote cleaned."""
        return {key: self._value(key, value) for key, value in row.items()}

    def text(self, written: str) -> str:
        """Return a text with ids of judges replaced by pseudonyms, and what else is known by `[removed]`."""
        if self._found is None:
            return written
        return self._found.sub(lambda found: self._names.get(found[0].lower(), GONE), written)

    def _value(self, key: str, value: Any) -> Any:
        if value is None or key not in ("judge", "survey", "live_transcript", *WRITTEN):
            return value
        if key == "judge":
            return self._names[value.lower()]
        if key in WRITTEN:
            return self.text(value)
        stored = json.loads(value)
        if key == "survey":
            stored = {name: self.text(said) if isinstance(said, str) else said for name, said in stored.items()}
        else:
            for inquiry in stored["record"].get("inquiries", ()):
                inquiry["text"] = self.text(inquiry["text"])
        return json.dumps(stored, ensure_ascii=False)


def _pseudonym(judge: str, salt: bytes) -> str:
    return f"person-{hmac.new(salt, judge.encode(), hashlib.sha256).hexdigest()[:12]}"


def _write(folder: Path, name: str, table: pd.DataFrame, records: Sequence[Mapping[str, Any]]) -> None:
    lines = "".join(json.dumps(record, ensure_ascii=False) + "\n" for record in records)
    write_atomically(folder / f"{name}.jsonl", lines)
    write_parquet(table, folder / f"{name}.parquet", COLUMNS)
    write_atomically(folder / f"{name}.csv", table.map(harmless).to_csv(index=False, quoting=csv.QUOTE_NONNUMERIC))


def harmless(cell: Any) -> Any:
    """Return a cell that no spreadsheet takes for a formula: with an apostrophe before what begins like one."""
    if isinstance(cell, str) and (cell.lstrip().startswith(FORMULA) or cell.startswith(("\t", "\r", "\n"))):
        return f"'{cell}"
    return cell
