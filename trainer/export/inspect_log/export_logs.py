"""Writes the logs of an evaluated run: one per arm, checkpoint and matchup."""

import io
import json
import re
import zipfile
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import pandas as pd

from rostrum.envs import transcripts
from rostrum.envs.files import make_folder, write_atomically
from rostrum.envs.types import Transcript
from rostrum.trainer.config import Config
from rostrum.trainer.evaluation.browsed import TRANSCRIPTS
from rostrum.trainer.evaluation.verdict_table import BASE, KINDS, SELF
from rostrum.trainer.export.inspect_log.log import Evaluated, header, run_identity
from rostrum.trainer.export.inspect_log.samples import Json, Log, sample, summary
from rostrum.trainer.reading import Open, read_table, valid

EPOCH = (1980, 1, 1, 0, 0, 0)
"""Time stamp of the files inside a log: the same evaluation always gives the same bytes."""
NEEDED = (
    "arm",
    "checkpoint",
    "matchup",
    "question_id",
    "story_id",
    "swapped_seats",
    "judge",
    "judge_role",
    "p_given",
    "p_swapped",
    "p_mean",
    "valid",
    "reason",
    "correct_seat",
    "checkpoint_seats",
    "words",
    "quotes",
    "verified_quotes",
)
"""Columns of the verdicts that a log is made of."""
DEBATE = ["checkpoint", "matchup", "question_id", "swapped_seats"]
"""What tells the debates of an arm apart."""


class _About(Open):
    """What is counted on in what is stored with a debate."""

    matchup: str


class ExportLogsError(ValueError):
    """A run whose debates cannot be exported; the message says what to do."""


def export_logs(settings: Config, manifest: Mapping[str, Any], output: Path) -> Iterator[Path]:
    """Write the logs of the run at `settings.output` into a folder, yielding each when it is there.

    Raises:
        ExportLogsError: the run has not been evaluated, or by a release that did not keep the transcripts.
    """
    run = settings.output
    parts, identity = _parts(run), run_identity(manifest)
    table = read_table(run / "verdicts.parquet", KINDS, NEEDED)
    arm = _arm(table, run)
    if "created" not in manifest:
        raise ExportLogsError(f"{run / 'manifest.json'} does not say when the run was made: restore it from a copy.")
    verdicts = dict(list(table[table["arm"] == arm].groupby(DEBATE)))
    make_folder(output)
    for part in parts:
        debates = [
            (debate, valid(about, _About, f"{part}, line {number},"))
            for number, (debate, about) in enumerate(transcripts.read_with_extra(part), 1)
        ]
        for matchup in dict.fromkeys(about["matchup"] for _, about in debates):
            of = Evaluated(arm, part.name.removesuffix(TRANSCRIPTS), matchup, identity)
            held = [debate for debate, about in debates if about["matchup"] == matchup]
            judged = [(debate, _rows(verdicts, of, debate, part)) for debate in held if isinstance(debate, Transcript)]
            if judged:
                yield _write(of, settings, manifest, judged, output)


def _arm(table: pd.DataFrame, run: Path) -> str:
    """Return the name under which the run was evaluated; its folder may have another one by now."""
    names = sorted(set(table["arm"]) - {""})
    if len(names) != 1:
        raise ExportLogsError(
            f"{run / 'verdicts.parquet'} holds verdicts on {len(names)} arms and a run is one: evaluate it again."
        )
    return str(names[0])


def _parts(run: Path) -> list[Path]:
    evaluated = (run / "verdicts.parquet").is_file()
    parts = sorted((run / "evaluation").glob(f"*{TRANSCRIPTS}"))
    if not evaluated or not parts:
        lacks = "has not been evaluated" if not evaluated else "kept no transcripts of its evaluation"
        raise ExportLogsError(f"{run} {lacks}: run `rostrum evaluate run={run}` first.")
    return parts


def _rows(verdicts: Mapping[Any, pd.DataFrame], of: Evaluated, debate: Transcript, part: Path) -> pd.DataFrame:
    key = (of.checkpoint, of.matchup, debate.question.id, debate.swapped_seats)
    if key not in verdicts:
        raise ExportLogsError(
            f"{part} holds a debate of {of.checkpoint} about {debate.question.id} that nobody has judged: run `rostrum "
            "evaluate` again, or take the file away."
        )
    return verdicts[key]


def _write(
    of: Evaluated,
    settings: Config,
    manifest: Mapping[str, Any],
    judged: Sequence[tuple[Transcript, pd.DataFrame]],
    output: Path,
) -> Path:
    """Write one log, which is there either whole or not at all."""
    model, base = f"{of.arm}/{of.checkpoint}", f"{of.arm}/{BASE}"
    opponent = model if of.matchup == SELF else base
    log_of = Log(of.id, str(manifest["created"]), model, opponent)
    samples = [sample(debate, rows.to_dict("records"), log_of) for debate, rows in judged]
    rows = pd.concat([rows for _, rows in judged])
    about = header(of, settings, manifest, rows, [made["id"] for made in samples], model)
    path = output / _name(of, str(manifest["created"]))
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as log:
        for made in samples:
            _add(log, f"samples/{made['id']}_epoch_{made['epoch']}.json", made)
        _add(log, "summaries.json", [summary(made) for made in samples])
        _add(log, "header.json", about)
    write_atomically(path, packed.getvalue())
    return path


def _add(log: zipfile.ZipFile, name: str, content: Json | list[Json]) -> None:
    entry = zipfile.ZipInfo(name, EPOCH)
    entry.compress_type = zipfile.ZIP_DEFLATED
    log.writestr(entry, json.dumps(content, ensure_ascii=False, allow_nan=False))


def _name(of: Evaluated, created: str) -> str:
    """Return a log's name as inspect_ai makes it: time, task and id."""
    task = re.sub(r"[^A-Za-z0-9-]+", "-", of.task)
    return f"{created.replace(':', '-')}_{task}_{of.id}.eval"
