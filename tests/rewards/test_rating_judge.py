"""The judge that rates: JSON of one form alone, probabilities that turn round with the sides, ties."""

import json
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rostrum.envs.prompts.ratings import RATINGS, probability_of
from rostrum.rewards.judges.rating import Settings, parse
from rostrum.rewards.types import Unscored
from rostrum.rewards.written import Finding, WritingJudge
from tests.rewards.writers import TRANSCRIPT, Given, Writer, kitchen_first

SETTINGS = Settings(kind="rating", name="scripted", model="m", prompts="testimony", samples=2)


def written(score: object, reason: object = "so") -> str:
    return json.dumps({"reason": reason, "score": score})


def judge(script: Callable[[str, int], str | Unscored], **changes: object) -> WritingJudge:
    return SETTINGS.model_copy(update=changes).make(Given(Writer(script)))


@pytest.mark.parametrize("score", RATINGS)
def test_a_rating_is_read(score: int) -> None:
    expected = Finding(probability_of(score), score)
    assert parse(written(score)) == expected
    assert parse(f'\n{{ "reason" : " anna says A . " , "score" : {score} }} ') == expected
    assert parse(written(score, 'He said {"score": 9} and "A"\n')) == expected


@pytest.mark.parametrize(
    "text",
    [
        '```json\n{"reason": "a **b** ```c```", "score": 2}\n```',
        '```\n{"reason": "#1", "score": 2}\n```\n',
        '{\n  "reason": "a",\n  "score": 2\n}\n',
        '{"reason": "a", "score": 2.0}',
        '{"reason": "a", "score": 2.00 }',
        '### Rating\n\n{"reason": "a", "score": 2}',
        '**{"reason": "a", "score": 2}**',
        '`{"reason": "a", "score": 2}`',
        '~~~json\n{"reason": "a", "score": 2}\n~~~',
        '<think>{"reason": "b", "score": 8}</think>{"reason": "a", "score": 2}',
        '{"reason": "he said \\"score\\": 9.0}", "score": 2}',
    ],
)
def test_what_it_is_set_in_does_not_count(text: str) -> None:
    assert parse(text) == Finding(probability_of(2), 2)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "5",
        "null",
        "[]",
        "{}",
        '"reason"',
        '{"score": 5}',
        '{"reason": "x"}',
        '{"score": 5, "reason": "x"}',
        '{"reason": "x", "score": 0}',
        '{"reason": "x", "score": 10}',
        '{"reason": "x", "score": 5.5}',
        '{"reason": "x", "score": "5"}',
        '{"reason": "x", "score": true}',
        '{"reason": "x", "score": null}',
        '{"reason": 1, "score": 5}',
        '{"reason": null, "score": 5}',
        '{"reason": "x", "score": 5, "sure": 1}',
        '{"score": 1, "reason": "x", "score": 5}',
        '{"reason": "x", "score": 1, "score": 9}',
        '{"Reason": "x", "score": 5}',
        '{" reason": "x", "score": 5}',
        '{"reason": "x", "score": 5',
        'Here: {"reason": "x", "score": 5}',
        '{"reason": "x", "score": 5} I hope',
        "{'reason': 'x', 'score': 5}",
        '```json\n{"reason": "x", "score": 5}',
        "# Rating 5",
        "**5**",
        '```\n```\n{"reason": "x", "score": 5}\n```',
        'so:\n```json\n{"reason": "x", "score": 5}\n```',
        '{"reason": "x", "score": 11.0}',
        '[{"reason": "x", "score": 5}]',
        '{"reason": "x", "score": NaN}',
        '{"reason": "x", "score": 5}{"reason": "x", "score": 5}',
        "[" * 100_000,
        '{"reason": "x", "score": 5e0}',
        '{"reason": ["x"], "score": 5}',
        '{"reason": {"reason": "x"}, "score": 5}',
        '{"reason": "\ud800", "score": 5}',
        '{"reason": "x", "score": ' + "9" * 5000 + "}",
    ],
)
def test_anything_else_is_for_neither_side(text: str) -> None:
    assert parse(text) is None


@given(st.text() | st.lists(st.sampled_from(["{", "}", '"reason"', '"score"', ":", ",", "5", '"x"', " "])).map("".join))
def test_what_is_read_is_such_an_object(text: str) -> None:
    found = parse(text)
    if found is not None:
        assert list(json.loads(text)) == ["reason", "score"] and json.loads(text)["score"] == found.score


@given(st.text(alphabet=st.characters(exclude_categories=["Cs"])), st.integers(-5, 15))
def test_whatever_the_reason_the_score_decides(reason: str, score: int) -> None:
    expected = Finding(probability_of(score), score) if score in RATINGS else None
    assert parse(written(score, reason)) == expected


def test_a_tie_is_one_half_exactly_and_is_kept() -> None:
    (verdict,) = judge(lambda *_: written(5)).judge([TRANSCRIPT])
    assert verdict.orders == (0.5, 0.5) and verdict.mean == 0.5
    assert verdict.scores == (5, 5, 5, 5) and verdict.readings == 4


@given(st.lists(st.integers(1, 9), min_size=4, max_size=4))
def test_relabelling_the_seats_turns_the_verdict_round(scores: list[int]) -> None:
    def script(prompt: str, sample: int) -> str:
        return written(scores[2 * kitchen_first(prompt) + sample % 2])

    (verdict,), (turned,) = (judge(script).judge([t]) for t in (TRANSCRIPT, TRANSCRIPT.swapped()))
    assert turned.orders == pytest.approx((1 - (verdict.swapped or 0), 1 - (verdict.given or 0)), abs=1e-12)
    assert verdict.scores == (*scores[2:], *scores[:2]) and turned.scores == (*scores[:2], *scores[2:])
    assert verdict.given == pytest.approx((9.5 - sum(scores[2:]) / 2) / 9)


def test_the_opposite_rating_after_relabelling_is_the_same_opinion() -> None:
    (verdict,) = judge(lambda prompt, _: written(3 if kitchen_first(prompt) else 7)).judge([TRANSCRIPT])
    assert verdict.given == verdict.swapped == pytest.approx(6.5 / 9)


def test_a_sample_that_cannot_be_read_is_a_zero_among_the_scores() -> None:
    (verdict,) = judge(lambda _, sample: (written(2), "hm")[sample]).judge([TRANSCRIPT])
    assert verdict.valid and verdict.scores == (2, 0, 2, 0) and verdict.given == pytest.approx(7.5 / 9)
    (invalid,) = judge(lambda *_: "hm").judge([TRANSCRIPT])
    assert not invalid.valid and invalid.reason == "only 0 of the judge's 2 texts can be read as a verdict"


def test_it_is_sampled_at_a_low_temperature_unless_told_otherwise() -> None:
    settings = Settings(kind="rating", name="j", model="m", prompts="prose")
    assert (settings.temperature, settings.samples, len(settings.writings())) == (0.3, 1, 1)
