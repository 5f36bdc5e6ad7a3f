"""What the words of a passage, a quotation or a speech are, and when two of them are the same.

**Words.** A word is a run of letters, digits and their combining marks, with at most one apostrophe inside ("didn't",
"Tr'en"); a contraction may stand apart, as tokenizers write it ("did n't"). Hyphens, dashes and underscores separate
words, but digits joined by a mark are one word ("3.5", "1,000", "5-10", "1/2"): another mark is another number. Scripts
written without spaces between words are out of its reach.

**Signs.** Signs that carry meaning stand between words as if they were words (≥ < = + − ± % ° € $ and other signs of
currency or mathematics, and superscripts: "m²" is not "m2"), and are not counted as such. A hyphen is a minus before a
number and after a blank; angle brackets are no signs where they quote a line of mail, are doubled or make an HTML tag.

**Sameness.** Two words are the same if they agree after case folding, Unicode NFKC and the removal of apostrophes (all
that look like one between two letters) and invisible characters. Combining marks are a part of the word.
"""

import re
import unicodedata
from collections.abc import Iterator
from dataclasses import dataclass

from rostrum.envs.text.escaping import INVISIBLE


def _ranges(characters: list[str]) -> str:
    """Return the inside of a character class."""
    found: list[list[int]] = []
    for code in map(ord, characters):
        if found and code == found[-1][1] + 1:
            found[-1][1] = code
        else:
            found.append([code, code])
    return "".join(f"{re.escape(chr(first))}-{re.escape(chr(last))}" for first, last in found)


_CATEGORY = [(chr(code), unicodedata.category(chr(code))) for code in range(0x80, 0x20000)]
_SUPERSCRIPTS = "²³¹⁰ⁱ⁴-⁹⁺-ⁿ"
_FRACTIONS = "¼-¾⅐-⅞↉"
_MINUS = "\\-‐‑‒–−－﹣"
APOSTROPHES = "'‘’‛´`′ʹʻʼʽˈ᾽׳＇"
MARKS = _ranges([c for c, kind in _CATEGORY if kind[0] == "M"])
_MATHS = _ranges([c for c, kind in _CATEGORY if kind == "Sm" and c not in "⁄−⁺⁻⁼₊₋₌"])
_MONEY = "$" + _ranges([c for c, kind in _CATEGORY if kind == "Sc"])

# Possessive quantifiers (*+) keep every pattern linear: a speech is hostile input.
_LETTER = rf"[^\W_{_SUPERSCRIPTS}{_FRACTIONS}]"
_PIECE = rf"{_LETTER}++(?:[{MARKS}{INVISIBLE}]++{_LETTER}*+)*+"
_RUN = rf"{_PIECE}(?:(?<=\d)[.,:/·٫٬⁄{_MINUS}](?=\d){_PIECE})*+"
_CONTRACTED = rf"(?:[nN][{APOSTROPHES}][tT]|[{APOSTROPHES}](?i:s|re|m|ll|d|ve))(?![^\W_]|[{APOSTROPHES}])"
_WORD = (
    rf"(?:(?<![\w.)\]])\.(?=\d))?+{_RUN}(?:[{APOSTROPHES}](?!\d){_PIECE})?+"
    rf"(?:(?<!\d)\s++{_CONTRACTED})?+"
)
_ATTRIBUTE = r"\s++[\w-]++\s*+=\s*+(?:\"[^\"<>]*+\"|'[^'<>]*+'|[^\s<>\"']++)"
_TAG = (
    r"</?(?i:a|b|i|u|p|em|br|hr|li|ul|ol|td|tr|th|h[1-6]|div|pre|sub|sup|span|small|strong|table|blockquote)"
    rf"(?:{_ATTRIBUTE})*+\s*+/?>"
)
_SIGN = (
    rf"\+/[-−]|!=|(?<![<])<=?(?!<)|(?<![>=-])>=?(?!>)|(?<!=)={{1,2}}(?!=)|(?<!\+)\+{{1,2}}(?!\+)"
    rf"|~(?=\s?[\d.{_MONEY}])|[%％٪‰‱°℃℉＋＝＜＞﹢﹤﹥﹦{_MATHS}{_MONEY}]"
    rf"|−|(?<![\w)\]}}%°’”.,{_MINUS}—])[{_MINUS}](?=\.?\d|[{_MONEY}])"
)
_TOKEN = re.compile(
    rf"(?P<word>{_WORD})|(?P<power>[{_SUPERSCRIPTS}]++|\^[+{_MINUS}]?[^\W_]++)|(?P<fraction>[{_FRACTIONS}])"
    rf"|(?P<tag>{_TAG})|(?P<sign>{_SIGN})"
)
_ENDS_IN_NOT = re.compile(rf"[nN][{APOSTROPHES}][tT]\Z")
_DROPPED = re.compile(rf"[{APOSTROPHES}\s{INVISIBLE}]")
_SAME_SIGN = {"<=": "≤", ">=": "≥", "≦": "≤", "⩽": "≤", "≧": "≥", "⩾": "≥", "!=": "≠", "+/-": "±", "+/−": "±", "∼": "~"}
_SAME_MARK = str.maketrans({**dict.fromkeys("‐‑‒–−－﹣", "-"), "⁄": "/", "·": ".", "٫": ".", "٬": ","})

_PREFIXES = frozenset("<>≤≥≠≈≃≅~±√¬+−")
_SUFFIXES = frozenset("%٪‰‱°")

_NEGATIONS = frozenset(
    "no not never none nobody nothing nowhere neither nor cannot without non hardly scarcely barely rarely seldom "
    "deny denies denied denying except excepting unless refuse refuses refused refusing fail fails failed failing "
    "lack lacks lacked lacking forbid forbids forbade forbidden prohibit prohibits prohibited prevent prevents "
    "prevented false untrue".split()
) | {
    f"{verb}nt"
    for verb in "do does did is are was were has have had ca wo would could should must need ai might".split()
}
_NEGATIONS_ELSEWHERE = frozenset(
    "ne pas jamais rien aucun aucune sans ni sauf nunca jamás tampoco nadie nada ningún ninguna ninguno sin excepto "
    "salvo não nem ninguém nenhum nenhuma sem mai nessuno nessuna niente senza né nicht kein keine keinen keinem "
    "keiner keines nie niemals niemand nichts nirgends ohne weder ausser niet geen nooit niets zonder inte ikke ej "
    "aldrig aldri ingen inget intet utan uden uten nigdy bez ani nikt nic není не нет ни ні никогда никто ничего без "
    "кроме değil yok hiç tidak bukan tanpa không chưa chẳng नहीं न मत बिना لا لم لن ليس ليست بدون غير إلا نه نیست "
    "לא אין בלי אל δεν δε μην όχι χωρίς".split()
)
_NEGATING_CHARACTERS = frozenset("不没沒無无未非勿莫")
_NEGATING_ENDINGS = ("ない", "ません", "なかった", "않다", "않는다", "없다")


@dataclass(frozen=True, slots=True)
class Token:
    """A word or a sign, where it stands in its text, and the key that two of the same have in common."""

    start: int
    end: int
    key: str
    kind: str
    """"word", "fraction", "power" or "sign": the group of `_TOKEN`."""
    negates: bool
    """Whether it turns what follows into its opposite, or takes it back, in English."""

    @property
    def counts(self) -> bool:
        """Whether it counts as a word."""
        return self.kind in ("word", "fraction")

    @property
    def may_negate(self) -> bool:
        """Whether it does so in English or another language, as far as known."""
        return (
            self.negates
            or self.key in _NEGATIONS_ELSEWHERE
            or not _NEGATING_CHARACTERS.isdisjoint(self.key)
            or self.key.endswith(_NEGATING_ENDINGS)
        )


def tokens(text: str) -> Iterator[Token]:
    """Yield the words and signs of a text, in order."""
    for match in _TOKEN.finditer(text):
        kind = match.lastgroup or ""
        if kind != "tag" and (key := _key(match[0], kind)):
            negates = key in _NEGATIONS or _ENDS_IN_NOT.search(match[0]) is not None
            yield Token(match.start(), match.end(), key, kind, negates)


def words(text: str) -> list[str]:
    """Return the words of a text as they are compared, in order, without its signs."""
    return [token.key for token in tokens(text) if token.counts]


def bound(text: str, one: Token, other: Token) -> bool:
    """Return whether neighbours belong together, so that whoever quotes one without the other quotes something else:
    "≥ 65", "−5", "$5", "5 %", "m²", "2½"."""
    apart = other.start > one.end
    if one.kind == "sign" and (other.key[0].isdigit() or other.key[0] == "." or other.kind in ("sign", "fraction")):
        if one.key == "+":
            return not apart and not text[one.start - 1 : one.start].strip()
        return one.key in _PREFIXES or _is_money(one)
    if other.kind == "power":
        return not apart
    if other.kind == "fraction":
        return not apart and one.key[-1].isdigit()
    if other.kind == "sign":
        if other.key[:1] == "+":
            return not apart and not text[other.end : other.end + 1].strip()
        return other.key[0] in _SUFFIXES or (_is_money(other) and one.key[-1].isdigit() and not apart)
    return False


def _is_money(token: Token) -> bool:
    return unicodedata.category(token.key[0]) == "Sc"


def _key(text: str, kind: str) -> str:
    if kind == "power":
        return "^" + unicodedata.normalize("NFKC", text.lstrip("^")).translate(_SAME_MARK).casefold()
    if kind == "sign":
        sign = unicodedata.normalize("NFKC", text).casefold()
        return "−" if sign in ("-", "‐", "‑", "‒", "–") else _SAME_SIGN.get(sign, sign)
    bare = _DROPPED.sub("", text)
    folded = unicodedata.normalize("NFKC", bare).casefold()
    return unicodedata.normalize("NFKC", folded).translate(_SAME_MARK)
