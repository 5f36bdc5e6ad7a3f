"""The debates of the browser, cut into pieces that the page only has to put into text nodes.

Debater text is untrusted. Nothing here is markup: the page gets it packed (`trainer.report.packed`), and its script
writes text, never HTML.
"""

import re
import unicodedata
from collections.abc import Iterable, Sequence
from itertools import pairwise
from typing import Any

from rostrum.trainer.evaluation.verdict_table import CHECKPOINT
from rostrum.trainer.policies import belongs
from rostrum.trainer.report.inputs import Debate, QuoteRecord, SpeechRecord, TranscriptRecord

_OPENING = re.compile(r"(\s*)<[vu]_quote>(\s*)\Z")
_CLOSING = re.compile(r"\A(\s*)</[vu]_quote>(\s*)")
HARD_WRAPPED = 45, 90
"""Characters of a line that somebody broke to fit a page."""
_HIDDEN = {"Cc", "Cf", "Co", "Cs", "Zl", "Zp"}
"""Unicode categories that show nothing or reorder what is shown: a debater could hide text with them."""
_BREAKS = {ord(char): None for char in "\n\r\t"}


def browser_data(debates: Iterable[Debate]) -> dict[str, Any]:
    """Return what the browser shows: the distinct passages, and the debates that point to them.

    Offsets into passages count UTF-16 units, as JavaScript does.
    """
    passages: dict[str, int] = {}
    rows = [
        _debate(debate) | {"passage": passages.setdefault(debate.transcript.question.passage, len(passages))}
        for debate in debates
    ]
    return {"passages": [reflowed(visible(passage)) for passage in passages], "debates": rows}


def visible(text: str) -> str:
    """Return the text with every character that is invisible or reorders text replaced, one for one, by U+FFFD."""
    if text.translate(_BREAKS).isprintable():
        return text  # most texts, at a hundredth of the time
    return "".join(
        "\N{REPLACEMENT CHARACTER}" if unicodedata.category(char) in _HIDDEN and char not in "\n\r\t" else char
        for char in text
    )


def reflowed(text: str) -> str:
    """Return the text with its hard line breaks turned into spaces, one for one so that offsets stay: a break after a
    line of the length of wrapped ones, between two lines with text. Headings, verses and paragraphs keep theirs."""
    lines = text.split("\n")
    joined = [
        " " if HARD_WRAPPED[0] <= len(line) <= HARD_WRAPPED[1] and after.strip() else "\n"
        for line, after in pairwise(lines)
    ]
    return "".join(part for pair in zip(lines, [*joined, ""], strict=True) for part in pair)


def judged(debate: Debate) -> str:
    """Return "right", "wrong", "undecided" (exactly even) or "invalid" (no verdict that could be read)."""
    last = debate.p_after[-1] if debate.p_after else None
    if last is None or debate.correct_seat is None:
        return "invalid"
    if last == 0.5:
        return "undecided"
    return "right" if (last > 0.5) == (debate.correct_seat == "A") else "wrong"


def sides_of(debate: Debate) -> str:
    """Return the sides that the checkpoint held: "AB", "A", "B" or "" (not known)."""
    return "".join(sorted({speech.side for speech in debate.transcript.speeches if belongs(speech.policy, CHECKPOINT)}))


def _debate(debate: Debate) -> dict[str, Any]:
    transcript = debate.transcript
    passage = transcript.question.passage
    numbered = _numbered(transcript.speeches)
    return {
        "arm": debate.arm,
        "checkpoint": debate.checkpoint,
        "matchup": debate.matchup,
        "judge": debate.judge,
        "sides": sides_of(debate),
        "outcome": judged(debate),
        "correct": debate.correct_seat,
        "p": debate.p_after,
        "readAs": {side: visible(name) for side, name in debate.read_as.items()},
        "question": visible(transcript.question.text),
        "id": transcript.question.id,
        "protocol": transcript.protocol.name,
        "answers": [visible(answer) for answer in transcript.answers],
        "marks": marks(passage, [(number, quote) for quotes in numbered for number, quote in quotes]),
        "speeches": [
            {"label": transcript.label(speech), **_speech(speech, quotes)}
            for speech, quotes in zip(transcript.speeches, numbered, strict=True)
        ],
        "asked": _asked(transcript),
    }


def _asked(transcript: TranscriptRecord) -> dict[int, str]:
    """Return what the judge asked, by the number of speeches before it."""
    return {
        sum(speech.turn < inquiry.turn for speech in transcript.speeches): visible(inquiry.text)
        or f"(nothing: {inquiry.problem})"
        for inquiry in transcript.inquiries
    }


def _numbered(speeches: Sequence[SpeechRecord]) -> list[list[tuple[int, QuoteRecord]]]:
    """Return the quotes of each speech in order of appearance, numbered from 1 through the debate."""
    numbered, number = [], 0
    for speech in speeches:
        quotes = sorted(speech.quotes, key=lambda quote: quote.start)
        numbered.append([(number + place, quote) for place, quote in enumerate(quotes, start=1)])
        number += len(quotes)
    return numbered


def _speech(speech: SpeechRecord, quotes: Sequence[tuple[int, QuoteRecord]]) -> dict[str, Any]:
    return {
        "side": speech.side,
        "words": speech.words,
        "policy": speech.policy,
        "version": speech.policy_version,
        "private": visible(speech.private),
        "pieces": pieces(speech.text, quotes),
    }


def pieces(text: str, quotes: Sequence[tuple[int, QuoteRecord]]) -> list[dict[str, Any]]:
    """Return the speech as plain and quoted pieces in order; the tags the environment set around a quote are left out.

    A quote that overlaps an earlier one or lies outside the text is skipped: its words stay plain text.
    """
    cut: list[dict[str, Any]] = []
    position = 0
    for number, quote in quotes:
        if not position <= quote.start < quote.end <= len(text):
            continue
        cut.append({"text": _between(text[position : quote.start], after_quote=bool(cut), before_quote=True)})
        described = {"number": number, "status": quote.status, "negated": quote.after_negation}
        cut.append({"text": visible(text[quote.start : quote.end]), "quote": described})
        position = quote.end
    cut.append({"text": _between(text[position:], after_quote=bool(cut), before_quote=False)})
    return [piece for piece in cut if piece["text"]]


def _between(text: str, after_quote: bool, before_quote: bool) -> str:
    """Return plain text without the tags at its ends; of the space on both sides of a tag, one side stays."""
    if after_quote:
        text = _CLOSING.sub(lambda found: found[2] or found[1], text)
    if before_quote:
        text = _OPENING.sub(lambda found: found[1] or found[2], text)
    return visible(text)


def marks(passage: str, quotes: Sequence[tuple[int, QuoteRecord]]) -> list[dict[str, Any]]:
    """Return the quoted stretches of a passage, disjoint and in order, each with the numbers of the quotes it belongs
    to."""
    spans = [
        (start, end, number)
        for number, quote in quotes
        for start, end in quote.source
        if 0 <= start < end <= len(passage)
    ]
    cuts = sorted({end for span in spans for end in span[:2]})
    units = _utf16(passage, cuts)
    found = []
    for left, right in pairwise(cuts):
        numbers = sorted({number for start, end, number in spans if start <= left and right <= end})
        if numbers:
            found.append({"start": units[left], "end": units[right], "quotes": numbers})
    return found


def _utf16(text: str, offsets: Iterable[int]) -> dict[int, int]:
    """Return the code-point offsets (ascending) as offsets in UTF-16 units."""
    units, position, total = {}, 0, 0
    for offset in offsets:
        total += len(text[position:offset].encode("utf-16-le", "surrogatepass")) // 2
        position = offset
        units[offset] = total
    return units
