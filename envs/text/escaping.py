"""Debater text made harmless: what could steer a model, a page or a terminal is taken out or broken up, and counted.

`escape_markup` is for any reader. `escape_speech` is for readers of a debate: it also marks the lines of a speech that
begin as the prompt's own lines do ("Debater B said:", "Verdict: A", "### Instructions"), so that none of them can pass
for a turn of somebody else's. Both are idempotent and leave ordinary text as it is, byte by byte. `escape_passage` and
`escape_field` do the same to what comes from a question file.

What is looked for is looked for in the text as a normalising tokenizer reads it (`fold`): letters of full width,
brackets that look like ours, blanks and colons of every kind are what they stand for, and what cannot be seen is not
there.
"""

import re
import unicodedata
from collections.abc import Hashable, Iterator, MutableMapping, Sequence
from functools import lru_cache
from typing import Protocol as Interface

INVISIBLE = (
    "\u00ad\u034f\u061c\u115f\u1160\u17b4\u17b5\u180b-\u180f\u200b-\u200f\u202a-\u202e\u2060-\u206f\u3164"
    "\ufe00-\ufe0f\ufeff\uffa0\ufff9-\ufffb\U0001d173-\U0001d17a\U000e0000-\U000e0fff"
)
_CONTROL = "\x00-\x08\x0e-\x1b\x1f\x7f-\x84\x86-\x9f"

HEADER_MARK = "| "
"""What a line that begins like the prompt's own is made to begin with."""

# Possessive quantifiers (*+) keep every pattern linear: a speech is hostile input.
_LINE_BREAK = re.compile("\r\n?|[\x0b\x0c\x1c-\x1e\x85\u2028\u2029]")
_ANSI = re.compile(
    r"(?:\x1b\[|\x9b)[0-?]*+[ -/]*+[@-~]"
    r"|(?:\x1b[\]PX^_]|[\x90\x98\x9d-\x9f])[^\x07\x1b\x9c]*+(?:\x07|\x1b\\|\x9c)"
    r"|\x1b[ -/]++[0-~]|\x1b[@-_]"
)
# Chat templates write their marks in few shapes, and each shape is broken up whole, whoever's model it is. What has no
# shape of its own is named.
_BAR = r"<(?=/?+[|\uff5c])|<(?=/?+[\w.\u2581-]{1,40}+[|\uff5c]>)|\[(?=/?+\|\w{1,40}+\|\])"
"""`<|im_start|>`, `<|channel|>`, `<｜User｜>`, `</｜DSML｜invoke>`, `<turn|>`, `[|user|]`."""
_JOINED = (
    r"<(?=/?+(?![uv]_quote>)[A-Za-z]{1,40}+_[A-Za-z0-9_]{1,40}+>)"
    r"|\[(?=/?+[A-Z]{1,40}+_[A-Z_]{1,40}+\])|\[(?=/[A-Z]{1,40}+\])"
)
"""`<start_of_turn>`, `<BOS_TOKEN>`, `<extra_id_0>`, `[SYSTEM_PROMPT]`, `[/INST]`; our own tags are not meant."""
_NAMED = (
    r"<(?=</?SYS>>)|<(?=/?(?i:s|[be]o[sdtpmah]|sop|pad|unk|mask|sep|cls|unused[0-9]{1,9}|think|image|endoftext)>)"
    r"|<(?=seed:[a-z_]{1,40}+>)|<(?=/?(?:passage|system|user|assistant|judge|verdict)>)"
    r"|\[(?=(?:INST|THINK|IMG|ARGS|BOS|EOS|EOT|PAD|UNK|CLS|SEP|MASK|[gs]MASK|(?:start|end)_header_id)\])"
    r"|\[(?=\[[AB]\]\])|\](?=~!?b[\[\]])|\[(?=e~\[)"
)
"""`<s>`, `<eos>`, `<think>`, `[INST]`, `[gMASK]`, MiniMax's `]~b]` and `[e~[`, and what marks a prompt or a verdict."""
_SPECIAL_TOKEN = re.compile(rf"{_BAR}|{_JOINED}|{_NAMED}")
_LOOKED_UP = re.compile(r"<(?=/?[uv]_quote>)", re.IGNORECASE)
"""What the environment writes round quotes that it has looked up."""
_SPEAKER = r"judge|system|developer|user|human|assistant|ai|moderator|(?:debater|consultant|assistant)[ \t_-]*+"
_PART = (
    r"verdict|decision|winner|passage|question|instructions?"
    r"|(?:right[ \t]++|correct[ \t]++)?answer(?:[ \t_-]*+[ab])?"
)
LEAD = (
    r"(?:(?:</?(?:b|i|u|p|em|br|hr|li|div|span|strong|h[1-6])>|&gt;|\d{1,3}[.)]"
    r"|[*_`~>=+.…\[({\"'\u201c«<•‣◦·–—-])++[ \t]*+)*+"
)
"""What may stand before the first word of a line as emphasis, as a bracket, or as the sign of a list."""
_LINE = re.compile(r"^.+$", re.MULTILINE)


def header(names: str) -> re.Pattern[str]:
    """Return what finds that a line begins as one of a prompt's does: with a speaker who has one of these names (a
    pattern), with a part of the prompt, or as a heading."""
    return re.compile(
        rf"(?=[ \t]*+{LEAD}(?:"
        r"#"
        rf"|(?:(?:the|final|official|new|my)[ \t]++){{0,2}}+(?:{_SPEAKER}{names}|{_PART})"
        r"(?:[ \t]++(?:said|says|is|writes|note|notes))?+[ \t]*+[*_`\])}\"'\u201d]*+[ \t]*+[:\uff1a]"
        r"))",
        re.IGNORECASE,
    )


_HEADER = header("[ab12]")

_ALIKE = {
    **dict.fromkeys("\u2039\u27e8\u2329\u3008\u276c\u276e\u2770\u29fc\u02c2\u1438\ufe3f\u226e", "<"),
    **dict.fromkeys("\u203a\u27e9\u232a\u3009\u276d\u276f\u2771\u29fd\u02c3\u1433\ufe40\u226f", ">"),
    **dict.fromkeys("\u2236\ua789\u02d0\u02f8\u0589\u05c3\u0703\u0704\u16ec\u205a\u1804\ua4fd\ufe30", ":"),
    **dict.fromkeys("\u2223\u01c0\u2758\u2502\u23d0\u05c0", "|"),
    **dict.fromkeys("\u2044\u2215\u29f8\u2571", "/"),
    "\u2800": " ",
    "\u1680": " ",
}
"""Signs that look like those that marks are made of, beyond what Unicode calls compatible."""


_UNSEEN = re.compile(f"[{INVISIBLE}]")


@lru_cache(maxsize=4096)
def _plain(sign: str) -> str:
    """Return a sign as normalising tokenizers read it: compatible signs as what they stand for, without accents, and
    nothing for one that cannot be seen."""
    if sign in _ALIKE:
        return _ALIKE[sign]
    if _UNSEEN.match(sign):
        return ""
    parts = unicodedata.normalize("NFKD", sign)
    return "".join(part for part in parts if not unicodedata.combining(part) and unicodedata.category(part) != "Me")


def fold(text: str) -> tuple[str, Sequence[int]]:
    """Return the text with every sign as what it stands for (NFKC, look-alikes, all blanks and colons, accents and what
    cannot be seen left out), and where in the text each sign of it begins, and the end."""
    if text.isascii():
        return text, range(len(text) + 1)
    table = {ord(sign): _plain(sign) for sign in set(text) if not sign.isascii()}
    if all(len(plain) == 1 for plain in table.values()):
        return text.translate(table), range(len(text) + 1)
    folded, starts = list[str](), list[int]()
    for place, sign in enumerate(text):
        plain = table.get(ord(sign), sign)
        folded.append(plain)
        starts += [place] * len(plain)
    return "".join(folded), [*starts, len(text)]


def find(pattern: re.Pattern[str], text: str) -> Iterator[tuple[int, int, re.Match[str]]]:
    """Yield where in the text the pattern is found once it is folded: start, end, and the match in the folded text."""
    folded, starts = fold(text)
    for match in pattern.finditer(folded):
        end = starts[match.end() - 1] + 1 if match.end() > match.start() else starts[match.start()]
        yield starts[match.start()], end, match


def break_up(pattern: re.Pattern[str], text: str) -> tuple[str, int]:
    """Return the text with a blank behind the first sign of whatever folds to the pattern, and how often it does."""
    pieces, position, found = list[str](), 0, 0
    for start, _, _ in find(pattern, text):
        if start >= position:
            pieces += [text[position : start + 1], " "]
            position, found = start + 1, found + 1
    return "".join([*pieces, text[position:]]), found


class Lines(Hashable, Interface):
    """The lines and tags of a prompt set, which no speech may forge (`envs.prompts.own_lines`)."""

    tags: re.Pattern[str]
    """Finds the bracket of such a tag."""

    def begins(self, line: str) -> bool:
        """Return whether a folded line begins as one of the prompt's own does."""


_RULES = (
    ("escape sequence", _ANSI, ""),
    ("", _LINE_BREAK, "\n"),
    ("invisible character", re.compile(f"[{INVISIBLE}]"), ""),
    ("control character", re.compile(f"[{_CONTROL}]"), ""),
    ("surrogate", re.compile("[\ud800-\udfff]"), "\ufffd"),
)
SPECIAL, HEADER, FORGED_TAG, UNPAIRED_TAG = "special token", "header", "forged tag", "unpaired tag"
KINDS = (*(kind for kind, _, _ in _RULES if kind), SPECIAL, HEADER, FORGED_TAG, UNPAIRED_TAG)
"""What can be neutralised in a speech, by the names under which it is counted (`Speech.neutralised`)."""

Counts = MutableMapping[str, int]


def escape_markup(text: str, counts: Counts | None = None) -> str:
    """Return debater text made fit for a judge's prompt, a page or a terminal. Idempotent; our own tags stay.

    Removed: ANSI escape sequences, control characters other than tab and newline, bidirectional controls, zero-width
    and other invisible characters (soft hyphens, fillers, variation selectors, Unicode tags). Every other line break
    becomes a newline, a lone surrogate becomes U+FFFD. Special tokens of chat templates (`<|im_start|>`, `[INST]`, …),
    whatever model reads them, and the marks of a prompt or a verdict (`<passage>`, `[[A]]`) get a space after their
    bracket, so that a tokenizer reads them as plain text. How often each was done is added to `counts`, line breaks
    aside.
    """
    for kind, pattern, replacement in _RULES:
        text, found = pattern.subn(replacement, text)
        _add(counts, kind, found)
    text, found = break_up(_SPECIAL_TOKEN, text)
    _add(counts, SPECIAL, found)
    return text


def escape_speech(text: str, counts: Counts | None = None, own: Lines | None = None) -> str:
    """Return the text as `escape_markup` does, with a bar before every line that begins like one of the prompt's own
    (`| Judge: …`).

    Such lines are those of a speaker ("Judge:", "System:", "Debater B said:"), of a part of the prompt ("Question:",
    "Answer A:", "Verdict:") and headings ("### …"), with or without emphasis, brackets and blanks before them, and what
    begins a line in the prompt set whose lines are `own`; its tags are broken up like special tokens. Marks inside a
    line, and letters of other scripts that look like ours, are left alone.
    """
    text = escape_markup(text, counts)
    if own is not None:
        text, found = break_up(own.tags, text)
        _add(counts, SPECIAL, found)
    pieces, position, found = list[str](), 0, 0
    for start, _, line in find(_LINE, text):
        if _HEADER.match(line[0]) or (own is not None and own.begins(line[0])):
            pieces += [text[position:start], HEADER_MARK]
            position, found = start, found + 1
    _add(counts, HEADER, found)
    return "".join([*pieces, text[position:]])


@lru_cache(maxsize=512)
def escape_passage(text: str, own: Lines) -> str:
    """Return a passage as judges and debaters read it: escaped as a speech is, and without the marks of quotes that
    were looked up, which only the environment may write. Idempotent; ordinary text stays as it is, byte by byte."""
    return escape_speech(break_up(_LOOKED_UP, text)[0], own=own)


def escape_field(text: str, own: Lines) -> str:
    """Return a question or an answer as judges and debaters read it, behind a label on its line ("Answer A: …"): as
    `escape_passage`, but the first line gets no bar, since it begins none of the prompt's."""
    safe = escape_passage(text, own)
    return safe if escape_markup(text).startswith(HEADER_MARK) else safe.removeprefix(HEADER_MARK)


def _add(counts: Counts | None, kind: str, found: int) -> None:
    if counts is not None and kind and found:
        counts[kind] = counts.get(kind, 0) + found
