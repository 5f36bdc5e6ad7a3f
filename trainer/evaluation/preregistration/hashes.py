"""hashes.json: the SHA-256 of every file that a folder's figures follow from or are shown in, and one hash over all of
them, the root.

A folder inside with a hashes.json of its own (an arm, a tournament) is covered by that file's hash, so that the root of
an experiment covers its arms. What no figure follows from has no hash: logs, locks, what an endpoint was paid, the
state that a trainer goes on from, and the files of Weights & Biases.
"""

import hashlib
import json
import os
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from fnmatch import fnmatch
from pathlib import Path, PurePosixPath
from typing import Literal

from rostrum.envs.files import write_atomically

NAME = "hashes.json"
SCHEMA_VERSION = 1
ALL = ("*",)
REPORTED = ("summary.json", "people.json", "report.html", "pages/*", "figures/*", f"*/{NAME}")
"""What a report writes, and the tournaments that it shows."""
JOINED = ("verdicts.parquet", "debates.jsonl")
"""What the report of an experiment puts together from its arms."""
EVALUATED = (
    "manifest.json",
    "verdicts.parquet",
    "debates.jsonl",
    "attacks.jsonl",
    "training_accuracy.jsonl",
    "evaluation/*",
    "judging/*",
    "lengths/*",
    *REPORTED,
)
"""What an evaluation writes."""
_LEFT_OUT, _LEFT_OUT_OF_RUNS = ("*.sqlite", "*.sqlite-*", ".*"), ("trainer", "wandb", "wandb.json", "log.txt")
"""Names, of files and of folders."""
_OURS = ("arms", "cells", "debates", "evaluation", "figures", "judges", "judging", "lengths", "pages", "policies")
"""Folders whose files our commands read, whoever put them there."""
_READ = (".csv", ".html", ".json", ".jsonl", ".lock", ".parquet", ".yaml")
_HASH = re.compile(r"[0-9a-f]{64}")


class HashesError(ValueError):
    """Hashes that cannot be read or do not agree with the files; the message says what to do."""


@dataclass(frozen=True, slots=True)
class Change:
    """A file that is not as it was recorded."""

    path: str
    """In the folder, with slashes."""
    kind: Literal["changed", "missing", "added"]
    matters: bool = True
    """False for an added file that no command reads."""


def write(folder: Path, written: Sequence[str] = ALL) -> str:
    """Write hashes.json and return the root.

    `written` are the patterns of what the command that calls this has written. Of other files the recorded hashes stay
    as they are, so that no command passes off as its own what somebody changed before; what had no hash gets one.
    """
    before = read(folder) if has(folder) else {}
    kept = {path: value for path, value in before.items() if not _matches(path, written)}
    files = {path: kept.get(path) or _hash(folder / path) for path in covered(folder)} | kept
    files = dict(sorted(files.items()))
    write_atomically(folder / NAME, _text(files))
    return root_of(files)


def renew(folder: Path, written: Sequence[str]) -> str | None:
    """Write the hashes of a folder that has some again; None for one that has none, as those of earlier releases."""
    return write(folder, written) if has(folder) else None


def reported(experiment: bool) -> tuple[str, ...]:
    """Return what the report of a run, or of an experiment, is written into."""
    return (*REPORTED, *JOINED) if experiment else REPORTED


def has(folder: Path) -> bool:
    """Return whether a folder has hashes, be they readable or not."""
    return os.path.lexists(folder / NAME)


def read(folder: Path) -> dict[str, str]:
    """Return the recorded hashes by path.

    Raises:
        HashesError: the file is not what `write` wrote.
    """
    try:
        text = (folder / NAME).read_text("utf-8")
        files: dict[str, str] = dict(json.loads(text)["files"])
        whole = all(isinstance(value, str) and is_root(value) for value in files.values()) and text == _text(files)
    except (OSError, ValueError, LookupError, TypeError, AttributeError, RecursionError):
        whole = False
    if not whole:
        raise HashesError(f"{folder / NAME} is not as Rostrum wrote it: put it back, or evaluate the run again.")
    return files


def root_of(files: Mapping[str, str]) -> str:
    """Return the hash over paths and hashes, by path."""
    lines = (f"{value}  {path}\n" for path, value in sorted(files.items()))
    return hashlib.sha256("".join(lines).encode("utf-8", "surrogateescape")).hexdigest()


def is_root(text: str) -> bool:
    """Return whether a text is a hash as `root_of` returns it."""
    return _HASH.fullmatch(text) is not None


def changes(folder: Path) -> list[Change]:
    """Return what is not as recorded, by path.

    Raises:
        HashesError: the records themselves cannot be trusted.
    """
    recorded, there = read(folder), set(covered(folder))
    found = [Change(path, "added", _is_read(path)) for path in there - set(recorded)]
    for path, value in recorded.items():
        if path not in there:
            found.append(Change(path, "missing"))
        elif _hash(folder / path) != value:
            found.append(Change(path, "changed"))
    return sorted(found, key=lambda change: change.path)


def check(folder: Path, used: Sequence[str]) -> None:
    """Compare files that are about to be used again, and have a hash, with it.

    Raises:
        HashesError: one was changed since.
    """
    if not has(folder):
        return
    for path, value in read(folder).items():
        if _matches(path, used) and (folder / path).is_file() and _hash(folder / path) != value:
            raise HashesError(
                f"{folder / path} was changed since its hash was written into {NAME}: put it back, or remove "
                f"{(folder / path).parent} to have it made anew."
            )


def intact(folder: Path, name: str) -> bool:
    """Return whether nothing is known against one file: it has no hash, or the one that was recorded."""
    try:
        recorded = read(folder).get(name) if has(folder) else None
    except HashesError:
        return False
    path = folder / name
    return recorded is None or (path.is_file() and _hash(path) == recorded)


def covered(folder: Path) -> Iterator[str]:
    """Yield the files of a folder that have a hash, as paths in it."""
    return _covered(folder, PurePosixPath())


def nested(folder: Path) -> list[Path]:
    """Return the folders inside that have hashes of their own."""
    return [folder / PurePosixPath(path).parent for path in sorted(covered(folder)) if path.endswith(f"/{NAME}")]


def _text(files: Mapping[str, str]) -> str:
    return json.dumps({"schema_version": SCHEMA_VERSION, "root": root_of(files), "files": files}, indent=1) + "\n"


def _covered(folder: Path, inside: PurePosixPath) -> Iterator[str]:
    of_run = not inside.parts or (folder / "config.yaml").is_file()
    for path in sorted(folder.iterdir()):
        if _matches(path.name, (*_LEFT_OUT, *(_LEFT_OUT_OF_RUNS if of_run else ()))):
            continue
        if path.name == NAME and not inside.parts:
            continue
        if path.is_file():
            yield str(inside / path.name)
        elif (path / NAME).is_file():
            yield str(inside / path.name / NAME)
        elif path.is_dir() and not path.is_symlink():
            yield from _covered(path, inside / path.name)


def _matches(name: str, patterns: Sequence[str]) -> bool:
    return any(fnmatch(name, pattern) for pattern in patterns)


def _is_read(path: str) -> bool:
    parts = PurePosixPath(path).parts
    return parts[0] in _OURS or (len(parts) == 1 and path.endswith(_READ))


def _hash(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
