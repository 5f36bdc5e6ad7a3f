"""A world of witnesses: eight of twelve say where they saw an object, and some are right more often than others.

The reliabilities are written nowhere in a story, so a debater or a judge has to have learned them. A speech that
quotes credible witnesses is good evidence; nothing forces a debater to find one, or a judge to weigh it.
"""

import hashlib
import random
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

from rostrum.envs.types import Account, AnswerKey, Question

RELIABILITY = {
    "anna": 0.95,
    "boris": 0.93,
    "clara": 0.90,
    "dmitri": 0.85,
    "elena": 0.80,
    "felix": 0.75,
    "greta": 0.70,
    "hugo": 0.65,
    "irma": 0.55,
    "jonas": 0.50,
    "karla": 0.40,
    "leo": 0.35,
}
"""Probability that a witness who speaks of one of the two answers names the true place."""
WITNESSES = tuple(RELIABILITY)
PLACES = ("kitchen", "office", "garden", "cellar", "attic", "garage", "library", "hallway")
OBJECTS = ("apple", "key", "letter", "lamp", "coin", "book", "ring", "map")
STATEMENTS = 8
"""Statements in a story, each by another witness."""
UNRELATED = 0.2
"""Probability that a statement names a place that is neither answer."""
MIN_PER_ANSWER = 2
"""Both answers have at least this many statements, so either side finds something true to quote."""
SPLIT_START = {"train": 0, "heldout": 1_000_000, "teaching": 2_000_000}
"""First index of a split. The teaching split is for building the embedded models, never for experiments."""
SPLIT_SIZE = 1_000_000


@dataclass(frozen=True, slots=True)
class Statement:
    """One witness's word on where the object was."""

    place: str
    witness: str

    def __str__(self) -> str:
        return f"in the {self.place} {self.witness} saw it"


def passage_of(statements: Sequence[Statement]) -> str:
    """Return the story as text: every statement followed by a full stop, all words separated by one space."""
    return " ".join(f"{statement} ." for statement in statements)


def statements_of(passage: str) -> tuple[Statement, ...]:
    """Return the statements of a story text. Raises `ValueError` on a text that is not a story of this world."""
    statements = []
    for sentence in passage.removesuffix(" .").split(" . "):
        words = sentence.split()
        if len(words) != 6 or sentence != str(Statement(words[2], words[3])):
            raise ValueError(f"Write a statement as 'in the PLACE WITNESS saw it', not {sentence!r}.")
        statements.append(Statement(words[2], words[3]))
    return tuple(statements)


def split_of(passage: str) -> str:
    """Return the only split in which this story may occur, by the hash of its text: splits cannot share a story."""
    digest = hashlib.sha256(passage.encode()).digest()
    return tuple(SPLIT_START)[digest[0] % len(SPLIT_START)]


def draw_story(rng: random.Random, true_place: str, false_place: str) -> tuple[Statement, ...]:
    """Return eight different witnesses in random order; each errs independently, as often as its reliability says."""
    unrelated = [place for place in PLACES if place not in (true_place, false_place)]
    statements = []
    for witness in rng.sample(WITNESSES, STATEMENTS):
        if rng.random() < UNRELATED:
            place = rng.choice(unrelated)
        else:
            place = true_place if rng.random() < RELIABILITY[witness] else false_place
        statements.append(Statement(place, witness))
    return tuple(statements)


def question_at(split: str, index: int, seed: int = 0) -> tuple[Question, int]:
    """Return question `index` of a split and which of its answers (0 or 1) is right; a pure function of its
    arguments."""
    if split not in SPLIT_START:
        raise ValueError(f"The testimony world has no split {split!r}; choose one of {', '.join(SPLIT_START)}.")
    if not 0 <= index < SPLIT_SIZE:
        raise ValueError(f"A split of the testimony world has {SPLIT_SIZE:,} questions; ask for an index below that.")
    rng = random.Random(f"testimony {seed} {SPLIT_START[split] + index}")
    while True:
        true_place, false_place = rng.sample(PLACES, 2)
        statements = draw_story(rng, true_place, false_place)
        passage = passage_of(statements)
        places = [statement.place for statement in statements]
        balanced = min(places.count(true_place), places.count(false_place)) >= MIN_PER_ANSWER
        if balanced and split_of(passage) == split:
            break
    correct = rng.randrange(2)
    answers = (true_place, false_place) if correct == 0 else (false_place, true_place)
    story_id = hashlib.sha256(passage.encode()).hexdigest()[:16]
    text = f"where is the {rng.choice(OBJECTS)} ?"
    return Question(f"{split}-{seed}-{index}", story_id, text, answers, passage), correct


class TestimonyWorld:
    """Questions of the testimony world (an `envs.types.QuestionSet`), generated, never stored."""

    __test__ = False  # the name begins with "Test", which pytest would otherwise collect

    def __init__(self, train: int = 4000, heldout: int = 400, seed: int = 0) -> None:
        for name, size in (("train", train), ("heldout", heldout)):
            if not 0 <= size <= SPLIT_SIZE:
                raise ValueError(f"Set {name} of the testimony world to between 0 and {SPLIT_SIZE:,}, not {size:,}.")
        self.sizes = {"train": train, "heldout": heldout}
        self.seed = seed

    def questions(self, split: str) -> Sequence[Question]:
        """Return the questions of "train" or "heldout", in a fixed order; one question per story."""
        return tuple(question for question, _ in self._split(split))

    def answer_key(self, split: str) -> AnswerKey:
        """Return which answer is right for each question of the split; for evaluation only."""
        return AnswerKey({question.id: correct for question, correct in self._split(split)})

    def account(self) -> Account:
        """Return the number of questions; every one that is made is used."""
        return Account(sum(self.sizes.values()))

    def _split(self, split: str) -> tuple[tuple[Question, int], ...]:
        if split not in self.sizes:
            raise ValueError(f"The testimony world has no split {split!r} for experiments; choose train or heldout.")
        return _generate(split, self.sizes[split], self.seed)


@lru_cache(maxsize=8)
def _generate(split: str, size: int, seed: int) -> tuple[tuple[Question, int], ...]:
    return tuple(question_at(split, index, seed) for index in range(size))
