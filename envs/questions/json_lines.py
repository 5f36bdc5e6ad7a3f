"""Reading text files of questions: their encoding, and JSON with what is wrong with it."""

import codecs
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from rostrum.envs.questions.base import Place, QuestionError

_MARKED = (
    (codecs.BOM_UTF8, "utf-8-sig"),
    (codecs.BOM_UTF32_LE, "utf-32"),
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)
"""Byte order marks; that of UTF-32 begins as that of UTF-16 does."""


def records(path: Path, encoding: str | None = None) -> Iterator[tuple[Place, dict[str, Any]]]:
    """Place and JSON object of each line that is not blank. Raises `QuestionError`."""
    if not path.is_file():
        raise QuestionError(f"{path} is not a file; give the path of a file with one JSON object a line.")
    for number, line in enumerate(text_of(path, "the line is not JSON", encoding).split("\n"), start=1):
        line = line.removeprefix("\ufeff")  # files that were put together have marks inside
        if not line.strip():
            continue
        place = Place(str(path), f"line {number}")
        record = parsed(line, place, "write one JSON object on each line")
        if not isinstance(record, dict):
            raise place.error("the line is not a JSON object; write one JSON object on each line")
        yield place, record


def text_of(path: Path, problem: str, encoding: str | None = None) -> str:
    """Return the text of a file: in the encoding that is named or marked by its first bytes, else in UTF-8.

    Raises:
        QuestionError: it is not; names the line, begins with the `problem` and says which encoding to try.
    """
    data = path.read_bytes()
    marked = next((name for mark, name in _MARKED if data.startswith(mark)), None)
    name = encoding or marked or "utf-8"
    if name == "utf-8" and b"\0" in data[:1000]:
        raise QuestionError(f"{path} holds zero bytes, as UTF-16 without a mark does; save it as UTF-8.")
    try:
        return data.decode(name)
    except LookupError:
        raise QuestionError(f"questions.encoding={encoding} is not known; give utf-8, utf-16, cp1252, …") from None
    except UnicodeDecodeError as error:
        line, byte = data[: error.start].count(b"\n") + 1, data[error.start]
        guess = bytes([byte]).decode("cp1252", errors="replace")
        raise Place(str(path), f"line {line}").error(
            f"{problem} in {name.removesuffix('-sig').upper()}: it has the byte 0x{byte:02x}, which is {guess!r} in "
            "Windows-1252; save the file as UTF-8, or name its encoding (questions.encoding=cp1252 for a table)"
        ) from None


def parsed(text: str, place: Place, remedy: str) -> Any:
    """Return the JSON value of a text that begins at this place.

    Raises:
        QuestionError: it is not JSON; names the line and the column, and what is wrong there.
    """
    try:
        return json.loads(text)
    except json.JSONDecodeError as error:
        first = int(place.at.removeprefix("line "))
        at = Place(place.source, f"line {first + error.lineno - 1}")
        raise at.error(f"the line is not JSON: {_problem(error)} (column {error.colno}); {remedy}") from None
    except RecursionError:
        raise place.error(f"the line is not JSON: brackets in brackets go too deep; {remedy}") from None


def _problem(error: json.JSONDecodeError) -> str:
    """Return what is wrong with a JSON text, in words."""
    before, behind = error.doc[: error.pos].rstrip(), error.doc[error.pos :].lstrip()
    if before.endswith(",") and behind[:1] in ("]", "}"):
        line = error.doc.count("\n", 0, len(before)) + 1
        return f"nothing follows the comma before {behind[0]!r}" + (f", on line {line}" if line != error.lineno else "")
    if not behind:
        return "it ends too early, and a bracket or a value is missing"
    if error.msg.startswith("Expecting property name"):
        return f"a name in double quotation marks is expected, and {_shown(behind)} stands there"
    if error.msg.startswith("Expecting value"):
        return f"a value is expected, and {_shown(behind)} stands there"
    if error.msg.startswith("Expecting ','"):
        return f"a comma or a closing bracket is missing before {_shown(behind)}"
    if error.msg.startswith("Invalid control character"):
        return "a line break or another control character stands inside a string"
    if error.msg.startswith("Unterminated string"):
        return "a string has no closing quotation mark"
    if error.msg.startswith("Extra data"):
        return f"{_shown(behind)} stands behind its end"
    return error.msg[0].lower() + error.msg[1:]


def _shown(text: str) -> str:
    return repr(text.split("\n")[0][:20])
