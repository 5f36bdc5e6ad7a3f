"""Reading JSON Lines files of questions."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from envs.question_set import Place, QuestionError


def records(path: Path) -> Iterator[tuple[Place, dict[str, Any]]]:
    """Place and JSON object of each line that is not blank. Raises `QuestionError`."""
    if not path.is_file():
        raise QuestionError(f"{path} is not a file; give the path of a file with one JSON object a line.")
    for number, line in enumerate(path.read_bytes().split(b"\n"), start=1):
        if not line.strip():
            continue
        place = Place(str(path), f"line {number}")
        try:
            record = json.loads(line.decode("utf-8-sig"))
        except (ValueError, RecursionError):
            raise place.error("the line is not JSON in UTF-8; write one JSON object on each line") from None
        if not isinstance(record, dict):
            raise place.error("the line is not a JSON object; write one JSON object on each line")
        yield place, record
