"""Transcripts and failures as JSON Lines: one record a line, each with its `schema_version`.

A line is an object with `schema_version`, `kind` ("transcript" or "failure"), `record` (the fields of the dataclass)
and, where given, `extra` (whatever else belongs to the record, e.g. its verdicts). Records come back equal to what was
written, log-probabilities to the last bit. The encoding is ASCII, so no line separator of Unicode can split a record.

Records of version 1, whose speeches had a seat (A or B) and a ply, are read as those of today (`today`).
"""

import json
import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import MISSING, fields, is_dataclass
from enum import StrEnum
from functools import lru_cache
from pathlib import Path
from types import UnionType
from typing import Any, get_args, get_origin, get_type_hints

from rostrum.envs import files
from rostrum.envs.types import DEBATER, SCHEMA_VERSION, TRAINED, Failure, Transcript

Record = Transcript | Failure

_KINDS: dict[str, type[Transcript] | type[Failure]] = {"transcript": Transcript, "failure": Failure}
_LINE_START = b'{"schema_version": '


class TranscriptError(ValueError):
    """A record that cannot be stored or read; the message is one sentence that says what to do."""


def to_json(record: Record) -> dict[str, Any]:
    """Return the record as plain JSON values."""
    kind = "transcript" if isinstance(record, Transcript) else "failure"
    return {"schema_version": SCHEMA_VERSION, "kind": kind, "record": _encode(record)}


def from_json(data: Mapping[str, Any]) -> Record:
    """Return the record that `to_json` made these values from. Raises `TranscriptError` if they are not of its
    making."""
    version = data.get("schema_version")
    if version not in (1, SCHEMA_VERSION):
        raise TranscriptError(
            f"the record has schema version {version!r} and this code reads versions 1 and {SCHEMA_VERSION}; "
            "read it with the release that wrote it, or write it again"
        )
    kind = data.get("kind")
    if not isinstance(kind, str) or kind not in _KINDS:
        raise TranscriptError(f'the record is of kind {kind!r}; it must be "transcript" or "failure"')
    record: Record = _decode(_KINDS[kind], today(data)["record"], kind)
    return record


def today(data: Mapping[str, Any]) -> dict[str, Any]:
    """Return the JSON values of a stored record as version 2 has them; those of version 2 as they are.

    In version 1 a seat was both who speaks and the side that is spoken for. What is missing or of another type is left
    for the reader to refuse.
    """
    record = data.get("record")
    if data.get("schema_version") != 1 or not isinstance(record, dict):
        return {**data, "record": record}
    record = dict(record)
    if isinstance(record.get("protocol"), dict):
        record["protocol"] = protocol_today(record["protocol"])
    for name in ("speeches", "inquiries"):
        if isinstance(said := record.get(name), list):
            record[name] = [_said_today(one) if isinstance(one, dict) else one for one in said]
    return {**data, "schema_version": SCHEMA_VERSION, "record": record}


def protocol_today(protocol: Mapping[str, Any]) -> dict[str, Any]:
    """Return the plain values of a protocol as they are today: the first edition had `seats`, a list of A and B."""
    kept = {key: value for key, value in protocol.items() if key != "seats"}
    if not isinstance(seats := protocol.get("seats"), list):
        return dict(protocol)
    own = {"role": DEBATER, "policy": TRAINED, "chooses_side": False}
    return kept | {"speakers": {str(seat): {"side": seat, **own} for seat in seats}, "turns": []}


def _said_today(one: Mapping[str, Any]) -> dict[str, Any]:
    renamed = {"ply": "turn"}
    seated = {"speaker": one["seat"], "side": one["seat"]} if "seat" in one else {}
    return seated | {renamed.get(key, key): value for key, value in one.items() if key != "seat"}


def write(
    path: Path | str,
    records: Iterable[Record],
    append: bool = False,
    extra: Sequence[Mapping[str, Any]] | None = None,
) -> None:
    """Store records, each with the `extra` JSON object of the same index if given.

    The records reach the disk before this returns. Nothing is written if one of them could not be read back equal.
    Without `append` the file is replaced in one step, so a killed process leaves the old one. With `append` each
    record is one write, and a torn last line left by a killed process is cut off first: it holds no whole record.
    """
    path = Path(path)
    lines = _lines(list(records), extra)
    if append:
        _end_last_line(path)
        files.append(path, *lines)
    else:
        files.write_atomically(path, b"".join(lines))


def read(path: Path | str, allow_torn_tail: bool = False) -> Iterator[Record]:
    """Yield the records of a file, in order. Raises `TranscriptError` naming file and line.

    `allow_torn_tail` skips a last line that a killed process did not finish, which is an error otherwise.
    """
    for record, _ in read_with_extra(path, allow_torn_tail):
        yield record


def read_with_extra(path: Path | str, allow_torn_tail: bool = False) -> Iterator[tuple[Record, dict[str, Any]]]:
    """Yield as `read` does, with the extra object of each record, empty where none was given."""
    with Path(path).open("rb") as file:
        for number, line in enumerate(file, start=1):
            torn = not line.endswith(b"\n") and not _is_json(line)
            if torn and allow_torn_tail:
                return
            try:
                if torn:
                    raise TranscriptError(
                        "the line breaks off, its writer was killed; read with allow_torn_tail=True to leave it out"
                    )
                yield _parse(line)
            except TranscriptError as error:
                raise TranscriptError(f"{path}, line {number}: {error}") from None


def _lines(records: list[Record], extra: Sequence[Mapping[str, Any]] | None) -> list[bytes]:
    if extra is not None and len(extra) != len(records):
        raise TranscriptError(f"{len(records)} records came with {len(extra)} extra objects; give one for each record")
    payloads = [None] * len(records) if extra is None else [dict(payload) for payload in extra]
    return [_line(record, payload) for record, payload in zip(records, payloads, strict=True)]


def _line(record: Record, extra: dict[str, Any] | None) -> bytes:
    data = to_json(record) | ({} if extra is None else {"extra": extra})
    try:
        line = json.dumps(data, allow_nan=False).encode() + b"\n"
    except (TypeError, ValueError) as error:
        raise TranscriptError(f"a record cannot be stored ({error}); keep to finite numbers and JSON values") from None
    if _parse(line) != (record, extra or {}):
        raise TranscriptError("a record would come back changed; use tuples in records, lists and str keys in extras")
    return line


def _is_json(line: bytes) -> bool:
    try:
        json.loads(line)
    except (ValueError, RecursionError):
        return False
    return True


def _parse(line: bytes) -> tuple[Record, dict[str, Any]]:
    try:
        data = json.loads(line)
    except (ValueError, RecursionError):
        raise TranscriptError("the line is not JSON; restore the file or delete this line") from None
    if not isinstance(data, dict):
        raise TranscriptError("the line is not a JSON object; restore the file or delete this line")
    extra = data.get("extra", {})
    if not isinstance(extra, dict):
        raise TranscriptError('"extra" must be a JSON object; restore the file or delete this line')
    return from_json(data), extra


def _end_last_line(path: Path) -> None:
    """Make the file end at the end of a line, so that what is appended is not glued to a torn one."""
    if not path.exists() or _ends_with_newline(path):
        return
    content = path.read_bytes()
    tail = content[content.rfind(b"\n") + 1 :]
    if not tail.startswith(_LINE_START) and not _LINE_START.startswith(tail):
        raise TranscriptError(f"{path} does not end in a transcript; give another path, or append=False to replace it")
    with files.checked(path).open("r+b") as file:
        if _is_json(tail):
            file.seek(0, os.SEEK_END)
            file.write(b"\n")
        else:
            file.truncate(len(content) - len(tail))


def _ends_with_newline(path: Path) -> bool:
    """Return whether the file is empty or its last byte is a newline, without reading the rest."""
    with path.open("rb") as file:
        if not file.seek(0, os.SEEK_END):
            return True
        file.seek(-1, os.SEEK_END)
        return file.read() == b"\n"


def _encode(value: Any) -> Any:
    if type(value) in (int, float, str):
        return value
    if is_dataclass(value):
        return {item.name: _encode(getattr(value, item.name)) for item in fields(value)}
    if isinstance(value, StrEnum):
        return value.value
    if isinstance(value, tuple):
        return [_encode(item) for item in value]
    if isinstance(value, Mapping):
        return {key: _encode(item) for key, item in value.items()}
    return value


def _decode(kind: Any, value: Any, where: str) -> Any:
    """Return `value` as the annotated type `kind`; `where` names it in errors."""
    if is_dataclass(kind):
        return _decode_fields(kind, value, where)
    if get_origin(kind) is tuple:
        return _decode_tuple(get_args(kind), value, where)
    if get_origin(kind) is Mapping:
        _require(isinstance(value, dict), where, "an object")
        return {key: _decode(get_args(kind)[1], item, f"{where}.{key}") for key, item in value.items()}
    if isinstance(kind, type) and issubclass(kind, StrEnum):
        _require(value in list(kind), where, "one of " + ", ".join(kind))
        return kind(value)
    names = get_args(kind) if isinstance(kind, UnionType) else (kind,)
    accepted = (*names, int) if float in names else names
    _require(isinstance(value, accepted), where, " or ".join(name.__name__ for name in names))
    return value


def _decode_fields(kind: Any, value: Any, where: str) -> Any:
    _require(isinstance(value, dict), where, "an object")
    hints = _hints(kind)
    if unknown := sorted(set(value) - set(hints)):
        raise TranscriptError(f"{where} has an unknown field {unknown[0]!r}; read it with the release that wrote it")
    for item in fields(kind):
        optional = item.default is not MISSING or item.default_factory is not MISSING
        _require(optional or item.name in value, f"{where}.{item.name}", "present")
    return kind(**{name: _decode(hints[name], item, f"{where}.{name}") for name, item in value.items()})


def _decode_tuple(kinds: tuple[Any, ...], value: Any, where: str) -> tuple[Any, ...]:
    _require(isinstance(value, list), where, "a list")
    if kinds[-1] is Ellipsis:
        if set(map(type, value)) <= {kinds[0]}:  # thousands of token ids and log-probs: not one call for each
            return tuple(value)
        kinds = (kinds[0],) * len(value)
    _require(len(value) == len(kinds), where, f"a list of {len(kinds)}")
    return tuple(_decode(kind, item, f"{where}[{n}]") for n, (kind, item) in enumerate(zip(kinds, value, strict=True)))


def _require(holds: bool, where: str, expected: str) -> None:
    if not holds:
        raise TranscriptError(f"{where} must be {expected}; restore the file or delete this record")


@lru_cache
def _hints(kind: type) -> dict[str, Any]:
    return get_type_hints(kind)
