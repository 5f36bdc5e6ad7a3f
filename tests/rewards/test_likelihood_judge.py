"""The likelihood judge with scripted scorers: laws under relabelling, planted bias, INVALID verdicts."""

import math
from collections.abc import Callable, Sequence
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rostrum.envs.prompts.prompt_sets import load_prompts
from rostrum.envs.types import Protocol, Question, Side, Speech, Transcript
from rostrum.rewards.judges.likelihood import LikelihoodJudge

QUESTION = Question("q", "s", "where is the coin ?", ("kitchen", "garden"), "secret passage .")
TRANSCRIPT = Transcript(
    QUESTION,
    Protocol("debate", rounds=1),
    QUESTION.answers,
    False,
    (Speech("A", Side.A, 0, "loud words here", "loud words here", 3), Speech("B", Side.B, 1, "quiet", "quiet", 1)),
)
PROMPTS = load_prompts("testimony")


class Scripted:
    """A `Scorer` that computes the log-probabilities of both choices from prompt and choices."""

    def __init__(self, script: Callable[[str, tuple[str, ...]], tuple[float, ...]]) -> None:
        self.script, self.prompts, self.choices = script, [], []

    def choice_logprobs(self, prompts: Sequence[str], choices: Sequence[tuple[str, ...]]) -> list[tuple[float, ...]]:
        self.prompts += prompts
        self.choices += choices
        return [self.script(prompt, pair) for prompt, pair in zip(prompts, choices, strict=True)]


def logit(p: float) -> float:
    return math.log(p / (1 - p))


def pair(odds: float, mass: float = 0.8) -> tuple[float, float]:
    """Log-probabilities of two choices with these log-odds that hold this much mass."""
    first = 1 / (1 + math.exp(-odds))
    return math.log(mass * first), math.log(mass * (1 - first))


def judge(scorer: Scripted, **options: object) -> LikelihoodJudge:
    return LikelihoodJudge("scripted", scorer, PROMPTS, **options)  # type: ignore[arg-type]


@given(st.floats(-6, 6), st.floats(-6, 6))
def test_planted_position_bias_is_given_back_and_cancels_in_the_mean(taste: float, bias: float) -> None:
    """The judge likes the kitchen by `taste` nats and whatever is shown first by `bias` nats."""
    scorer = Scripted(lambda _, choices: pair((taste if choices[0] == "kitchen" else -taste) + bias))
    (verdict,) = judge(scorer).judge([TRANSCRIPT])
    assert verdict.given is not None and verdict.swapped is not None
    assert logit(verdict.given) == pytest.approx(taste + bias, abs=1e-6)
    assert logit(verdict.swapped) == pytest.approx(taste - bias, abs=1e-6)
    assert (logit(verdict.given) + logit(verdict.swapped)) / 2 == pytest.approx(taste, abs=1e-6)
    assert (logit(verdict.given) - logit(verdict.swapped)) / 2 == pytest.approx(bias, abs=1e-6)
    assert verdict.readings == 2


@given(st.lists(st.floats(-8, 8), min_size=2, max_size=2))
def test_relabelling_the_seats_turns_the_verdict_round(odds: list[float]) -> None:
    """Whatever the judge makes of each of the two prompts, P of swapped() is 1 - P, to the last bit."""
    scorer = Scripted(lambda _, choices: pair(odds[choices[0] == "kitchen"]))
    (verdict,), (turned,) = judge(scorer).judge([TRANSCRIPT]), judge(scorer).judge([TRANSCRIPT.swapped()])
    assert (turned.given, turned.swapped) == (1 - (verdict.swapped or 0), 1 - (verdict.given or 0))
    assert turned.mean == pytest.approx(1 - verdict.mean, abs=1e-15)


def test_each_order_reads_its_own_relabelling() -> None:
    scorer = Scripted(lambda _, __: pair(1.0))
    judge(scorer).judge([TRANSCRIPT])
    assert scorer.choices == [("kitchen", "garden"), ("garden", "kitchen")]
    assert "A : kitchen B : garden A said : loud words here B said : quiet" in scorer.prompts[0]
    assert "A : garden B : kitchen B said : loud words here A said : quiet" in scorer.prompts[1]
    assert not any("secret passage" in prompt for prompt in scorer.prompts)


@pytest.mark.parametrize(
    ("order", "given", "swapped"), [("given", 2.0, None), ("swapped", None, -2.0), ("both", 2.0, -2.0)]
)
def test_only_the_orders_asked_for_are_read(order: str, given: float | None, swapped: float | None) -> None:
    """A judge that always says the first: the given order favours A, the other one B."""
    scorer = Scripted(lambda _, __: pair(2.0))
    (verdict,) = judge(scorer, order=order).judge([TRANSCRIPT])
    found = [None if p is None else round(logit(p), 9) for p in (verdict.given, verdict.swapped)]
    assert found == [given, swapped]
    assert verdict.readings == len(scorer.prompts) == len(verdict.orders)


def test_letters_are_scored_when_asked() -> None:
    scorer = Scripted(lambda _, __: pair(1.0))
    judge(scorer, choice="letter").judge([TRANSCRIPT])
    assert scorer.choices == [("A", "B")] * 2


@pytest.mark.parametrize("bad", [(math.nan, -1.0), (-1.0, math.nan), (-math.inf, -1.0), (math.nan, math.nan)])
@pytest.mark.parametrize("where", [0, 1])
def test_a_number_that_is_none_makes_the_verdict_invalid(bad: tuple[float, float], where: int) -> None:
    first = ["kitchen", "garden"][where]
    scorer = Scripted(lambda _, choices: bad if choices[0] == first else pair(1.0))
    (verdict,) = judge(scorer).judge([TRANSCRIPT])
    assert not verdict.valid and "no log-probability" in verdict.reason
    assert verdict.orders == ()
    with pytest.raises(ValueError, match="INVALID"):
        _ = verdict.mean


@pytest.mark.parametrize(("mass", "valid"), [(0.5, True), (0.0101, True), (0.0099, False), (1e-9, False)])
def test_too_little_mass_on_the_choices_is_invalid(mass: float, valid: bool) -> None:
    scorer = Scripted(lambda _, choices: pair(3.0, mass if choices[0] == "garden" else 0.9))
    (verdict,) = judge(scorer, min_mass=0.01).judge([TRANSCRIPT])
    assert verdict.valid is valid


def test_one_invalid_verdict_leaves_the_others_alone() -> None:
    other = replace(
        TRANSCRIPT, question=replace(QUESTION, id="r", answers=("attic", "cellar")), answers=("attic", "cellar")
    )
    scorer = Scripted(lambda _, choices: (math.nan, 0.0) if "attic" in choices else pair(1.0))
    verdicts = judge(scorer).judge([TRANSCRIPT, other, TRANSCRIPT])
    assert [verdict.valid for verdict in verdicts] == [True, False, True]
    assert verdicts[0] == verdicts[2]


@given(st.permutations(range(4)))
def test_verdicts_come_in_the_order_of_the_transcripts(order: list[int]) -> None:
    places = ("attic", "barn", "cellar", "den")
    transcripts = [replace(TRANSCRIPT, answers=(place, "hall")) for place in places]
    scorer = Scripted(lambda _, choices: pair(sum(places.index(c) + 1 for c in choices if c != "hall") / 2))
    verdicts = judge(scorer, order="given").judge([transcripts[i] for i in order])
    assert [round(logit(v.given or 0) * 2) - 1 for v in verdicts] == list(order)


def test_nothing_to_judge_is_no_verdicts() -> None:
    assert judge(Scripted(lambda _, __: pair(1.0))).judge([]) == []
