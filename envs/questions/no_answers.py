"""Options of multiple choice that are no answers of their own: they speak of other options, or stand for nothing."""

import re

_OTHERS = (
    r"(?:other |listed |given |offered |following )?"
    r"(?:options?|answers?|choices?|answer choices|alternatives|possibilities)"
)
_ABOVE = r"(?:above|preceding|foregoing|aforementioned)"
_TRUE = r"(?:is|are) (?:all |both )?(?:true|correct|right|false|incorrect|wrong|possible|valid)"
_ABOUT_OPTIONS = re.compile(
    rf"\b(?:all|none|both|neither|any|some|most|many|one|two|three|either|each|every one) of (?:the )?{_ABOVE}\b"
    rf"|\b(?:all|none|both|any|neither) the {_ABOVE}\b"
    rf"|\b(?:all|none|both|neither|any|either|each) of (?:the|these|those) {_OTHERS}\b"
    r"|^(?:all|none|both|neither|either|any) of (?:these|those|the others?)\W*$"
    rf"|^(?:all|none|both|neither|any) of (?:these|those|them) {_TRUE}\W*$"
    rf"|^(?:all|none|neither|both|no)(?: {_OTHERS})? {_TRUE}\W*$"
    r"|^(?:all|none|neither|any) above\W*$"
    rf"|^no (?:correct|right|other) {_OTHERS}(?: (?:is )?given)?\W*$",
    re.IGNORECASE,
)
_LETTER = r"(?:\([A-Ja-j]\)|[A-J]\b)"
_ANY_LETTER = r"\(?[A-Ja-j]\b\)?"
_BY_LETTER = re.compile(
    rf"^(?:(?:[Bb]oth|[Nn]either|[Ee]ither|[Oo]nly|[Aa]ll of|[Nn]one of)\s+)?"
    rf"(?:(?:[Oo]ptions?|[Aa]nswers?|[Cc]hoices?|[Ss]tatements?)\s+)?"
    rf"{_LETTER}(?:\s*,\s*{_LETTER})*,?\s*(?:and|or|nor|but not|&)\s+(?:not\s+)?{_LETTER}"
    rf"(?:,?\s+(?:only|both|alone|{_TRUE}|but not {_LETTER}))?\W*$"
    rf"|^(?i:both|neither|either|only) {_ANY_LETTER} (?:and|or|nor|&) {_ANY_LETTER}\W*$"
    rf"|^{_ANY_LETTER} (?:and|or|&) {_ANY_LETTER} (?:only|both)\W*$"
)
"""`Both A and B`, `A and C only`, `A, B and D`, `Neither (a) nor (b)`; capitals, or letters in parentheses."""
_NOTHING = re.compile(r"[<#]?(?:n\s*/\s*a|n\.\s?a\.?|nan)>?|<na>|not applicable|not available", re.IGNORECASE)


def is_no_answer(option: str) -> bool:
    """Return whether an option makes no sense between two answers: `All of the above`, `Both A and B`, `N/A`, `nan`."""
    text = " ".join(option.split())
    return bool(_ABOUT_OPTIONS.search(text) or _BY_LETTER.match(text) or _NOTHING.fullmatch(text.rstrip(".")))
