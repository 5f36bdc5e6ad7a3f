"""Whether a run's figures follow from its stored verdicts, and whether what lies there is what its manifest records."""

import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import pandas as pd

from trainer import frozen, provenance
from trainer.config import Config
from trainer.evidence import lock
from trainer.evidence.experiment import summary_of
from trainer.run_folder import read_record

TOLERANCE = 1.5e-6
"""Between stored and recomputed figures, which are rounded to six decimals."""


@dataclass(frozen=True, slots=True)
class Finding:
    """What came of one check."""

    result: Literal["matches", "differs", "not recorded"]
    sentence: str


def verify(run: Path, config: Config, tested: Config) -> Iterator[Finding]:
    """The findings about a run folder, or the folder of an experiment without its arms.

    `config` is what it was made with, `tested` what it was evaluated with, which may name other questions and judges.
    """
    manifest = read_record(run / "manifest.json")
    evaluated = manifest.get("evaluated", {})
    yield from _figures(run)
    yield _compared(
        "the verdicts", evaluated.get("verdicts"), lambda: provenance.verdicts_hash(_verdicts(run)), "verdicts.parquet"
    )
    yield _compared("the configuration", manifest.get("config_hash"), lambda: provenance.saved_config_hash(run))
    yield _compared("the questions", manifest.get("questions"), lambda: provenance.question_hashes(config.questions))
    yield _compared(
        "the test questions", evaluated.get("questions"),
        lambda: provenance.question_hashes(tested.questions)["heldout"],
    )  # fmt: skip
    yield _compared("the judges' weights", manifest.get("judges"), lambda: frozen.hashes(config.judges))
    yield _compared("the judges at the test", evaluated.get("judges"), lambda: frozen.hashes(tested.judges))
    yield _compared(
        "the debater's weights", manifest.get("debater"),
        lambda: {config.debater.model: frozen.model_hash(config.debater.model)},
    )  # fmt: skip
    yield _plan(run, manifest)


def _figures(run: Path) -> Iterator[Finding]:
    stored, path = read_record(run / "summary.json"), run / "summary.json"
    if not stored:
        yield Finding("not recorded", f"{path}: there is no summary; `rostrum report run={run}` writes it.")
        return
    differing = list(_differences(stored, summary_of(run)))
    for where, was, found in differing[:5]:
        yield Finding("differs", f"{path}: {where} is {was}, and {found} by the stored verdicts.")
    if len(differing) > 5:
        yield Finding("differs", f"{path}: so do {len(differing) - 5} more figures.")
    if not differing:
        yield Finding("matches", f"{path}: every figure follows from the stored verdicts.")


def _compared(what: str, recorded: Any, now: Callable[[], Any], name: str = "") -> Finding:
    """A recorded hash, or mapping of them, against what is there now."""
    if recorded is None:
        return Finding("not recorded", f"{what}: the manifest has no hash of them.")
    try:
        found = now()
    except (OSError, ValueError) as error:  # what is gone cannot be compared, and the other checks are to be made
        return Finding("differs", f"{what}: cannot be read any more ({' '.join(str(error).split())}).")
    differing = sorted(_paths(recorded, found))
    if differing:
        where = f" ({', '.join(filter(None, differing))})" if any(differing) else ""
        return Finding("differs", f"{what}{f' ({name})' if name else ''}: not what the manifest records{where}.")
    return Finding("matches", f"{what}: as the manifest records.")


def _plan(run: Path, manifest: Mapping[str, Any]) -> Finding:
    recorded, what = manifest.get("lock"), f"the plan ({lock.NAME})"
    try:
        now = lock.current_hash(run)
        home = lock.governing(run)
        chain = [entry.hash for entry in lock.read(home)] if home else []
    except lock.LockError as error:
        return Finding("differs", f"{what}: {error}")
    if recorded is None and now is None:
        return Finding("matches", f"{what}: nothing was declared, and nothing is.")
    if recorded is None:
        return Finding("differs", f"{what}: it was written after the run was begun.")
    if now is None:
        return Finding("differs", f"{what}: the run was begun under one that is gone.")
    if recorded == now:
        return Finding("matches", f"{what}: as the manifest records.")
    return Finding("differs", f"{what}: {'amended after the run was begun' if recorded in chain else 'another one'}.")


def _differences(stored: Any, found: Any, where: str = "") -> Iterator[tuple[str, Any, Any]]:
    """Every stored value that is another now, with its place. What an earlier release did not store is passed over."""
    if isinstance(stored, Mapping) and isinstance(found, Mapping):
        for key, value in stored.items():
            yield from _differences(value, found.get(key), f"{where}.{key}" if where else key)
    elif isinstance(stored, list) and isinstance(found, list) and len(stored) == len(found):
        for index, (one, other) in enumerate(zip(stored, found, strict=True)):
            named = one.get("name") or one.get("judge") or one.get("checkpoint") if isinstance(one, Mapping) else None
            yield from _differences(one, other, f"{where}[{named or index}]")
    elif isinstance(stored, float | int) and isinstance(found, float | int):
        if abs(stored - found) > TOLERANCE:
            yield where, stored, found
    elif stored != found:
        yield where, _short(stored), _short(found)


def _paths(recorded: Any, found: Any, where: str = "") -> Iterator[str]:
    if isinstance(recorded, Mapping) and isinstance(found, Mapping):
        for key in {**recorded, **found}:
            yield from _paths(recorded.get(key), found.get(key), f"{where}: {key}" if where else str(key))
    elif recorded != found:
        yield where


def _short(value: Any) -> str:
    text = json.dumps(value, ensure_ascii=False)
    return text if len(text) <= 80 else f"{text[:77]}..."


def _verdicts(run: Path) -> pd.DataFrame:
    return pd.read_parquet(run / "verdicts.parquet")
