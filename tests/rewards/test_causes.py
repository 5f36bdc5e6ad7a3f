"""Why a verdict is INVALID: because of what was said, or because something failed. Judges of every kind tell which."""

import math
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import pytest

from rostrum.envs.prompts.prompt_sets import load_prompts
from rostrum.envs.types import Side, Transcript
from rostrum.rewards.judges import verdict as verdict_judge
from rostrum.rewards.judges.head import HeadJudge
from rostrum.rewards.judges.likelihood import LikelihoodJudge
from rostrum.rewards.judges.panel import Panel
from rostrum.rewards.judges.per_side import PerSide
from rostrum.rewards.types import Unscored, Usage, Verdict
from rostrum.rewards.written import KEPT
from tests.rewards.writers import TRANSCRIPT, Given, Head, Writer, kitchen_first

LOST = Unscored("the connection broke")
SETTINGS = verdict_judge.Settings(kind="verdict", name="j", model="m", prompts="prose")


class Scores:
    """A `Scorer` that gives the same for every prompt, or by whether the kitchen is shown first."""

    def __init__(self, first: Any, second: Any = None) -> None:
        self.first, self.second, self.usage = first, second, Usage()

    def choice_logprobs(self, prompts: Sequence[str], choices: Sequence[tuple[str, ...]]) -> list[Any]:
        return [self.first if self.second is None or kitchen_first(prompt) else self.second for prompt in prompts]

    def write(self, prompts: Sequence[str], writing: object) -> list[str | Unscored]:
        raise AssertionError


def letters(scorer: Scores) -> Verdict:
    (found,) = LikelihoodJudge("j", scorer, load_prompts("testimony")).judge([TRANSCRIPT])
    return found


@pytest.mark.parametrize(
    ("scores", "cause"),
    [
        ((math.log(1e-4), math.log(1e-4)), "speech"),
        ((math.nan, math.nan), "speech"),
        (Unscored("none of 16 samples was A or B", "speech"), "speech"),
        (LOST, "failure"),
    ],
)
def test_a_judge_that_reads_letters(scores: Any, cause: str) -> None:
    found = letters(Scores(scores))
    assert (found.valid, found.cause) == (False, cause)


def test_one_order_that_a_speech_spoiled_is_enough() -> None:
    """The verdict would be INVALID had the other order been answered."""
    for one, other in ((LOST, (-9.0, -9.0)), ((-9.0, -9.0), LOST)):
        found = letters(Scores(one, other))
        assert found.cause == "speech" and "probability" in found.reason
    assert letters(Scores(LOST, (-0.5, -1.0))).cause == "failure"


@pytest.mark.parametrize(("outputs", "cause"), [((math.nan, 0.0), "speech"), (LOST, "failure")])
def test_a_judge_with_a_head(outputs: Any, cause: str) -> None:
    (found,) = HeadJudge("j", Head(2, lambda _: outputs), load_prompts("testimony")).judge([TRANSCRIPT])
    assert (found.valid, found.cause) == (False, cause)


@pytest.mark.parametrize(
    ("texts", "cause"),
    [
        (["hm", "who knows", "Verdict: A"], "speech"),
        ([LOST, LOST, "Verdict: A"], "failure"),
        ([LOST, "hm", "Verdict: A"], "failure"),
        ([LOST, "hm", "hm"], "speech"),
        ([Unscored("too long", "speech")] * 3, "speech"),
    ],
)
def test_a_judge_that_writes(texts: list[Any], cause: str) -> None:
    """A failure is the cause if enough texts might have been read without it."""
    judge = SETTINGS.make(Given(Writer(lambda _, sample: texts[sample % 3])))
    (found,) = judge.judge([TRANSCRIPT])
    assert (found.valid, found.cause) == (False, cause)


def test_one_text_that_cannot_be_read_is_kept() -> None:
    long = "x" * 3 * KEPT
    for texts, kept in ((["Verdict: A", "hm", "Verdict: A"], "hm"), ([long] * 3, "x" * KEPT), (["Verdict: B"] * 3, "")):
        (found,) = SETTINGS.make(Given(Writer(lambda _, n, texts=texts: texts[n % 3]))).judge([TRANSCRIPT])  # type: ignore[misc]
        assert found.unreadable == kept and found.valid is (texts[0] != long)


class Fixed:
    """A judge with one opinion."""

    def __init__(self, opinion: Verdict) -> None:
        self.name, self.usage, self.opinion = opinion.judge, Usage(), opinion

    def judge(self, transcripts: Sequence[Transcript]) -> list[Verdict]:
        return [self.opinion] * len(transcripts)


VALID = Verdict("v", 0.7, 0.7)
FAILED = Verdict("f", None, None, valid=False, reason="lost")
SPOILED = replace(FAILED, judge="s", reason="unreadable", cause="speech", unreadable="hm")


@pytest.mark.parametrize(
    ("members", "cause"),
    [
        ([VALID, SPOILED], "speech"),
        ([VALID, FAILED], "failure"),
        ([VALID, SPOILED, FAILED], "failure"),
        ([SPOILED, SPOILED, FAILED, VALID], "speech"),
        ([SPOILED, FAILED, FAILED], "failure"),
    ],
)
def test_a_panel_blames_speeches_that_alone_cost_it_its_majority(members: list[Verdict], cause: str) -> None:
    (found,) = Panel("p", [Fixed(member) for member in members]).judge([TRANSCRIPT])
    assert (found.valid, found.cause) == (False, cause)
    assert found.unreadable == ("hm" if SPOILED in members else "")


def test_seats_that_are_judged_apart_are_blamed_apart() -> None:
    class ByVolume:
        name, usage = "j", Usage()

        def judge(self, transcripts: Sequence[Transcript]) -> list[Verdict]:
            return [SPOILED if "loud" in t.speeches[0].text else VALID for t in transcripts]

    apart = replace(TRANSCRIPT, protocol=replace(TRANSCRIPT.protocol, judged_apart=True))
    (found,) = PerSide(ByVolume()).judge([apart])
    assert (found.valid, found.cause, found.spoiled_by, found.unreadable) == (False, "speech", (Side.A,), "hm")
    (found,) = PerSide(Fixed(FAILED)).judge([apart])
    assert (found.cause, found.spoiled_by) == ("failure", ())
