"""What a debater itself believes: asked with the passage in sight, in both orders, through its own engine."""

import math
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import pytest

from rostrum.launch.compose import load
from rostrum.trainer.config import Config
from rostrum.trainer.engines.base import EngineSettings
from rostrum.trainer.evaluation.comparisons.own_answers import own_answers
from rostrum.trainer.types import Policy

POLICY = Policy("checkpoint", 3, "folder")


class Believer:
    """Prefers the answer in `believed` by `lean` nats and whatever is shown as A by half a nat; keeps what it reads."""

    def __init__(self, believed: Callable[[str], str], lean: float = 1.0) -> None:
        self.believed, self.lean, self.asked = believed, lean, list[tuple[str, tuple[str, ...]]]()
        self.format, self.usage, self.setups = self, None, list[Any]()

    def count(self, text: str) -> int:
        return len(text.split())

    def choice_logprobs(self, prompts: Sequence[str], choices: Sequence[tuple[str, ...]]) -> list[tuple[float, ...]]:
        self.asked += zip(prompts, choices, strict=True)
        return [self._score(prompt, pair) for prompt, pair in zip(prompts, choices, strict=True)]

    def _score(self, prompt: str, pair: tuple[str, ...]) -> tuple[float, ...]:
        believed = self.believed(prompt)
        return tuple(-9 + self.lean * (choice == believed) + 0.5 * (n == 0) for n, choice in enumerate(pair))


@pytest.fixture(scope="module")
def config() -> Config:
    return load(["questions.heldout=4"])


def test_the_own_answer_does_not_depend_on_the_order(config: Config) -> None:
    questions = config.questions.load().questions("heldout")
    believer = Believer(lambda prompt: next(q.answers[1] for q in questions if q.passage in prompt))
    found = own_answers(config, POLICY, questions, lambda path, setup: believer)
    assert list(found["own"]) == [1.0] * 4 and list(found["question_id"]) == [q.id for q in questions]
    expected = (1 / (1 + math.exp(0.5)) + 1 - 1 / (1 + math.exp(-1.5))) / 2
    assert list(found["p_first"]) == pytest.approx([expected] * 4)
    assert len(believer.asked) == 8
    for question in questions:
        own = [choices for prompt, choices in believer.asked if question.passage in prompt]
        assert own == [question.answers, question.answers[::-1]]


def test_who_believes_neither_has_no_own_answer(config: Config) -> None:
    questions = config.questions.load().questions("heldout")
    found = own_answers(config, POLICY, questions, lambda path, setup: Believer(lambda prompt: "", 0.0))
    assert list(found["p_first"]) == [0.5] * 4 and found["own"].isna().all()
    unreadable = own_answers(config, POLICY, questions, lambda path, setup: Believer(lambda prompt: "", math.nan))
    assert unreadable["own"].isna().all()


def test_the_debater_is_asked_about_what_it_may_read() -> None:
    windowed = load(["questions.heldout=4", "debater.window.tokens=12", "comparison.own_answer=letter"])
    source = windowed.questions.load().questions("heldout")
    asked = [replace(q, passage=f"seen {q.id}\n\nhidden {q.passage}") for q in source]
    believer = Believer(lambda prompt: "A")
    setups = list[EngineSettings]()

    def start(path: str, setup: EngineSettings) -> Any:
        setups.append(setup)
        return believer

    own_answers(windowed, POLICY, asked, start)
    assert all(choices == ("A", "B") for _, choices in believer.asked)
    for question in asked:
        assert sum(f"seen {question.id}" in prompt for prompt, _ in believer.asked) == 2
    assert not any("hidden" in prompt for prompt, _ in believer.asked)
    assert not setups[0].thinking
