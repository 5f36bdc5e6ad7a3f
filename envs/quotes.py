"""Quotations: what a debater claims to quote, looked up in the passage by the environment alone.

A debater writes `<quote>…</quote>`; the judge reads `<v_quote>…</v_quote>` if the words stand in the passage and
`<u_quote>…</u_quote>` if they do not. The tags are those of Khan et al. (2024); the matching is stricter than theirs,
because under reinforcement learning every gap in it becomes a strategy.

**Order.** `verify` escapes before it looks for tags. Escaping afterwards would be too late: an escape sequence inside
a tag hides it from the check, and is gone when the judge reads it. So the judged text is a fixed point of
`escape_speech` (`envs.escaping`), and whoever escapes it once more on a page shifts no offset.

**Words.** A word is a run of letters and digits, with at most one apostrophe inside ("didn't", "Tr'en"). Hyphens,
dashes and underscores separate words. Two words are the same if they agree after case folding, Unicode NFKC and the
removal of apostrophes and invisible characters. Scripts written without spaces between words are out of its reach.

**Tags.** An opening tag and a closing tag with no other tag between them hold a quotation. Every other tag (unclosed,
stray, the outer ones of a nest) is dropped and its text stays as plain prose, which is what the debater could have
written without tags: never verified, and nothing gained. Any spelling of a tag counts as that tag, whether forged
(`< V_quote >`), broken off (`<quote` without its bracket) or put together by dropping another (`<v_<quote>quote>`).
"""

import re
import unicodedata
from bisect import bisect_left, bisect_right
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from itertools import accumulate

from envs.escaping import FORGED_TAG, INVISIBLE, UNPAIRED_TAG, Counts, escape_speech
from envs.escaping import escape_markup as escape_markup
from envs.types import Quote, QuoteStatus

# Possessive quantifiers (*+) keep every pattern linear: a speech is hostile input.
_MORE = rf"[^\W_]++(?:[\u0300-\u036f{INVISIBLE}]++[^\W_]*+)*+"
_WORD = re.compile(rf"{_MORE}(?:['\u2018\u2019\uff07]{_MORE})?")
_DROPPED_FROM_WORDS = re.compile(rf"['\u2018\u2019\u02bc\uff07\s{INVISIBLE}]")
_TAG = re.compile(
    r"[<\ufe64\uff1c]([\s/]*+)(?:[vu][\s_\-]*+)?quote(?![^\W_])(?:[\s/]*+[>\ufe65\uff1e])?", re.IGNORECASE
)
_QUOTE = re.compile(r"<quote>(.*?)</quote>", re.DOTALL)
_ELISION = re.compile(r"\[\s*+(?:\.(?:\s?\.){2,}|…)\s*+\]|\.(?:\s?\.){2,}|…")
_SENTENCE_END = re.compile(r"[.!?;]")

_NEGATIONS = {"no", "not", "never", "none", "nobody", "nothing", "nowhere", "neither", "nor", "cannot", "without"}
_NEGATIONS |= {"hardly", "scarcely", "barely", "rarely", "seldom"}
_NEGATION_WINDOW = 4
"""Words before a quotation that are searched for a negation, within its sentence."""

_PREFERENCES = ((True, True), (True, False), (False, True), (False, False))
"""(exact matches only, matches without a negation only), best first."""


def verify(raw: str, passage: str, min_words: int = 3, counts: Counts | None = None) -> tuple[str, tuple[Quote, ...]]:
    """The speech as the judge reads it, and its quotations in order.

    The speech is escaped and forged tags are neutralised first, then each `<quote>` becomes `<v_quote>` or
    `<u_quote>`; nothing else changes. `Quote.start`/`end` are character offsets in the returned text, `Quote.source`
    in `passage`. A quotation of fewer than `min_words` words is unverified. One with an elision (`...`, `…`, `[...]`)
    that does not stand in the passage as it is must have each part there, in order, each of at least `min_words`
    words (else single words could be strung into any sentence); its status is that of its weakest part. Where the
    words stand in several places, an exact match is preferred, then one without a negation just before it, then the
    earliest. What was neutralised is added to `counts`, by kind (`envs.escaping.KINDS`).
    """
    plain = _neutralise(raw, counts)
    index = _index(passage)
    text, position = "", 0
    quotes = []
    for match in _QUOTE.finditer(plain):
        found = index.find(match[1], max(min_words, 1))
        mark = "v" if found.spans else "u"
        text += plain[position : match.start()] + f"<{mark}_quote>"
        quotes.append(_located(match[1], len(text), found))
        text += f"{match[1]}</{mark}_quote>"
        position = match.end()
    return text + plain[position:], tuple(quotes)


def count_words(raw: str) -> int:
    """Words of a speech, sampled or judged; tags and punctuation are not counted. See the module for what a word is."""
    return len(_WORD.findall(_TAG.sub(" ", _neutralise(raw))))


def _neutralise(raw: str, counts: Counts | None = None) -> str:
    """The text, escaped, with paired tags spelt `<quote>`, `</quote>` and no other tag left.

    A paired tag of any other spelling counts as forged.
    """
    found = {} if counts is None else counts
    while True:
        raw = escape_speech(raw, found)
        tags = list(_TAG.finditer(raw))
        opens = ["/" not in tag[1] for tag in tags]
        text, position, dropped = "", 0, False
        for here, tag in enumerate(tags):
            if opens[here] and opens[here + 1 : here + 2] == [False]:
                spelling = "<quote>"
            elif not opens[here] and opens[max(here - 1, 0)]:
                spelling = "</quote>"
            else:
                spelling, dropped = "", True
            if tag[0] != spelling:
                kind = FORGED_TAG if spelling else UNPAIRED_TAG
                found[kind] = found.get(kind, 0) + 1
            text += raw[position : tag.start()] + spelling
            position = tag.end()
        raw = text + raw[position:]
        if not dropped:  # the text around a dropped tag may close up into a new tag, special token or header
            return raw


@dataclass(frozen=True, slots=True)
class _Found:
    status: QuoteStatus = QuoteStatus.UNVERIFIED
    spans: tuple[tuple[int, int], ...] = ()
    after_negation: bool = False


def _located(content: str, offset: int, found: _Found) -> Quote:
    """The quotation whose tag contents begin at `offset` of the judged text; white space inside the tags is not it."""
    words = content.strip()
    start = offset + (len(content) - len(content.lstrip()) if words else 0)
    return Quote(words, start, start + len(words), found.status, found.spans, found.after_negation)


@dataclass(frozen=True, slots=True)
class _Word:
    start: int
    end: int
    key: str
    negates: bool


def _words(text: str) -> Iterator[_Word]:
    for match in _WORD.finditer(text):
        key = _DROPPED_FROM_WORDS.sub("", unicodedata.normalize("NFKC", match[0]).casefold())
        contracted = match[0].lower().endswith(("n't", "n\u2019t"))
        yield _Word(match.start(), match.end(), key, contracted or key in _NEGATIONS)


@dataclass(frozen=True, slots=True)
class _Part:
    """A stretch of a quotation without an elision: its text with single spaces, and its words."""

    text: str
    words: tuple[_Word, ...]


def _part(text: str) -> _Part:
    text = " ".join(text.split())
    return _Part(text, tuple(_words(text)))


def _readings(quotation: str) -> Iterator[list[_Part]]:
    """The quotation as it stands, then, if it has elisions, as the parts between them."""
    yield [_part(quotation)]
    parts = [part for part in map(_part, _ELISION.split(quotation)) if part.words]
    if len(parts) > 1:
        yield parts


class _Passage:
    """A passage as words with their offsets. Inside, white space is single spaces; `_original` maps offsets back."""

    def __init__(self, passage: str) -> None:
        chunks = list(re.finditer(r"\S+", passage))
        self._text = " ".join(chunk[0] for chunk in chunks)
        self._chunk_origins = [chunk.start() for chunk in chunks]
        self._chunk_starts = list(accumulate((len(chunk[0]) + 1 for chunk in chunks), initial=0))[:-1]
        self._words = list(_words(self._text))
        self._keys = "".join(f" {word.key}" for word in self._words) + " "
        self._key_starts = list(accumulate((len(word.key) + 1 for word in self._words), initial=1))

    def find(self, quotation: str, min_words: int) -> _Found:
        """Where the quotation stands: the best match by `_PREFERENCES`, the whole before its parts."""
        for parts in _readings(quotation):
            if min(len(part.words) for part in parts) < min_words:
                continue
            for exact, clean in _PREFERENCES:
                if (found := self._in_order(parts, exact, clean)) is not None:
                    return found
        return _Found()

    def _in_order(self, parts: list[_Part], exact: bool, clean: bool) -> _Found | None:
        """The earliest place of each part behind the part before it, or None if one has no place left."""
        first, negated = 0, False
        spans: list[tuple[int, int]] = []
        for part in parts:
            for here in self._occurrences(part, first):
                span = self._exact_span(part, here) if exact else self._word_span(part, here)
                flag = self._after_negation(here, first)
                if span is not None and not (clean and flag):
                    break
            else:
                return None
            spans.append(self._original(*span))
            negated, first = negated or flag, here + len(part.words)
        return _Found(QuoteStatus.EXACT if exact else QuoteStatus.NORMALISED, tuple(spans), negated)

    def _occurrences(self, part: _Part, first: int) -> Iterator[int]:
        """Indices, from `first` on, of the words where the part's words stand in a row."""
        needle = "".join(f" {word.key}" for word in part.words) + " "
        at = self._keys.find(needle, self._key_starts[first] - 1)
        while at >= 0:
            yield bisect_left(self._key_starts, at + 1)
            at = self._keys.find(needle, at + 1)

    def _exact_span(self, part: _Part, here: int) -> tuple[int, int] | None:
        start = self._words[here].start - part.words[0].start
        return (start, start + len(part.text)) if start >= 0 and self._text.startswith(part.text, start) else None

    def _word_span(self, part: _Part, here: int) -> tuple[int, int]:
        return self._words[here].start, self._words[here + len(part.words) - 1].end

    def _after_negation(self, here: int, first: int) -> bool:
        """Whether a negation precedes word `here`, in its sentence and not before word `first`."""
        for before in range(here - 1, max(first, here - _NEGATION_WINDOW) - 1, -1):
            if _SENTENCE_END.search(self._text, self._words[before].end, self._words[before + 1].start):
                return False
            if self._words[before].negates:
                return True
        return False

    def _original(self, start: int, end: int) -> tuple[int, int]:
        return self._origin(start), self._origin(end)

    def _origin(self, offset: int) -> int:
        chunk = bisect_right(self._chunk_starts, offset) - 1
        return self._chunk_origins[chunk] + offset - self._chunk_starts[chunk]


@lru_cache(maxsize=64)
def _index(passage: str) -> _Passage:
    return _Passage(passage)
