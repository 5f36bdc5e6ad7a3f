"""From listed tokens and from samples to the log-probabilities of letters, on numbers worked by hand; hiding keys."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rostrum.rewards.endpoint.choices import from_listed, from_samples
from rostrum.rewards.endpoint.config import Endpoint, EndpointError
from rostrum.rewards.endpoint.key import key_of
from rostrum.rewards.types import Unscored

AB = ("A", "B")
KEY = "sk-planted-0123456789abcdefXYZ"


def probabilities(scores: tuple[float, ...] | Unscored) -> tuple[float, ...]:
    assert not isinstance(scores, Unscored), scores.reason
    return tuple(math.exp(score) for score in scores)


def listed(**p: float) -> list[tuple[str, float]]:
    return [(token.replace("_", " "), math.log(value)) for token, value in p.items()]


def test_variants_with_white_space_are_summed_and_other_tokens_are_not() -> None:
    tokens = [("A", 0.3), (" A", 0.2), ("\nB", 0.1), ("a", 0.1), ("A.", 0.1), ("AB", 0.1)]
    found = from_listed([(token, math.log(p)) for token, p in tokens], AB)
    assert probabilities(found) == pytest.approx((0.5, 0.1))


def test_a_letter_that_is_not_listed_gets_the_most_it_can_have() -> None:
    assert probabilities(from_listed(listed(A=0.5, x=0.2, y=0.1), AB)) == pytest.approx((0.5, 0.1)), "the last listed"
    assert probabilities(from_listed(listed(A=0.7, x=0.2, y=0.09), AB)) == pytest.approx((0.7, 0.01)), "what is left"
    assert probabilities(from_listed([("A", 0.0), ("x", -9999.0)], AB)) == (1, 0), "nothing is left over"
    rounded = [("A", math.log(0.9)), ("x", math.log(0.10001))]
    assert probabilities(from_listed(rounded, AB)) == pytest.approx((0.9, 0.10001)), "more than one by rounding"


def test_no_letter_listed_is_no_verdict() -> None:
    found = from_listed(listed(x=0.5, y=0.4), AB)
    assert isinstance(found, Unscored) and "among the 2 likeliest" in found.reason


@given(st.lists(st.floats(0.001, 1), min_size=3, max_size=20), st.data())
def test_the_truth_is_never_surer_than_what_is_read(weights: list[float], data: st.DataObject) -> None:
    """Cut off the tail of a distribution: for the letter that is cut off, no more is claimed than it may have had."""
    total = sum(weights)
    ranked = sorted((w / total for w in weights), reverse=True)
    cut = data.draw(st.integers(1, len(ranked) - 1))
    names = ["A", *(f"t{i}" for i in range(len(ranked) - 2)), "B"]
    seen = [(name, math.log(p)) for name, p in zip(names[:cut], ranked, strict=False)]
    of_a, of_b = probabilities(from_listed(seen, AB))
    assert of_a == pytest.approx(ranked[0]) and of_b >= ranked[-1] * (1 - 1e-6)


@pytest.mark.parametrize(
    ("text", "counts_for"),
    [
        ("A", 0),
        (" B\n", 1),
        ("(A)", 0),
        ("**B**", 1),
        ("A.", 0),
        ('"B"', 1),
        ("A\nbecause it", 0),
        ("A is", None),
        ("a", None),
        ("AB", None),
        ("", None),
        ("Answer: A", None),
        ("A B", None),
        ("neither", None),
    ],
)
def test_what_a_sample_counts_for(text: str, counts_for: int | None) -> None:
    """One sample beside one of each letter: (1 + 1/2) / 4 each, and 1 more for the letter that it is."""
    expected = [1.5 / 4 + (i == counts_for) / 4 for i in range(2)]
    assert probabilities(from_samples(["A", "B", text], AB, 3)) == pytest.approx(expected)


def test_samples_that_are_missing_count_for_neither() -> None:
    assert probabilities(from_samples(["A"], AB, 4)) == pytest.approx((1.5 / 5, 0.5 / 5))
    found = from_samples(["maybe"] * 4, AB, 4)
    assert isinstance(found, Unscored) and found.reason == "none of 4 samples was A or B"


def test_what_a_key_is_taken_out_of(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SECRET", f" {KEY}\n")
    key = key_of(Endpoint(base_url="http://localhost/v1", key_variable="SECRET"))
    assert key.headers == {"Authorization": f"Bearer {KEY}"} and KEY not in repr(key)
    said = f'wrong key "{KEY}" ({KEY[:8]}), {KEY[-9:]}, sk-p***fXYZ: ask its owner'
    assert key.hide_pieces(said) == 'wrong key "[key]" ([key]), [key], [key] ask its owner'
    assert key.hide(said).count(KEY) == 0


@pytest.mark.parametrize("value", ["a b", "schlüssel", "a\nb"])
def test_what_cannot_be_a_key(value: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SECRET", value)
    with pytest.raises(EndpointError, match="SECRET holds no key") as told:
        key_of(Endpoint(base_url="http://localhost/v1", key_variable="SECRET"))
    assert value not in str(told.value)


def test_no_key(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("SECRET", raising=False)
    key = key_of(Endpoint(base_url="http://localhost/v1", key_variable="SECRET"))
    assert not key.headers and key.hide("text") == key.hide_pieces("text") == "text"
