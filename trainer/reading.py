"""Reading what an earlier command has stored: as what it must be, or refused with the file's name.

Every function takes the kind of what is read as pydantic understands it (a type, a TypedDict, a model), so that whoever
reads a file gets what the rest of its code counts on, however the file was damaged.
"""

import json
from collections.abc import Collection, Mapping
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np
import pyarrow as pa
import yaml
from pydantic import ConfigDict, TypeAdapter, ValidationError
from typing_extensions import TypedDict

if TYPE_CHECKING:
    import pandas as pd

T = TypeVar("T")
RESTORE = "restore the file from a copy"
AGAIN = "restore the file from a copy, or remove it and run the command that wrote it again"


class DamagedError(ValueError):
    """A stored file that is not what was written; the message names it and says what to do."""

    def __init__(self, path: Path | str, trouble: str, remedy: str = AGAIN) -> None:
        super().__init__(f"{path} cannot be read ({trouble}): {remedy}.")


class Open(TypedDict, total=False):
    """A JSON object of which only some keys are known; subclasses name those that are counted on."""

    __pydantic_config__ = ConfigDict(extra="allow", strict=True)  # type: ignore[misc]


def read_text(path: Path, remedy: str = AGAIN) -> str:
    """Return the text of a file in UTF-8.

    Raises:
        DamagedError: it is not there, is a folder, or is no such text.
    """
    try:
        return path.read_bytes().decode("utf-8")
    except (FileNotFoundError, NotADirectoryError):
        raise DamagedError(path, "it is not there", remedy) from None
    except IsADirectoryError:
        raise DamagedError(path, "it is a folder", remedy) from None
    except UnicodeDecodeError as error:
        raise DamagedError(path, f"byte {error.start} is no UTF-8", remedy) from None


def read_json(path: Path, kind: type[T], remedy: str = AGAIN) -> T:
    """Return what a JSON file holds, of this kind.

    Raises:
        DamagedError: it is not there, no JSON, or of another kind.
    """
    return parsed(read_text(path, remedy), kind, str(path), remedy)


def read_json_lines(path: Path, kind: type[T], remedy: str = RESTORE) -> list[T]:
    """Return what the lines of a JSON Lines file hold, but for a last one that a killed process has not finished.

    Raises:
        DamagedError: it is not there, or a line is of another kind.
    """
    lines = read_text(path, remedy).split("\n")[:-1]
    return [parsed(line, kind, f"{path}, line {number},", remedy) for number, line in enumerate(lines, 1)]


def parsed(text: str, kind: type[T], where: str, remedy: str = AGAIN) -> T:
    """Return what a JSON text holds, of this kind.

    Raises:
        DamagedError: it is no JSON, or of another kind.
    """
    try:
        values = json.loads(text)
    except json.JSONDecodeError as error:
        raise DamagedError(where, f"no JSON: {error.msg} at character {error.pos}", remedy) from None
    except (ValueError, RecursionError):  # a number of thousands of digits, brackets thousands deep
        raise DamagedError(where, "no JSON that can be held", remedy) from None
    return valid(values, kind, where, remedy)


def valid(values: Any, kind: type[T], where: Path | str, remedy: str = AGAIN) -> T:
    """Return the values if they are of this kind.

    Raises:
        DamagedError: they are not; the first place where they are not is named.
    """
    try:
        found: T = _adapter(kind).validate_python(values)  # type: ignore[arg-type]  # every class can be hashed
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        place = ".".join(str(part) for part in first["loc"])
        raise DamagedError(where, f"{f'{place}: ' if place else ''}{first['msg']}", remedy) from None
    return found


def read_yaml(path: Path, remedy: str = RESTORE, kind: Any = dict[str, Any]) -> Any:
    """Return what a YAML file holds: a mapping, or whatever `kind` says.

    Raises:
        DamagedError: it is not there, no YAML, or something else.
    """
    text = read_text(path, remedy)
    try:
        values = yaml.safe_load(text)
    except (yaml.YAMLError, ValueError, RecursionError) as error:  # ValueError: a date or a number that is none
        mark = getattr(error, "problem_mark", None)
        where = f" in line {mark.line + 1}" if mark is not None else ""
        raise DamagedError(path, f"no YAML{where}", remedy) from None
    return valid(values, kind, path, remedy)


def read_table(
    path: Path, columns: Mapping[str, str], needed: Collection[str] = (), remedy: str = AGAIN
) -> "pd.DataFrame":
    """Return the table that a Parquet file holds. It has all `needed` columns; and every one of the `columns` that it
    has is of its kind: "text", "flag", "share" (0 to 1, or NaN), "count" (0 or more) or "amount" (as well, or NaN).

    Raises:
        DamagedError: it is not there, no such file, or a column is of another kind.
    """
    import pandas as pd

    if not path.is_file():
        raise DamagedError(path, "it is a folder" if path.is_dir() else "it is not there", remedy)
    try:
        table = pd.read_parquet(path)
    except (pa.ArrowException, OSError, ValueError, KeyError, TypeError) as error:  # what pyarrow and pandas raise
        raise DamagedError(path, f"no Parquet: {' '.join(str(error).split())[:200]}", remedy) from None
    if missing := [name for name in needed if name not in table.columns]:
        raise DamagedError(path, f"it lacks the column {missing[0]}", remedy)
    for name, kind in columns.items():
        if name in table.columns and not _holds(table[name], kind):
            raise DamagedError(path, f"column {name} does not hold what it should", remedy)
    return table


def _holds(column: Any, kind: str) -> bool:
    """Return whether every value of a column is of the kind."""
    if kind == "text":
        return all(isinstance(value, str) for value in column)
    if kind == "flag":
        return all(isinstance(value, bool | np.bool_) for value in column)
    if column.dtype.kind not in "iuf":
        return False
    values = column.to_numpy(dtype=float, na_value=np.nan)
    low, high = {"share": (0.0, 1.0), "count": (0.0, 1e15), "amount": (0.0, 1e15)}[kind]
    return bool(((low <= values) & (values <= high) | (np.isnan(values) & (kind != "count"))).all())


@lru_cache(maxsize=64)
def _adapter(kind: Any) -> TypeAdapter[Any]:
    return TypeAdapter(kind)
