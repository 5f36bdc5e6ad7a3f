"""Damage to stored files, the same for the same seed: what disks, editors and copying do, and wrong values in the right
places."""

import io
import json
import math
import random
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pandas as pd
import yaml

STRANGE = (None, True, -1, 0, 1e999, math.nan, 10**400, "", "x", "\ud800", "../../x", [], [[]], {}, {"x": 1}, [None])


def damage(path: Path, draw: random.Random) -> str:
    """Damages the file in one way that its name allows; returns which."""
    kinds = [_truncated, _flipped, _emptied, _garbled, _taken_away, _made_a_folder]
    own = {".json": _json, ".jsonl": _json_lines, ".yaml": _yaml, ".parquet": _parquet, ".lock": _json}.get(path.suffix)
    kind: Callable[[Path, random.Random], object] = draw.choice([*kinds, *([own] * 6 if own else [])])
    kind(path, draw)
    return kind.__name__


def _truncated(path: Path, draw: random.Random) -> None:
    content = path.read_bytes()
    path.write_bytes(content[: draw.randrange(len(content))])


def _flipped(path: Path, draw: random.Random) -> None:
    content = bytearray(path.read_bytes())
    for _ in range(draw.choice((1, 8, 64))):
        content[draw.randrange(len(content))] = draw.randrange(256)
    path.write_bytes(content)


def _emptied(path: Path, draw: random.Random) -> None:
    path.write_bytes(b"")


def _garbled(path: Path, draw: random.Random) -> None:
    path.write_bytes(draw.randbytes(draw.choice((1, 300))))


def _taken_away(path: Path, draw: random.Random) -> None:
    path.unlink()


def _made_a_folder(path: Path, draw: random.Random) -> None:
    path.unlink()
    path.mkdir()


def _json(path: Path, draw: random.Random) -> None:
    path.write_text(json.dumps(_changed(json.loads(path.read_text("utf-8")), draw)), "utf-8")


def _json_lines(path: Path, draw: random.Random) -> None:
    lines = path.read_text("utf-8").splitlines()
    number = draw.randrange(len(lines))
    lines[number] = json.dumps(_changed(json.loads(lines[number]), draw))
    path.write_text("".join(f"{line}\n" for line in lines), "utf-8")


def _yaml(path: Path, draw: random.Random) -> None:
    path.write_text(yaml.safe_dump(_changed(yaml.safe_load(path.read_text("utf-8")), draw)), "utf-8")


def _parquet(path: Path, draw: random.Random) -> None:
    table = pd.read_parquet(path)
    name = draw.choice(list(table.columns))
    change = draw.randrange(4)
    if change == 0:
        table = table.drop(columns=name)
    elif change == 1:
        table = table.iloc[:0]
    else:
        table[name] = draw.choice((None, -1, math.inf, "x", math.nan, 2**60, "2026-01-01"))
    content = io.BytesIO()
    table.to_parquet(content, index=False)
    path.write_bytes(content.getvalue())


def _changed(values: Any, draw: random.Random) -> Any:
    """The values with one of them, at any depth, replaced by a strange one, or taken away."""
    places = list(_places(values, ()))
    if not places:
        return draw.choice(STRANGE)
    *way, last = draw.choice(places)
    inner = values
    for step in way:
        inner = inner[step]
    if draw.random() < 0.3:
        del inner[last]
    else:
        inner[last] = draw.choice(STRANGE)
    return values


def _places(values: Any, way: tuple[Any, ...]) -> Iterator[tuple[Any, ...]]:
    items = values.items() if isinstance(values, dict) else enumerate(values) if isinstance(values, list) else ()
    for key, value in items:
        yield (*way, key)
        yield from _places(value, (*way, key))


def copied(run: Path, to: Path) -> Path:
    """A copy of a run under the name that its tables know it by."""
    return Path(shutil.copytree(run, to / run.name))
