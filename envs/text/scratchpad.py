"""The private scratchpad: what a debater thinks before it speaks, taken out by the environment.

Thoughts stand between `<thinking>` and `</thinking>` (Khan et al. 2024), or between the marks that a model was taught:
`<think>`, `[THINK]`, `<seed:think>`, `<|START_THINKING|>`, `◁think▷`, `<reasoning>`, `<|begin_of_thought|>`,
`<|inner_prefix|>` and their kin; in the channels of harmony (`<|channel|>analysis<|message|>…`), where only the final
one is said aloud; in turns of their own (`<|im_start|>think … <|im_start|>answer`); or before a mark with which the
answer begins (`<|START_RESPONSE|>`, `<answer>`). Whatever is ambiguous is private: nothing that was meant to be hidden
may reach the judge, and a debater gains nothing by hiding a part of its speech.
"""

import re
from typing import Literal, NamedTuple

from rostrum.envs.text.escaping import find

Kind = Literal["open", "close", "speak", "stop", "header", "message", "end"]
"""A thought begins or ends, the answer begins or ends; in harmony a header begins, its message, and the end of one."""

_THOUGHT = (
    r"think(?:ing|s)?|thoughts?|antthinking|reason(?:ing|s)?|rationale|reflect(?:ion|ions)?|scratch|cot"
    r"|analysis|deliberat(?:e|ion)|monologue?|introspection|contemplat(?:e|ion|or)|ponder(?:ing)?|inner|internal"
)
_ANSWER = r"response|answer|output|solution|final|reply|content|text"
_FILL = (
    r"start|beginning|begin|ending|end|stop|close|open|finish|prefix|suffix|off|of|on|the|my|pad|block|process|chain"
    r"|private|hidden|seed|longcat|mm|model|deep|budget|section|step|token|tag|assistant|bo|eo"
)
_CLOSING = {"end", "ending", "stop", "close", "finish", "suffix", "off", "eo"}
# Possessive quantifiers (*+) keep the pattern linear: a speech is hostile input. Longer words come first for them.
_SPACE = r"[\s_:.\u2581-]*+"
_TURN = (
    r"<\|(?:im_start|start_header_id|header_start|start_of_role|turn_start|im_assistant)\|>"
    r"|<start_of_turn>|<\|turn>|<role>"
)
"""What begins a turn of a chat template, before the role's name."""
_TURN_NAMED = r"<\|(?:end_header_id|header_end|end_of_role|im_sep|im_middle)\|>|</role>"
"""What may follow the role's name."""
_WORDS = rf"(?:(?:{_FILL}){_SPACE})*+"
_MARK = re.compile(
    rf"(?P<harmony><\|(?:start|channel|message|end|return|call|constrain)\|>)"
    rf"|(?P<turn>(?:{_TURN})\s*+(?:(?P<thinks>{_THOUGHT})|assistant|model|{_ANSWER})\b\s*+(?:{_TURN_NAMED})?+)"
    rf"|(?P<channel><\|channel>|<channel\|>)|(?P<reserved><unused9[45]>)"
    rf"|[<\u25c1\uff1c]\s*(?P<slash>/?)\s*[|\uff5c]?\s*(?P<slash2>/?)\s*"
    rf"(?P<angle>{_WORDS}(?:{_THOUGHT})(?:{_SPACE}(?:{_FILL}|{_THOUGHT}))*+"
    rf"|{_WORDS}(?:{_ANSWER})(?:{_SPACE}(?:{_FILL}|{_ANSWER}))*+)"
    rf"(?:[\s=][^<>\n]{{0,80}}|/)?\s*[|\uff5c]?\s*[>\u25b7\uff1e]"
    rf"|\[\s*(?P<square_slash>/?)\s*(?P<square>(?:{_FILL})?_?(?:think(?:ing)?|thoughts?|reasoning)_?(?:{_FILL})?)\s*\]"
    r"|(?P<process>\bhere(?:'s| is) my thought process:)|(?P<response>\bhere(?:'s| is) my response:)",
    re.IGNORECASE,
)
_WORD = re.compile(rf"{_THOUGHT}|{_ANSWER}|{_FILL}")
_OWN = re.compile(r"<\s*/?\s*thinking\s*>", re.IGNORECASE)
_TURN_MARK = re.compile(_TURN, re.IGNORECASE)
_SAME = {"thinking": "think", "thinks": "think", "thought": "think", "thoughts": "think", "antthinking": "think"}


class _Mark(NamedTuple):
    """A mark, and where it stands in a text."""

    start: int
    end: int
    kind: Kind
    name: str
    """What a thought's two marks share; "turn" for those that begin a turn."""


def split(raw: str, told: bool = True) -> tuple[str, str]:
    """Return what is said in public, and what was thought in private (marks left out).

    A closing mark without an opening one makes everything before it private, as where the prompt itself has begun the
    thought; so does a mark with which the answer begins. An opening mark that is never closed, by a mark of its own
    name, makes everything after it private; a turn of thoughts is closed by the turn of an answer alone. Nothing is
    public after the mark that ends the answer. Where nobody was `told` of a scratchpad, its own tags (`<thinking>`) are
    text; the marks of thinking models are never text.
    """
    marks = _marks(raw, told)
    if not marks and not told:
        return raw, ""
    channels = any(mark.kind in ("header", "message") for mark in marks)
    public: list[str] = []
    private: list[str] = []
    position, opened = 0, "header" if channels and _begins_in_header(raw, marks) else ""
    for mark in marks:
        kind, name = mark.kind, mark.name
        if kind in ("header", "message", "end") and not channels:
            continue
        if kind == "speak" and name in ("turn", "process") and opened != name:
            continue
        text = raw[position : mark.start]
        if (kind == "close" and not opened) or (kind == "speak" and not opened):
            private, public = [*private, *public, text], []
        else:
            (private if opened else public).append(text)
        if kind == "message":
            opened = "" if opened == "header" and _is_final(text) else "channel of thoughts"
        elif kind == "header":
            opened = "header"
        elif kind in ("end", "stop"):
            opened = opened or "after the answer"
        elif kind == "open":
            opened = opened or name
        elif kind == "speak" or name == opened or not opened:
            opened = ""
        position = mark.end
    (private if opened else public).append(raw[position:])
    return _joined(public), _joined(private)


def _begins_in_header(raw: str, marks: list[_Mark]) -> bool:
    """Return whether a text in harmony's channels begins inside a header, or in a message that nobody knows of. It
    begins with what is said aloud if a header follows, and no final message."""
    first = next(mark for mark in marks if mark.kind in ("header", "message", "end"))
    before = zip(marks, marks[1:], strict=False)
    finals = (two.kind == "message" and _is_final(raw[one.end : two.start]) for one, two in before)
    return first.kind != "header" or any(finals)


def _is_final(header: str) -> bool:
    return header.casefold().split()[:1] == ["final"]


def is_mark(token: str, harmony: bool = False) -> bool:
    """Return whether a token is, as a whole, a mark round a thought or an answer; those of harmony count for models
    that speak in channels."""
    found = _MARK.fullmatch(token)
    return found is not None and (harmony or not found["harmony"])


def is_turn(token: str) -> bool:
    """Return whether a token is, as a whole, what begins a turn of a chat template."""
    return _TURN_MARK.fullmatch(token) is not None


def thinks_in_turns(text: str) -> bool:
    """Return whether a turn of thoughts begins in a text."""
    return any(mark["thinks"] for mark in _MARK.finditer(text))


def kinds(text: str) -> set[Kind]:
    """Return the kinds of the marks in a text that are not harmony's. A turn of thoughts is closed by another turn."""
    found: set[Kind] = {_kind(mark)[0] for mark in _MARK.finditer(text) if not mark["harmony"] and not mark["turn"]}
    return found | {"open", "close"} if thinks_in_turns(text) else found


def without_marks(text: str) -> str:
    """Return a text without the marks round thoughts and answers, harmony's and those of turns aside."""
    return _MARK.sub(lambda mark: mark[0] if mark["harmony"] or mark["turn"] else "", text)


def left_open(prompt: str) -> str:
    """Return the mark of the thought with which a prompt ends, so that what is sampled after it begins in the middle of
    a thought; nothing if it does not end so."""
    opened, name = "", ""
    for mark in _MARK.finditer(prompt):
        kind, called = _kind(mark)
        if kind == "open" and not opened:
            opened, name = mark[0], called
        elif kind == "speak" or (kind == "close" and called == name):
            opened = ""
    return opened


def _marks(raw: str, told: bool) -> list[_Mark]:
    """Return the marks in a text, as it is once folded. `<text>` and `<content>` are marks only between bars, and the
    marks of an answer only beside those of a thought where nobody was told of a scratchpad."""
    found = [
        _Mark(start, end, *_kind(mark))
        for start, end, mark in find(_MARK, raw)
        if (told or not _OWN.fullmatch(mark[0])) and not re.fullmatch(r"<\s*/?\s*(?:text|content)\b[^|]*>", mark[0])
    ]
    thoughts = told or any(mark.kind not in ("speak", "stop") for mark in found)
    return found if thoughts else []


def _kind(mark: re.Match[str]) -> tuple[Kind, str]:
    """Return what a mark does, and the name that a thought's two marks share."""
    text = mark[0].lower()
    if mark["harmony"]:
        kinds: dict[str, Kind] = {
            "<|message|>": "message",
            "<|start|>": "header",
            "<|channel|>": "header",
            "<|constrain|>": "header",
        }
        return kinds.get(text, "end"), ""
    if mark["turn"]:
        return ("open" if mark["thinks"] else "speak"), "turn"
    if mark["channel"]:
        return ("open" if text == "<|channel>" else "close"), "channel"
    if mark["reserved"]:
        return ("open" if text == "<unused94>" else "close"), "reserved"
    if mark["process"] or mark["response"]:
        return ("open" if mark["process"] else "speak"), "process"
    words = _WORD.findall((mark["angle"] or mark["square"]).lower())
    closing = bool(mark["slash"] or mark["slash2"] or mark["square_slash"] or _CLOSING & set(words))
    stems = [_SAME.get(word, word) for word in words if re.fullmatch(_THOUGHT, word)]
    if stems:
        return ("close" if closing else "open"), " ".join(stems)
    return ("stop" if closing else "speak"), "answer"


def _joined(parts: list[str]) -> str:
    return "\n".join(text for part in parts if (text := part.strip()))
