"""Rows of a local table (Parquet, JSON, JSON Lines, CSV) or of a data set on the Hugging Face Hub."""

import csv
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from envs.json_lines import records
from envs.question_set import Place, QuestionError

Row = tuple[Place, dict[str, Any]]


def file_rows(path: Path) -> Iterator[Row]:
    """The rows of a file, in its order; the ending of its name tells the format.

    Raises:
        QuestionError: there is no such file, or it is not in the format of its name.
    """
    if not path.is_file():
        raise QuestionError(f"{path} is not a file; give the path of a .parquet, .json, .jsonl or .csv file.")
    reader = {".parquet": _parquet, ".json": _json, ".jsonl": records, ".csv": _csv}.get(path.suffix.lower())
    if reader is None:
        raise QuestionError(f"{path} is of no known format; give a .parquet, .json, .jsonl or .csv file.")
    return reader(path)


def hub_rows(dataset: str, name: str | None, split: str) -> Iterator[Row]:
    """The rows of one split of a data set on the Hub (or in a local folder laid out like one). Runs no code of it.

    Raises:
        QuestionError: it cannot be fetched, or has no such configuration or split.
    """
    from datasets import load_dataset  # type: ignore[import-untyped]  # slow to import, and seldom needed

    try:
        rows = load_dataset(dataset, name, split=split)
    except Exception as error:  # of many libraries: network, hub, formats
        reason = (str(error).strip().splitlines() or [type(error).__name__])[0].rstrip(".")
        raise QuestionError(
            f"The data set {dataset} (name {name}, split {split}) could not be loaded: {reason}; check "
            "questions.dataset, questions.name, the splits and the connection, or give a file with questions.path."
        ) from None
    for number, row in enumerate(rows, start=1):
        yield Place(f"{dataset} {split}", f"row {number}"), dict(row)


def _parquet(path: Path) -> Iterator[Row]:
    import pyarrow  # type: ignore[import-untyped]
    from pyarrow import parquet

    try:
        rows = parquet.read_table(path).to_pylist()
    except (pyarrow.ArrowException, OSError):
        raise QuestionError(f"{path} cannot be read as Parquet; write it again, or give another file.") from None
    yield from _numbered(path, rows)


def _json(path: Path) -> Iterator[Row]:
    """A list of objects, or, as many a .json on the Hub, one object a line."""
    try:
        rows = json.loads(path.read_text("utf-8-sig"))
    except (ValueError, RecursionError):
        yield from records(path)
        return
    rows = [rows] if isinstance(rows, dict) else rows
    if not isinstance(rows, list) or not all(isinstance(row, dict) for row in rows):
        raise QuestionError(f"{path} is not a list of objects; give one object per question.")
    yield from _numbered(path, rows)


def _csv(path: Path) -> Iterator[Row]:
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            rows: list[dict[str, Any]] = list(csv.DictReader(file, strict=True))
    except (ValueError, csv.Error):
        raise QuestionError(f"{path} cannot be read as CSV in UTF-8; write it again, or give another file.") from None
    yield from _numbered(path, rows)


def _numbered(path: Path, rows: list[dict[str, Any]]) -> Iterator[Row]:
    for number, row in enumerate(rows, start=1):
        yield Place(str(path), f"row {number}"), row
