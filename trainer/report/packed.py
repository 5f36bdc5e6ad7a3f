"""Packs the debates of a page into compressed blocks, so that a page of ten thousand debates opens at once.

A block is JSON or bytes, gzipped and in base64: no character of it can end the element it stands in or start another.
The page unpacks `index` to list and filter debates, `words` and `postings` for the first search, and of the others
the two that hold the debate on the screen and its passage.
"""

import gzip
import json
import re
from base64 import b64encode
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

BLOCK = 2**18
"""Characters of JSON in a block, from which on another is begun: unpacked in some milliseconds."""
EARLY = 3
"""Blocks that stand before the page's script, which runs when these are read and the others are still to come."""
LISTED = ("arm", "checkpoint", "matchup", "seats", "outcome", "correct", "question", "id", "passage", "ranks")
"""What the index has of each debate, besides the judge's last probability."""
_WORD = re.compile(r"\w+")


@dataclass(frozen=True, slots=True)
class Block:
    """A part of a page's data, by the name that its script finds it with."""

    name: str
    base64: str


def packed(data: Mapping[str, Any]) -> list[Block]:
    """Return the blocks of what `browser_data` returned, none if there are no debates. The first `EARLY` ones are all
    that the first debate is shown with."""
    rows: list[dict[str, Any]] = data["debates"]
    if not rows:
        return []
    listed = [{key: row[key] for key in LISTED if key in row} | {"last": (row["p"] or [None])[-1]} for row in rows]
    rest = [{key: value for key, value in row.items() if key not in LISTED} for row in rows]
    kinds = {"debates": list(_cut(rest)), "passages": list(_cut(data["passages"]))}
    starts = {kind: [start for start, _ in blocks] for kind, blocks in kinds.items()}
    words, postings = inverted(map(_searched, rows))
    first, others = (
        [_block(f"{kind}-{start}", text) for kind, blocks in kinds.items() for start, text in blocks[part]]
        for part in (slice(1), slice(1, None))
    )
    return [
        _block("index", _json({"debates": listed, "starts": starts})),
        *first,
        *others,
        _block("words", _json(words)),
        _block("postings", postings),
    ]


def inverted(texts: Iterable[str]) -> tuple[list[str], bytes]:
    """Return the distinct words of all texts in small letters, sorted, and for each word the texts that hold it.

    A word's texts are the steps from one number to the next, from -1 on, as LEB128 (seven bits a byte, the low ones
    first, the eighth says that more follow); a step is never 0, so the byte 0 ends the list.
    """
    found: dict[str, list[int]] = {}
    for number, text in enumerate(texts):
        for word in set(_WORD.findall(text.lower())):
            found.setdefault(word, []).append(number)
    words = sorted(found)
    return words, b"".join(_steps(found[word]) for word in words)


def _steps(numbers: Sequence[int]) -> bytes:
    written, previous = bytearray(), -1
    for number in numbers:
        step, previous = number - previous, number
        while step > 127:
            written.append(step & 127 | 128)
            step >>= 7
        written.append(step)
    written.append(0)
    return bytes(written)


def _searched(row: Mapping[str, Any]) -> str:
    """Return all that a search looks through: question, id, answers and speeches."""
    speeches = ("".join(piece["text"] for piece in speech["pieces"]) for speech in row["speeches"])
    return "\n".join([row["question"], row["id"], *row["answers"], *speeches])


def _cut(items: Iterable[Any]) -> Iterator[tuple[int, bytes]]:
    """Yield JSON lists of consecutive items, each with the number of its first."""
    texts: list[str] = []
    start = length = 0
    for number, item in enumerate(items):
        text = json.dumps(item, separators=(",", ":"))
        if texts and length + len(text) > BLOCK:
            yield start, f"[{','.join(texts)}]".encode()
            texts, start, length = [], number, 0
        texts.append(text)
        length += len(text)
    if texts:
        yield start, f"[{','.join(texts)}]".encode()


def _json(value: Any) -> bytes:
    return json.dumps(value, separators=(",", ":")).encode()


def _block(name: str, content: bytes) -> Block:
    return Block(name, b64encode(gzip.compress(content, mtime=0)).decode())
