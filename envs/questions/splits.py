"""What is decided by chance about questions, and must not change from run to run: every decision is a hash.

Nothing here looks at which answer is right, except to say where in the pair it ended up.
"""

from collections.abc import Sequence
from hashlib import sha256

from rostrum.envs.types import Question

SPLITS = ("train", "heldout")


def digest(text: str) -> str:
    """Return the SHA-256 of a text, in hexadecimal."""
    return sha256(text.encode("utf-8", errors="surrogatepass")).hexdigest()


def fraction(text: str) -> float:
    """Return a number in [0, 1) that depends on nothing but the text."""
    return int(digest(text)[:13], 16) / 16**13


def single_spaced(text: str) -> str:
    """Return the text with every run of white space as one space."""
    return " ".join(text.split())


def same_words(one: str, other: str) -> bool:
    """Return whether two texts differ in nothing but case and white space."""
    return single_spaced(one).casefold() == single_spaced(other).casefold()


def answer_pair(question_id: str, right: str, wrong: str) -> tuple[tuple[str, str], int]:
    """Return the two answers in the order in which they are shown, and which of them is right (0 or 1).

    The question's id decides the order of the two texts, so the pair is the same whichever of them is right.
    """
    first, second = sorted((right, wrong))
    pair = (first, second) if fraction(f"answers:{question_id}") < 0.5 else (second, first)
    return pair, pair.index(right)


def drawn(question_id: str, candidates: Sequence[str]) -> str:
    """Return one of several texts, drawn by the question's id; the order in which they are given does not matter."""
    return min(candidates, key=lambda text: (digest(f"wrong answer:{question_id}:{text}"), text))


def spread(questions: Sequence[Question], limit: int | None, seed: int) -> tuple[Question, ...]:
    """Return at most `limit` questions (None: all), from as many stories as possible, in the order given.

    Every story gives one question before any gives a second. A smaller limit takes a part of what a larger one takes.
    """
    if limit is None or limit >= len(questions):
        return tuple(questions)
    turn = turns(questions, seed)
    by_turn = sorted(questions, key=lambda q: (turn[q.id], digest(f"spread:{seed}:{q.story_id}")))
    taken = {question.id for question in by_turn[:limit]}
    return tuple(question for question in questions if question.id in taken)


def turns(questions: Sequence[Question], seed: int) -> dict[str, int]:
    """Return by question id how many questions of the same story come before it in an order drawn by hash."""
    before: dict[str, int] = {}
    turn: dict[str, int] = {}
    for question in sorted(questions, key=lambda q: digest(f"turn:{seed}:{q.id}")):
        turn[question.id] = before.get(question.story_id, 0)
        before[question.story_id] = turn[question.id] + 1
    return turn
