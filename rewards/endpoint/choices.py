"""From what an endpoint gives to the log-probability of each choice: the likeliest first tokens, or samples."""

import math
import re
from collections import Counter
from collections.abc import Sequence

from rostrum.envs.text import scratchpad
from rostrum.rewards.types import Unscored

_AROUND = re.compile(r"^[\s*_`\"'([{]+|[\s*_`\"')\]}.,:;!]+$")
"""White space, brackets, emphasis and punctuation that may stand round a letter."""
_BLANKS = "\u0120\u010a\u0109\u2581"
"""How byte-level (Ġ, Ċ, ĉ) and SentencePiece (▁) vocabularies write a blank, a line's end and a tabulator."""
_BYTE = re.compile(r"<0x([0-7][0-9A-Fa-f])>")
"""How SentencePiece names the token of one ASCII byte."""


def from_listed(listed: Sequence[tuple[str, float]], choices: Sequence[str]) -> tuple[float, ...] | Unscored:
    """Return the log-probabilities (nats) of choices of one token, given those of the likeliest first tokens.

    Tokens that spell a choice but for white space around it ("A", " A", "ĠA", "▁A") are summed. A choice that is not
    listed gets the most that it can have: no more than the least likely token that is listed, and no more than what all
    the listed ones leave over. So the verdict is never surer than what was seen. Where no choice is listed nothing was
    seen.
    """
    found = [[value for token, value in listed if _spelled(token) == choice] for choice in choices]
    if not any(found):
        return Unscored(
            f"neither of {' and '.join(choices)} is among the {len(listed)} likeliest first tokens", "speech"
        )
    rest = _most_unlisted([value for _, value in listed])
    return tuple(_log_sum(values) if values else rest for values in found)


def _spelled(token: str) -> str:
    """Return a token without white space, also as vocabularies write it, and a byte token as its letter."""
    if byte := _BYTE.fullmatch(token):
        return chr(int(byte[1], 16)).strip()
    return token.strip().strip(_BLANKS).strip()


def _most_unlisted(values: Sequence[float]) -> float:
    """Return the most that a token can have which is not among these."""
    left_over = 1 - math.fsum(map(math.exp, values))
    return min(*values, math.log(left_over)) if left_over > 0 else min(values)


def _log_sum(values: Sequence[float]) -> float:
    highest = max(values)
    return highest + math.log(sum(math.exp(value - highest) for value in values))


def from_samples(texts: Sequence[str], choices: Sequence[str], samples: int) -> tuple[float, ...] | Unscored:
    """Return the log-probabilities of choices from `samples` replies at temperature 1: log of (n + 1/2) / (samples +
    1).

    Thoughts come off first. A reply whose first line is not one of the choices, punctuation and white space aside,
    counts for neither (and so does one that is missing); where no reply is one, nothing was seen.
    """
    said = [scratchpad.split(text)[0] for text in texts]
    counts = Counter(_AROUND.sub("", text.strip().partition("\n")[0]) for text in said)
    if not any(counts[choice] for choice in choices):
        return Unscored(f"none of {samples} samples was {' or '.join(choices)}", "speech")
    return tuple(math.log((counts[choice] + 0.5) / (samples + 1)) for choice in choices)
