"""Whether a run's files are those that were recorded, whether its figures follow from its stored verdicts, and whether
it was made with what its manifest records."""

import json
import math
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import pandas as pd

from rostrum.trainer.config import Config
from rostrum.trainer.evaluation.preregistration import hashes, lock
from rostrum.trainer.evaluation.preregistration.experiment import arms_of, summary_of
from rostrum.trainer.evaluation.verdict_table import read_verdicts
from rostrum.trainer.store import frozen, provenance
from rostrum.trainer.store.run_folder import read_record

TOLERANCE = 1.5e-6
"""Between stored and recomputed figures, which are rounded to six decimals."""
SHOWN = 20
"""Changed files that are named one by one."""
SAID = {"changed": "not the file that was recorded", "missing": "is gone", "added": "was added after the rest"}


@dataclass(frozen=True, slots=True)
class Finding:
    """What came of one check."""

    result: Literal["matches", "differs", "not recorded"]
    sentence: str


@dataclass(frozen=True, slots=True)
class Files:
    """A folder's files against its hashes.json."""

    findings: tuple[Finding, ...]
    recorded: bool
    """Whether there are hashes; runs of earlier releases have none."""
    altered: frozenset[str] | None = frozenset()
    """Paths of files that are not as recorded; None if the hashes cannot be trusted, and so no file."""

    def intact(self, name: str) -> bool:
        """Return whether nothing is known against a file."""
        return self.altered is not None and name not in self.altered


def files(folder: Path, root: str | None = None) -> Files:
    """Compare every file with its hash, and the hash over all of them with `root`, if that is given."""
    if not hashes.has(folder):
        return Files((_without_hashes(folder, root),), recorded=False)
    try:
        changes, now = hashes.changes(folder), hashes.root_of(recorded := hashes.read(folder))
    except hashes.HashesError as error:
        return Files((Finding("differs", str(error)),), recorded=True, altered=None)
    findings = list(_changed(folder, changes))
    if root is not None and root != now:
        findings.append(Finding("differs", f"{folder}: the root hash is {now}, and not the one that was given."))
    elif not any(change.matters for change in changes):
        whose = "the one that was given" if root else now
        said = f"{folder}: {len(recorded)} files are as recorded; the root hash is {whose}."
        findings.append(Finding("matches", said))
    return Files(tuple(findings), recorded=True, altered=frozenset(change.path for change in changes))


def _changed(folder: Path, changes: list[hashes.Change]) -> Iterator[Finding]:
    for change in changes[:SHOWN]:
        yield Finding("differs" if change.matters else "not recorded", f"{folder / change.path}: {SAID[change.kind]}.")
    if rest := changes[SHOWN:]:
        result: Literal["differs", "not recorded"] = "differs" if any(c.matters for c in rest) else "not recorded"
        yield Finding(result, f"{folder}: so are {len(rest)} more files.")


def _without_hashes(folder: Path, root: str | None) -> Finding:
    evaluated = read_record(folder / "manifest.json").get("evaluated")
    if root is not None or (isinstance(evaluated, Mapping) and "hashes" in evaluated):
        return Finding("differs", f"{folder / hashes.NAME}: is gone.")
    return Finding("not recorded", f"{folder}: its files have no hashes, as it was made by an earlier release.")


def verify(run: Path, config: Config, tested: Config, found: Files) -> Iterator[Finding]:
    """Yield the findings about a run folder, or the folder of an experiment without its arms; what has been altered is
    not read again.

    `config` is what it was made with, `tested` what it was evaluated with, which may name other questions and judges.
    """
    if found.intact("verdicts.parquet") and all(hashes.intact(arm, "manifest.json") for arm in arms_of(run).values()):
        yield from _figures(run, strict=found.recorded)
    else:
        yield Finding("not recorded", f"{run / 'summary.json'}: not compared with what is not as recorded.")
    if not found.intact("manifest.json"):
        yield Finding("not recorded", f"{run / 'manifest.json'}: nothing is compared with it, as it was altered.")
        return
    manifest = read_record(run / "manifest.json")
    evaluated = manifest.get("evaluated", {})
    if found.intact("verdicts.parquet"):
        yield _compared(
            "the verdicts",
            evaluated.get("verdicts"),
            lambda: provenance.verdicts_hash(_verdicts(run)),
            "verdicts.parquet",
        )
    recorded = manifest.get("config_hash")
    yield _compared("the configuration", recorded, lambda: provenance.saved_config_hash(run, recorded))
    yield _compared("the questions", manifest.get("questions"), lambda: provenance.question_hashes(config.questions))
    yield _compared(
        "the test questions",
        evaluated.get("questions"),
        lambda: provenance.question_hashes(tested.test_questions)["heldout"],
    )
    yield _compared("the judges' weights", manifest.get("judges"), lambda: frozen.hashes(config.judges))
    yield _compared("the judges at the test", evaluated.get("judges"), lambda: frozen.hashes(tested.judges))
    yield _compared(
        "the debater's weights",
        manifest.get("debater"),
        lambda: {debater.model: frozen.model_hash(debater.model) for debater in config.debaters},
    )
    yield _plan(run, manifest)


def _figures(run: Path, strict: bool) -> Iterator[Finding]:
    path = run / "summary.json"
    try:
        stored = read_record(path)
    except (ValueError, TypeError):
        yield Finding("differs", f"{path}: is no summary.")
        return
    if not stored:
        yield Finding("not recorded", f"{path}: there is no summary; `rostrum report run={run}` writes it.")
        return
    differing = list(_differences(stored, summary_of(run).stored(), strict))
    for where, was, now in differing[:5]:
        yield Finding("differs", f"{path}: {where} is {was}, and {now} by the stored verdicts.")
    if len(differing) > 5:
        yield Finding("differs", f"{path}: so do {len(differing) - 5} more figures.")
    if not differing:
        yield Finding("matches", f"{path}: every figure follows from the stored verdicts.")


def _compared(what: str, recorded: Any, now: Callable[[], Any], name: str = "") -> Finding:
    """Compare a recorded hash, or mapping of them, with what is there now."""
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


def _differences(stored: Any, found: Any, strict: bool, where: str = "") -> Iterator[tuple[str, Any, Any]]:
    """Yield every stored value that is another now, with its place. Unless `strict`, what an earlier release did not
    store is passed over."""
    if isinstance(stored, Mapping) and isinstance(found, Mapping):
        for key in [*stored, *(key for key in found if strict and key not in stored)]:
            inner = f"{where}.{key}" if where else key
            if key in stored and key in found:
                yield from _differences(stored[key], found[key], strict, inner)
            elif key in stored:
                yield inner, _short(stored[key]), "nothing"
            else:
                yield inner, "left out", _short(found[key])
    elif isinstance(stored, list) and isinstance(found, list) and len(stored) == len(found):
        for index, (one, other) in enumerate(zip(stored, found, strict=True)):
            named = one.get("name") or one.get("judge") or one.get("checkpoint") if isinstance(one, Mapping) else None
            yield from _differences(one, other, strict, f"{where}[{named or index}]")
    elif _is_number(stored) and _is_number(found):
        if math.isnan(stored) or abs(stored - found) > TOLERANCE:
            yield where, stored, found
    elif type(stored) is not type(found) or stored != found:
        yield where, _short(stored), _short(found)


def _is_number(value: Any) -> bool:
    return isinstance(value, float | int) and not isinstance(value, bool)


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
    return read_verdicts(run / "verdicts.parquet")
