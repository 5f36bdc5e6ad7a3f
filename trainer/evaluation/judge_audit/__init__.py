"""The audit of judges: every judge of a configuration reads the same labelled debates, and one table compares them.

Belongs to evaluation: gold labels are read here, and nothing of what is found reaches training but whether it passed.
"""

import json
from collections import Counter
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

import numpy as np

from rostrum.envs.files import write_atomically
from rostrum.rewards.audit.accuracy import contrast
from rostrum.rewards.audit.agreement import agreement
from rostrum.rewards.audit.gate import gate, passes
from rostrum.rewards.audit.ratings import Rating
from rostrum.rewards.audit.routing import Routed
from rostrum.rewards.audit.sections import Case, findings, plain
from rostrum.rewards.audit.table import Table, read
from rostrum.rewards.judges import JudgeSettings, cascade
from rostrum.rewards.labelled import Labelled
from rostrum.rewards.trial import shown
from rostrum.trainer import setup
from rostrum.trainer.config import Config
from rostrum.trainer.evaluation.judge_audit.arms import arms
from rostrum.trainer.evaluation.judge_audit.audited_debates import debates, ratings
from rostrum.trainer.store.judge_identity import fingerprint, identity
from rostrum.trainer.stored_judge import BATCH, VERDICTS, StoredJudge

SCHEMA_VERSION = 1


def audit_judges(settings: Config) -> dict[str, Any]:
    """Audit the configured judge and the held-out ones; write audit.json, debates.jsonl and verdicts.jsonl.

    Verdicts that are in the output folder already are not asked for again.
    """
    folder = settings.output
    played = debates(settings, folder / "debates.jsonl")
    rated, stored_ratings = ratings(settings, played)
    rows, tables = list[dict[str, Any]](), list[Table]()
    for role, judge in arms(settings):
        row, table = _arm(settings, role, judge, played, rated)
        tables.append(table)
        rows.append({**row, "more_right_than_first": plain(contrast(table, tables[0])) if rows else None})
    record = {
        "schema_version": SCHEMA_VERSION,
        "created": datetime.now(UTC).isoformat(timespec="seconds"),
        "debates": _about(settings, played),
        "options": settings.audit.model_dump(mode="json"),
        "arms": rows,
        "stored_ratings": _stored(stored_ratings),
    }
    write_atomically(folder / "audit.json", json.dumps(record, indent=1, ensure_ascii=False, allow_nan=False))
    return record


def _arm(
    settings: Config, role: str, chosen: JudgeSettings, played: Sequence[Labelled], rated: Sequence[Rating]
) -> tuple[dict[str, Any], Table]:
    """Return one judge's row with all that its sections found, and its verdicts."""
    who = identity(chosen)
    judge = _asked(settings, chosen)
    table = read(judge, played)
    cost = judge.cost([debate.transcript for debate in played])
    found = findings(Case(judge, played, table, cost, settings.audit, rated, _routed(settings, chosen, played)))
    checks = gate(found, settings.audit.thresholds)
    said = judge.judge([debate.transcript for debate in played])
    unreadable = next((shown(verdict.unreadable) for verdict in said if verdict.unreadable), "")
    row = {
        "name": chosen.name,
        "role": role,
        "judge": who,
        "passed": bool(table.valid.any()) and passes(checks),
        "unmeasured": _unmeasured(chosen.name, table, unreadable),
        "unreadable": unreadable,
        "checks": plain(checks),
        "found": found,
    }
    return row, table


def _unmeasured(name: str, table: Table, unreadable: str) -> str | None:
    """Return why nothing could be measured of a judge, in a sentence; None if it gave any valid verdict."""
    if table.valid.any():
        return None
    ((reason, _),) = Counter(table.reason.tolist()).most_common(1)
    wrote = f" One of its texts: {unreadable!r}" if unreadable else ""
    return (
        f"Nothing could be measured of {name}: none of its {len(table)} verdicts is valid, most often because {reason}."
        f"{wrote}"
    )


def _asked(settings: Config, chosen: JudgeSettings) -> StoredJudge:
    """Return the judge with whatever it has said before. A person is asked about one debate at a time."""
    stored, batch = settings.output / VERDICTS, BATCH if chosen.needs() else 1
    return StoredJudge(setup.judge(chosen, settings), fingerprint(identity(chosen)), stored, batch)


def _routed(settings: Config, chosen: JudgeSettings, played: Sequence[Labelled]) -> Routed | None:
    """Return what the two judges of a cascade say of all debates; None for any other judge."""
    if not isinstance(chosen, cascade.Settings):
        return None
    transcripts = [debate.transcript for debate in played]
    first, second = (_asked(settings, judge) for judge in (chosen.first, chosen.second))
    verdicts = first.judge(transcripts), second.judge(transcripts)
    return Routed(*verdicts, (first.cost(transcripts), second.cost(transcripts)), chosen.margin)


def _about(settings: Config, played: Sequence[Labelled]) -> dict[str, Any]:
    source = settings.audit.debates
    return {
        "n": len(played),
        "stories": len({debate.transcript.question.story_id for debate in played}),
        "source": f"a study of people ({settings.people.study})"
        if source is None and settings.people.study is not None
        else f"{settings.debater.model} against itself on held-out questions"
        if source is None
        else source.name,
        "protocol": ", ".join(sorted({debate.transcript.protocol.name for debate in played})),
    }


def _stored(pairs: Sequence[Rating]) -> Any:
    """Return the agreement of ratings that came with a judge's; None if there are none."""
    if not pairs:
        return None
    columns = ([pair.human for pair in pairs], [pair.judge for pair in pairs])
    return plain(agreement(*(np.array(column, dtype=np.int64) for column in columns)))
