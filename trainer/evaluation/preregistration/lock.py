"""protocol.lock: what an experiment is to be, declared before it is run.

A chain of entries, each with the hash of the one before it: the first is the plan, every other an amendment with its
date and reason. Nothing is ever edited; an entry that was is found out by its hash.
"""

import json
import os
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any

from pydantic import Field

from rostrum.envs.files import write_atomically
from rostrum.envs.fingerprints import record_hash
from rostrum.trainer.reading import DamagedError, Open, read_json

NAME = "protocol.lock"
SCHEMA_VERSION = 1


REMEDY = "it is not what `rostrum plan` wrote, so put it back, or plan in another folder"


class LockError(ValueError):
    """A protocol.lock that cannot be trusted; the message says what to do."""


class _Primary(Open):
    arm: str
    judge: str


class _Arm(Open):
    seed: int
    protocol: str
    iterations: int
    stop: str
    config_hash: str
    reward_judge: str
    heldout_judges: list[str]


class _Trained(Open):
    hash: str


class _Tested(Open):
    hash: str
    answers: str
    questions: int


class _Questions(Open):
    train: _Trained
    heldout: _Tested


class _Declared(Open):
    """What is counted on in a declaration."""

    primary: _Primary
    questions: _Questions
    judges: dict[str, dict[str, str]]
    debaters: dict[str, str]
    arms: dict[str, _Arm]


class Chained(Open):
    """An entry of a lock, whatever it declares."""

    at: str
    reason: str
    previous: str | None
    changes: list[str]
    hash: str


class _Entry(Chained):
    declared: _Declared


class _Lock(Open):
    """What a lock holds: it declares something."""

    entries: Annotated[list[_Entry], Field(min_length=1)]


@dataclass(frozen=True, slots=True)
class Entry:
    """A plan (`reason` is empty, `previous` None) or an amendment."""

    at: str
    reason: str
    previous: str | None
    """Hash of the entry before it."""
    changes: tuple[str, ...]
    """What is declared otherwise than before, in words."""
    declared: Mapping[str, Any]
    hash: str

    @property
    def content_hash(self) -> str:
        """What `hash` must be."""
        return record_hash({key: value for key, value in asdict(self).items() if key != "hash"})

    @property
    def is_whole(self) -> bool:
        """Return whether nobody has changed it."""
        try:
            return self.hash == self.content_hash
        except (ValueError, RecursionError):  # a number that JSON does not have
            return False


def read(folder: Path, kind: type[Any] = _Lock) -> list[Entry]:
    """Return the entries of a folder's lock, oldest first; none if there is no lock. `kind` is what the lock of
    something else than an experiment holds: an object with `entries`, a list of `Chained`.

    Raises:
        LockError: it is no lock, or somebody has changed it.
    """
    path = folder / NAME
    if not os.path.lexists(path):
        return []
    try:
        stored = read_json(path, kind, REMEDY)["entries"]
        values: list[dict[str, Any]] = [{**entry, "changes": tuple(entry["changes"])} for entry in stored]
        entries = [Entry(**entry) for entry in values]
    except DamagedError as error:
        raise LockError(str(error)) from None
    except TypeError:  # an entry says more than entries do
        raise LockError(f"{path} cannot be read: {REMEDY}.") from None
    before = [None, *(entry.hash for entry in entries)]
    for entry, previous in zip(entries, before, strict=False):
        if entry.previous != previous or not entry.is_whole:
            raise LockError(f"{path} was changed by hand (entry {entry.at}): put it back, or plan in another folder.")
    return entries


def append(folder: Path, declared: Mapping[str, Any], reason: str = "", changes: tuple[str, ...] = ()) -> Entry:
    """Declare something, in a lock that is made if there is none, after all that was declared before."""
    entries = read(folder) if os.path.lexists(folder / NAME) else []
    previous = entries[-1].hash if entries else None
    bare = Entry(datetime.now(UTC).isoformat(timespec="seconds"), reason, previous, changes, declared, "")
    entry = Entry(bare.at, reason, previous, changes, declared, bare.content_hash)
    chain = [{"hash": e.hash, **asdict(e)} for e in [*entries, entry]]
    text = json.dumps({"schema_version": SCHEMA_VERSION, "entries": chain}, indent=1, ensure_ascii=False)
    write_atomically(folder / NAME, text + "\n")
    return entry


def governing(run: Path) -> Path | None:
    """Return the folder whose lock holds for a run: its own, or that of the experiment that it is an arm of."""
    above = run.resolve().parents
    experiment = [above[1]] if above[0].name == "arms" else []
    return next((folder for folder in (run, *experiment) if os.path.lexists(folder / NAME)), None)


def current_hash(run: Path) -> str | None:
    """Return the hash of the last entry of the lock that holds for a run; None without one.

    Raises:
        LockError: somebody has changed it.
    """
    folder = governing(run)
    return read(folder)[-1].hash if folder is not None else None
