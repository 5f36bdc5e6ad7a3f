"""Rows of a local table (Parquet, JSON, JSON Lines, CSV) or of a data set on the Hugging Face Hub."""

import csv
import io
import json
import sys
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from rostrum.envs.questions.base import Place, QuestionError
from rostrum.envs.questions.json_lines import parsed, records, text_of

Row = tuple[Place, dict[str, Any]]
DELIMITERS = (",", ";", "\t", "|")


def file_rows(path: Path, encoding: str | None = None) -> Iterator[Row]:
    """Yield the rows of a file, in its order; the ending of its name tells the format.

    Text is UTF-8, or what its first bytes mark it as, unless its `encoding` is named.

    Raises:
        QuestionError: there is no such file, or it is not in the format of its name.
    """
    if path.is_dir():
        return _folder(path, encoding)
    if not path.is_file():
        raise QuestionError(f"{path} is not a file; give the path of a .parquet, .json, .jsonl or .csv file.")
    ending = path.suffix.lower()
    if ending == ".parquet":
        return _parquet(path)
    reader = {".json": _json, ".jsonl": records, ".csv": _csv, ".tsv": _csv}.get(ending)
    if reader is None:
        raise QuestionError(f"{path} is of no known format; give a .parquet, .json, .jsonl or .csv file.")
    return reader(path, encoding)


def hub_rows(dataset: str, name: str | None, split: str) -> Iterator[Row]:
    """Yield the rows of one split of a data set on the Hub (or in a local folder laid out like one). Runs no code of
    it.

    Raises:
        QuestionError: it cannot be fetched, or has no such configuration or split.
    """
    from datasets import load_dataset  # slow to import, and seldom needed

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


def _folder(path: Path, encoding: str | None) -> Iterator[Row]:
    """Yield the objects of a folder and of those below it, one in each .txt or .json file, in the order of their
    paths."""
    files = sorted(file for file in path.rglob("*") if file.suffix in (".txt", ".json") and file.is_file())
    if not files:
        raise QuestionError(
            f"{path} is a folder without .txt or .json files; give the path of a file, or name a folder "
            "that is laid out like a data set on the Hub as questions.dataset."
        )
    for file in files:
        place = Place(str(file), "line 1")
        cells = parsed(text_of(file, "the file is not JSON", encoding), place, "give files with one JSON object each")
        if not isinstance(cells, dict):
            raise place.error("the file is not a JSON object; give files with one JSON object each")
        yield Place(str(path), str(file.relative_to(path))), cells


def _parquet(path: Path) -> Iterator[Row]:
    import pyarrow
    from pyarrow import parquet

    try:
        rows = parquet.read_table(path).to_pylist()
    except (pyarrow.ArrowException, OSError) as error:
        reason = (str(error).strip().splitlines() or [type(error).__name__])[0].rstrip(".")
        raise QuestionError(
            f"{path} cannot be read as Parquet ({reason}); write it again, or give another file."
        ) from None
    yield from _numbered(path, rows)


def _json(path: Path, encoding: str | None) -> Iterator[Row]:
    """Yield a list of objects, or, as many a .json on the Hub, one object a line."""
    text = text_of(path, "the line is not JSON", encoding)
    if _is_json_lines(text):
        yield from records(path, encoding)
        return
    rows = parsed(text, Place(str(path), "line 1"), "mend it there, or write one JSON object on each line")
    rows = [rows] if isinstance(rows, dict) else rows
    if not isinstance(rows, list) or not all(isinstance(row, dict) for row in rows):
        raise QuestionError(f"{path} is not a list of objects; give one object per question.")
    yield from _numbered(path, rows)


def _is_json_lines(text: str) -> bool:
    """Return whether the first line of several is an object of its own."""
    first, _, rest = text.strip().partition("\n")
    if not first.startswith("{") or not rest.strip():
        return False
    try:
        json.loads(first)
    except (ValueError, RecursionError):
        return False
    return True


def _csv(path: Path, encoding: str | None) -> Iterator[Row]:
    """Yield rows of cells with a header, divided by commas, semicolons, tabs or bars, whichever makes rows of equal
    length.

    Raises:
        QuestionError: a row has more or fewer cells than the header, a quotation mark is not doubled, or two columns
            have one name.
    """
    text = text_of(path, "cannot be read as CSV", encoding)
    before = csv.field_size_limit(sys.maxsize if sys.maxsize < 2**31 else 2**31 - 1)
    try:
        table = list(_cells(path, text, _delimiter(text, path)))
    finally:
        csv.field_size_limit(before)
    if not table:
        raise QuestionError(f"{path} is empty; give a header and a row per question.")
    (_, header), *rows = table
    twice = [name for name, count in Counter(header).items() if count > 1]
    if twice:
        raise QuestionError(f"{path} has two columns {twice[0]!r}; give each column a name of its own.")
    for number, (line, cells) in enumerate(rows, start=1):
        if len(cells) != len(header):
            raise Place(str(path), f"line {line}").error(
                f"row {number} has {len(cells)} cells and the header names {len(header)} columns ({_begin(cells)}); "
                "put a cell that holds the divider or a line break in double quotation marks, and leave no cell out"
            )
    yield from _numbered(path, [dict(zip(header, cells, strict=True)) for _, cells in rows])


def _cells(path: Path, text: str, delimiter: str) -> Iterator[tuple[int, list[str]]]:
    """Yield the rows that are not blank, each with the line on which it begins."""
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, strict=True)
    line = 1
    try:
        for cells in reader:
            if any(cell.strip() for cell in cells):
                yield line, cells
            line = reader.line_num + 1
    except csv.Error as error:
        problem = (
            "a quotation mark inside a quoted cell is not doubled"
            if "expected after" in str(error)
            else "a cell begins with a quotation mark and has no closing one"
            if "end of data" in str(error)
            else str(error)
        )
        raise Place(str(path), f"line {line}").error(
            f'the row cannot be read as CSV: {problem}; write "" for each quotation mark in a cell, and put the whole '
            "cell in quotation marks"
        ) from None


def _delimiter(text: str, path: Path) -> str:
    """Return what divides the cells: the candidate that makes rows of equal length, else the one that the header has
    most."""
    if path.suffix.lower() == ".tsv":
        return "\t"
    header = next((line for line in text.splitlines() if line.strip()), "")
    candidates = sorted(DELIMITERS, key=lambda each: -header.count(each))
    candidates = [each for each in candidates if each in header]
    return next((each for each in candidates if _is_even(path, text, each)), next(iter(candidates), ","))


def _is_even(path: Path, text: str, delimiter: str) -> bool:
    try:
        return len({len(cells) for _, cells in _cells(path, text, delimiter)}) == 1
    except QuestionError:
        return False


def _begin(cells: list[str]) -> str:
    """Return the first cells, so that a row can be recognised."""
    return " | ".join(cell.strip()[:30] for cell in cells[:2])


def _numbered(path: Path, rows: list[dict[str, Any]]) -> Iterator[Row]:
    for number, row in enumerate(rows, start=1):
        yield Place(str(path), f"row {number}"), row
