"""What the training and the held-out questions have in common although their stories have different names."""

from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from hashlib import blake2b
from typing import Any

from rostrum.envs.text.words import words
from rostrum.envs.types import Question

NEAR = 0.5
"""Passages whose 8-grams have this Jaccard index or more are nearly the same."""
GRAM = 8
SKETCH = 512
"""Hashes kept of each passage (its smallest). Passages with fewer 8-grams are compared exactly."""
EXAMPLES = 5

Sketch = frozenset[bytes]
Texts = Sequence[tuple[str, tuple[str, ...]]]
"""The id and the words of each text."""


def across(train: Sequence[Question], heldout: Sequence[Question]) -> dict[str, Any]:
    """Return held-out stories with the very words, or nearly the words, of a training story, and held-out questions
    that are also asked in training. Case, punctuation and white space do not count. Some examples of each, by id."""
    passages = _passages(train), _passages(heldout)
    same = _equal(*passages)
    near = sorted(_near(*passages), key=lambda pair: (-pair[2], pair))
    asked = _equal(_texts(train), _texts(heldout))
    return {
        "same_passage": {"heldout_stories": len({b for _, b in same}), "examples": same[:EXAMPLES]},
        "near_passage": {
            "heldout_stories": len({b for _, b, _ in near}),
            "at_least": NEAR,
            "examples": [(a, b, round(jaccard, 3)) for a, b, jaccard in near[:EXAMPLES]],
        },
        "same_question": {"heldout_questions": len(asked), "examples": asked[:EXAMPLES]},
    }


def _passages(questions: Sequence[Question]) -> Texts:
    """Return the story id and words of each passage that has any, each once."""
    passages = {(question.story_id, question.passage): None for question in questions}
    return [(story, tuple(found)) for story, passage in passages if (found := words(passage))]


def _texts(questions: Sequence[Question]) -> Texts:
    return [(question.id, tuple(words(question.text))) for question in questions]


def _equal(train: Texts, heldout: Texts) -> list[tuple[str, str]]:
    """Return for each held-out text that is in training the id of the first such training text, and its own."""
    first: dict[tuple[str, ...], str] = {}
    for name, text in train:
        first.setdefault(text, name)
    return [(first[text], name) for name, text in heldout if text in first]


def _near(train: Texts, heldout: Texts) -> Iterator[tuple[str, str, float]]:
    """Yield training story, held-out story and Jaccard index of passages that are nearly, but not wholly, the same."""
    sketches = [_sketch(text) for _, text in heldout]
    having: defaultdict[bytes, list[int]] = defaultdict(list)
    for index, sketch in enumerate(sketches):
        for gram in sketch:
            having[gram].append(index)
    for story, text in train:
        sketch = _sketch(text)
        shared = Counter(index for gram in sketch for index in having.get(gram, ()))
        for index, count in shared.items():
            other, words_of_other = heldout[index]
            if count < NEAR * min(len(sketch), len(sketches[index])) or text == words_of_other:
                continue
            if (similarity := jaccard(sketch, sketches[index])) >= NEAR:
                yield story, other, similarity


def _sketch(text: Sequence[str]) -> Sketch:
    """Return the smallest hashes of the passage's runs of eight words; of the whole passage if it is shorter."""
    runs = {" ".join(text[start : start + GRAM]) for start in range(max(1, len(text) - GRAM + 1))}
    return frozenset(sorted(blake2b(run.encode(), digest_size=8).digest() for run in runs)[:SKETCH])


def jaccard(one: Sketch, other: Sketch) -> float:
    """Return the Jaccard index of two sets of 8-grams from their sketches (Broder 1997): exact below `SKETCH`
    8-grams."""
    smallest = sorted(one | other)[:SKETCH]
    return sum(gram in one and gram in other for gram in smallest) / len(smallest)
