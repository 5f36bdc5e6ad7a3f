"""Questions on which all witnesses but one agree."""

import random
from collections.abc import Sequence
from typing import Literal

from pydantic import Field

from rostrum.envs.questions.base import QuestionSettings
from rostrum.envs.testimony.world import OBJECTS, PLACES, WITNESSES, Statement, passage_of
from rostrum.envs.types import Account, AnswerKey, Question, QuestionSet


class Settings(QuestionSettings):
    """How many questions to make, from `seed`."""

    kind: Literal["witnesses"]
    train: int = Field(200, ge=1)
    heldout: int = Field(100, ge=2)

    def load(self) -> QuestionSet:
        return Witnesses({"train": self.train, "heldout": self.heldout}, self.seed)


class Witnesses:
    """A set that is made, not stored: each question has a story of its own, so no split shares one."""

    def __init__(self, sizes: dict[str, int], seed: int) -> None:
        made = {split: [_made(split, seed, index) for index in range(size)] for split, size in sizes.items()}
        self._made = made

    def questions(self, split: str) -> Sequence[Question]:
        return [question for question, _ in self._made[split]]

    def answer_key(self, split: str) -> AnswerKey:
        return AnswerKey({question.id: correct for question, correct in self._made[split]})

    def account(self) -> Account:
        return Account(sum(map(len, self._made.values())))


def _made(split: str, seed: int, index: int) -> tuple[Question, int]:
    """Return a question and which of its answers is right."""
    draw = random.Random(f"{split} {seed} {index}")
    true, false = draw.sample(PLACES, 2)
    speakers = draw.sample(WITNESSES, 4)
    said = [Statement(false if witness == speakers[0] else true, witness) for witness in speakers]
    draw.shuffle(said)
    correct, name = draw.randrange(2), f"{split}-{seed}-{index}"
    answers = (true, false) if correct == 0 else (false, true)
    return Question(name, name, f"where is the {draw.choice(OBJECTS)} ?", answers, passage_of(said)), correct
