"""A passage as words, in which quotations are looked up."""

import re
from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from html import unescape
from itertools import accumulate

from rostrum.envs.text.escaping import INVISIBLE
from rostrum.envs.text.words import Token, bound, tokens
from rostrum.envs.types import QuoteStatus

_ENTITY = re.compile(r"&(?:amp;)*(?:#[0-9]{1,7}|#[xX][0-9a-fA-F]{1,6}|[A-Za-z][A-Za-z0-9]{1,31});")
_MAIL = re.compile(r"^[^\S\n]*>[> \t]*(?![>\s\d.$€£])", re.MULTILINE)
"""What marks a quoted line of mail, and is no sign of its own."""
_ELISION = re.compile(r"[\[(]\s*+(?:\.(?:\s?\.){2,}|[…⋯])\s*+[\])]|\.(?:\s?\.){2,}|[…⋯]|．．．+|。。。+")
_SENTENCE_END = re.compile(r"[.!?;…。！？；।॥؟۔։።]")
_LINE_END = re.compile(rf"(?:[-‐‑]|(?<=\u00ad))[{INVISIBLE}]*+ ")
"""What stands between the halves of a word that was divided at the end of a line."""
_BLANK_LINE = re.compile(r"\n[^\S\n]*\n")
_PARAGRAPH_END = re.compile(r"[.!?:…。！？।؟۔][\"'”’»)\]]*[^\S\n]*\n")
"""The end of a paragraph in a text that has no blank line."""
_ENGLISH = frozenset("the and that this with they which were would been from she have there their".split())
_ENGLISH_SHARE = 0.04

_NEGATION_WINDOW = 4
"""Words before a quotation that are searched for a negation, within its sentence."""
_SHORT_PART = 2
"""Words that a part of a quotation has at the least, if all its parts stand in one sentence."""
_PREFERENCES = ((True, True), (True, False), (False, True), (False, False))
"""(exact matches only, matches without a negation only), best first."""


@dataclass(frozen=True, slots=True)
class Found:
    """Where a quotation stands in a passage, as offsets of each part of it; none: it does not."""

    status: QuoteStatus = QuoteStatus.UNVERIFIED
    spans: tuple[tuple[int, int], ...] = ()
    after_negation: bool = False


@dataclass(frozen=True, slots=True)
class _Part:
    """A stretch of a quotation without an elision: its text with single spaces, and its words and signs."""

    text: str
    tokens: tuple[Token, ...]

    @property
    def words(self) -> int:
        return sum(token.counts for token in self.tokens)


@dataclass(frozen=True, slots=True)
class _Place:
    """Where a part stands: its first word, the word behind its last one, its characters in the spaced text, whether a
    negation precedes it, and the place of the part before it."""

    first: int
    end: int
    span: tuple[int, int]
    negated: bool
    before: "_Place | None" = None


def _part(text: str) -> _Part:
    text = " ".join(_MAIL.sub("", _ENTITY.sub(lambda entity: _character(entity[0]), text)).split())
    return _Part(text, tuple(tokens(text)))


def _readings(quotation: str) -> Iterator[list[_Part]]:
    """Yield the quotation as it stands, then, if it has elisions, as the parts between them."""
    yield [_part(quotation)]
    parts = [part for part in map(_part, _ELISION.split(quotation)) if part.tokens]
    if len(parts) > 1:
        yield parts


class Passage:
    """A passage as words with their offsets.

    Inside, HTML entities are the characters that they stand for and white space is single spaces (`_text`);
    `_original` maps offsets back.
    """

    def __init__(self, passage: str) -> None:
        plain, self._pieces = _without_entities(passage)
        self._piece_starts = [start for start, _, _, _ in self._pieces]
        chunks = list(re.finditer(r"\S+", _MAIL.sub(lambda mark: " " * len(mark[0]), plain)))
        self._text = " ".join(chunk[0] for chunk in chunks)
        self._chunk_origins = [chunk.start() for chunk in chunks]
        self._chunk_starts = list(accumulate((len(chunk[0]) + 1 for chunk in chunks), initial=0))[:-1]
        self._tokens = list(tokens(self._text))
        self._keys = "".join(token.key for token in self._tokens)
        self._key_starts = list(accumulate((len(token.key) for token in self._tokens), initial=0))
        optional = self._optional_breaks(plain)
        self._breaks = _bits(self._key_starts[:-1])
        self._needed = _bits(start for start, may in zip(self._key_starts, optional, strict=False) if not may)
        common = sum(token.key in _ENGLISH for token in self._tokens)
        self._english = common >= _ENGLISH_SHARE * len(self._tokens)
        self._last_negation = _last([t.negates if self._english else t.may_negate for t in self._tokens])
        self._last_sentence = _last([self._ends_sentence(number) for number in range(len(self._tokens))])
        self._last_paragraph = _last(self._paragraph_starts(plain))

    def find(self, quotation: str, min_words: int, across_paragraphs: bool = False) -> Found:
        """Return where the quotation stands: the best match by `_PREFERENCES`, the whole before its parts.

        A quotation has at least `min_words` words, and so has each of its parts; `_SHORT_PART` are enough for a part
        if all parts lie in one sentence.
        """
        for parts in _readings(quotation):
            fewest = min(part.words for part in parts)
            if sum(part.words for part in parts) < min_words or fewest < min(min_words, _SHORT_PART):
                continue
            in_sentence = fewest < min_words or not self._english
            for exact, clean in _PREFERENCES:
                if (found := self._in_order(parts, exact, clean, in_sentence, across_paragraphs)) is not None:
                    return found
        return Found()

    def _in_order(
        self, parts: Sequence[_Part], exact: bool, clean: bool, in_sentence: bool, across: bool
    ) -> Found | None:
        """Return the earliest places of the parts, each behind the one before it, or None if there are none.

        What lies between two parts holds no negation and, if they must lie `in_sentence`, no end of a sentence; all
        parts lie in one paragraph, unless they may lie `across` several.
        """
        elided = len(parts) > 1
        places: list[_Place] = []
        for number, part in enumerate(parts):
            found = [p for p in self._places(part, exact) if across or not elided or self._in_one_paragraph(p)]
            if number == 0:
                places = [place for place in found if not (clean and place.negated)]
            else:
                places = list(self._behind(places, found, in_sentence, across))
        if not places:
            return None
        chain = [places[0]]
        while (before := chain[-1].before) is not None:
            chain.append(before)
        spans = tuple(self._original(*place.span) for place in reversed(chain))
        return Found(QuoteStatus.EXACT if exact else QuoteStatus.NORMALISED, spans, chain[-1].negated)

    def _behind(
        self, before: Sequence[_Place], found: Sequence[_Place], in_sentence: bool, across: bool
    ) -> Iterator[_Place]:
        """Yield those of the places found that may follow one of those `before`, each with the earliest of them."""
        ends = [place.end for place in before]
        for place in found:
            at = bisect_left(ends, self._reach(place.first, in_sentence, across))
            if at < len(ends) and ends[at] <= place.first:
                yield replace(place, negated=False, before=before[at])

    def _reach(self, first: int, in_sentence: bool, across: bool) -> int:
        """Return the first word at which what is elided before word `first` may begin."""
        if not first:
            return 0
        # A sentence that ends behind the last word of the part before ends in what is left out: hence 2, and not 1.
        sentence = self._last_sentence[first - 1] + 2 if in_sentence else 0
        paragraph = 0 if across else self._last_paragraph[first] + 1
        return max(self._last_negation[first - 1] + 1, sentence, paragraph)

    def _in_one_paragraph(self, place: _Place) -> bool:
        return self._last_paragraph[place.end - 1] <= place.first

    def _places(self, part: _Part, exact: bool) -> Iterator[_Place]:
        for first, end in self._occurrences(part):
            span = self._exact_span(part, first) if exact else (self._tokens[first].start, self._tokens[end - 1].end)
            if span is not None:
                yield _Place(first, end, span, self._after_negation(first))

    def _occurrences(self, part: _Part) -> Iterator[tuple[int, int]]:
        """Yield (first, end) of the words that are the part's, one after the other.

        Keys are compared without what separates them; then every break between two words must be one on both sides, but
        for those that are optional.
        """
        needle = "".join(token.key for token in part.tokens)
        starts = list(accumulate((len(token.key) for token in part.tokens), initial=0))[1:-1]
        pairs = zip(part.tokens, part.tokens[1:], strict=False)
        breaks = _bits(starts)
        needed = _bits(start for start, pair in zip(starts, pairs, strict=True) if not _is_optional(*pair))
        inside = (1 << len(needle)) - 2
        at = self._keys.find(needle)
        while at >= 0:
            first = bisect_left(self._key_starts, at)
            end = bisect_left(self._key_starts, at + len(needle))
            whole = self._key_starts[first] == at and self._key_starts[end] == at + len(needle)
            own, own_needed = (self._breaks >> at) & inside, (self._needed >> at) & inside
            if whole and not (own_needed & ~breaks or needed & ~own) and not self._is_torn(first, end):
                yield first, end
            at = self._keys.find(needle, at + 1)

    def _is_torn(self, first: int, end: int) -> bool:
        """Return whether the stretch leaves a sign behind that belongs to its first or last word."""
        words, text = self._tokens, self._text
        return (first > 0 and bound(text, words[first - 1], words[first])) or (
            end < len(words) and bound(text, words[end - 1], words[end])
        )

    def _exact_span(self, part: _Part, first: int) -> tuple[int, int] | None:
        start = self._tokens[first].start - part.tokens[0].start
        return (start, start + len(part.text)) if start >= 0 and self._text.startswith(part.text, start) else None

    def _after_negation(self, first: int) -> bool:
        """Return whether a negation precedes word `first`, in its sentence."""
        seen = 0
        for before in range(first - 1, -1, -1):
            if self._ends_sentence(before):
                return False
            if self._tokens[before].negates:
                return True
            seen += self._tokens[before].counts
            if seen == _NEGATION_WINDOW:
                return False
        return False

    def _ends_sentence(self, number: int) -> bool:
        """Return whether a sentence ends behind this word; not at the end of the passage."""
        if number + 1 >= len(self._tokens):
            return False
        return bool(_SENTENCE_END.search(self._text, self._tokens[number].end, self._tokens[number + 1].start))

    def _optional_breaks(self, plain: str) -> list[bool]:
        """Return by word whether it may also be one with the word before it."""
        optional = [False] * len(self._tokens)
        for number in range(1, len(self._tokens)):
            one, other = self._tokens[number - 1], self._tokens[number]
            optional[number] = _is_optional(one, other)
            if _LINE_END.fullmatch(self._text, one.end, other.start):
                optional[number] |= "\n" in plain[self._origin(one.end) : self._origin(other.start)]
        return optional

    def _paragraph_starts(self, plain: str) -> list[bool]:
        """Return by word whether a paragraph begins with it."""
        pattern = _BLANK_LINE if _BLANK_LINE.search(plain.strip()) else _PARAGRAPH_END
        starts = [False] * len(self._tokens)
        origins = [self._origin(token.start) for token in self._tokens]
        for end in (match.end() for match in pattern.finditer(plain)):
            number = bisect_left(origins, end)
            if number < len(starts):
                starts[number] = True
        return starts

    def _original(self, start: int, end: int) -> tuple[int, int]:
        return self._before_entities(self._origin(start)), self._before_entities(self._origin(end))

    def _origin(self, offset: int) -> int:
        chunk = bisect_right(self._chunk_starts, offset) - 1
        return self._chunk_origins[chunk] + offset - self._chunk_starts[chunk]

    def _before_entities(self, offset: int) -> int:
        """Return the offset in the passage as it was given."""
        start, length, origin, origin_end = self._pieces[bisect_right(self._piece_starts, offset) - 1]
        return origin_end if offset - start >= length else origin + offset - start


def _is_optional(one: Token, other: Token) -> bool:
    """Return whether two words may be one: next to a sign nothing but the sign is compared, and "cannot" is "can
    not"."""
    return "sign" in (one.kind, other.kind) or (one.key, other.key) == ("can", "not")


def _bits(places: Iterable[int]) -> int:
    """Return the number whose bits of these places are set."""
    bits = bytearray()
    for place in places:
        bits.extend(bytes(max(0, place // 8 + 1 - len(bits))))
        bits[place // 8] |= 1 << place % 8
    return int.from_bytes(bits, "little")


def _last(marked: Sequence[bool]) -> list[int]:
    """Return by index the last index up to it that is marked, -1 if there is none."""
    return list(accumulate((i if mark else -1 for i, mark in enumerate(marked)), max))


_Piece = tuple[int, int, int, int]
"""A stretch of the text without entities: its start and length there, its start and end in the text with them."""


def _without_entities(passage: str) -> tuple[str, list[_Piece]]:
    text, pieces, position = "", [], 0
    for match in _ENTITY.finditer(passage):
        character = _character(match[0])
        pieces.append((len(text), match.start() - position, position, match.start()))
        text += passage[position : match.start()]
        pieces.append((len(text), len(character), match.start(), match.end()))
        text += character
        position = match.end()
    pieces.append((len(text), len(passage) - position, position, len(passage)))
    return text + passage[position:], [piece for piece in pieces if piece[1]] or pieces[-1:]


def _character(entity: str) -> str:
    """Return what an entity stands for, however often its ampersand was escaped; itself, if it is none."""
    while (plain := unescape(entity)) != entity:
        entity = plain
    return entity


@lru_cache(maxsize=64)
def index(passage: str) -> Passage:
    """Return the passage as words; the last few are kept."""
    return Passage(passage)
