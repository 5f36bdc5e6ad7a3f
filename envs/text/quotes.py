"""Quotations: what a debater claims to quote, looked up in the passage by the environment alone.

A debater writes `<quote>…</quote>`; the judge reads `<v_quote>…</v_quote>` if the words stand in the passage and
`<u_quote>…</u_quote>` if they do not. The tags are those of Khan et al. (2024); the matching is stricter than theirs,
because under reinforcement learning every gap in it becomes a strategy.

**Order.** `verify` escapes before it looks for tags. Escaping afterwards would be too late: an escape sequence inside
a tag hides it from the check, and is gone when the judge reads it. So the judged text is a fixed point of
`escape_speech` (`envs.text.escaping`), and whoever escapes it once more on a page shifts no offset.

**Words.** What a word is, and when two are the same, says `envs.text.words`: case, punctuation, hyphens and the form of
an apostrophe are nothing, signs that carry meaning and combining marks are something. `envs.text.passages` looks them
up.

**Elisions.** `...` between two parts of a quotation must not swallow what turns their meaning round: no negation stands
in what was left out, and in a passage that is not English, where we know few negations, no end of a sentence. The parts
stand in one paragraph, unless `across_paragraphs` is set.

**Tags.** An opening tag and a closing tag with no other tag between them hold a quotation. Every other tag (unclosed,
stray, the outer ones of a nest) is dropped and its text stays as plain prose, which is what the debater could have
written without tags: never verified, and nothing gained. Any spelling of a tag counts as that tag, whether forged
(`< V_quote >`), broken off (`<quote` without its bracket) or put together by dropping another (`<v_<quote>quote>`).
"""

import re

from rostrum.envs.text import passages
from rostrum.envs.text.escaping import FORGED_TAG, UNPAIRED_TAG, Counts, Lines, escape_speech, find
from rostrum.envs.text.escaping import escape_markup as escape_markup
from rostrum.envs.text.passages import Found
from rostrum.envs.text.words import tokens
from rostrum.envs.types import Quote

# Possessive quantifiers (*+) keep every pattern linear: a speech is hostile input.
_TAG = re.compile(r"<([\s/]*+)(?:[vu][\s_\-]*+)?quote(?![^\W_])(?:[\s/]*+>)?", re.IGNORECASE)
_QUOTE = re.compile(r"<quote>(.*?)</quote>", re.DOTALL)
MARKED = re.compile(r"<([vu])_quote>(.*?)</\1_quote>", re.DOTALL)
"""A quote in a speech as it is read: whether it was verified, and its words."""


def verify(
    raw: str,
    passage: str,
    min_words: int = 3,
    counts: Counts | None = None,
    across_paragraphs: bool = False,
    own: Lines | None = None,
) -> tuple[str, tuple[Quote, ...]]:
    """Return the speech as the judge reads it, and its quotations in order.

    The speech is escaped and forged tags are neutralised first, then each `<quote>` becomes `<v_quote>` or
    `<u_quote>`; nothing else changes. `Quote.start`/`end` are character offsets in the returned text, `Quote.source`
    in `passage`. A quotation of fewer than `min_words` words is unverified. One with an elision (`...`, `…`, `[...]`)
    that does not stand in the passage as it is must have each part there, in order, each of at least `min_words`
    words (else single words could be strung into any sentence; two are enough where all parts are of one sentence),
    and leave out nothing that it must not (see the module); its status is that of its weakest part. Where the words
    stand in several places, an exact match is preferred, then one without a negation just before it, then the
    earliest. What was neutralised is added to `counts`, by kind (`envs.text.escaping.KINDS`). `own` are the lines of a
    prompt set that the speech must not forge.
    """
    plain = _neutralise(raw, counts, own)
    words = passages.index(passage)
    text, position = "", 0
    quotes = []
    for match in _QUOTE.finditer(plain):
        found = words.find(match[1], max(min_words, 1), across_paragraphs)
        mark = "v" if found.spans else "u"
        text += plain[position : match.start()] + f"<{mark}_quote>"
        quotes.append(_located(match[1], len(text), found))
        text += f"{match[1]}</{mark}_quote>"
        position = match.end()
    return text + plain[position:], tuple(quotes)


def count_words(raw: str) -> int:
    """Return the number of words of a speech, sampled or judged; tags and punctuation are not counted. See
    `envs.text.words`."""
    return sum(token.counts for token in tokens(_TAG.sub(" ", _neutralise(raw))))


def _neutralise(raw: str, counts: Counts | None = None, own: Lines | None = None) -> str:
    """Return the text, escaped, with paired tags spelt `<quote>`, `</quote>` and no other tag left.

    A paired tag of any other spelling counts as forged.
    """
    found = {} if counts is None else counts
    while True:
        raw = escape_speech(raw, found, own)
        tags = list(find(_TAG, raw))  # in whatever letters and brackets they are written
        opens = ["/" not in tag[1] for _, _, tag in tags]
        text, position, dropped = "", 0, False
        for here, (start, end, _) in enumerate(tags):
            if opens[here] and opens[here + 1 : here + 2] == [False]:
                spelling = "<quote>"
            elif not opens[here] and opens[max(here - 1, 0)]:
                spelling = "</quote>"
            else:
                spelling, dropped = "", True
            if raw[start:end] != spelling:
                kind = FORGED_TAG if spelling else UNPAIRED_TAG
                found[kind] = found.get(kind, 0) + 1
            text += raw[position:start] + spelling
            position = end
        raw = text + raw[position:]
        if not dropped:  # the text around a dropped tag may close up into a new tag, special token or header
            return raw


def _located(content: str, offset: int, found: Found) -> Quote:
    """Return the quotation whose tag contents begin at `offset` of the judged text; white space inside the tags is not
    it."""
    words = content.strip()
    start = offset + (len(content) - len(content.lstrip()) if words else 0)
    return Quote(words, start, start + len(words), found.status, found.spans, found.after_negation)
