"""Who labels which debate: nested orders from both ends, what is held back, and how much a label counts."""

from collections.abc import Sequence

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from rostrum.envs.types import Protocol, Question, Transcript
from rostrum.rewards.labelled import Labelled
from rostrum.trainer.labels.pool import (
    FEWEST_HELD_BACK,
    MOST_HELD_BACK,
    Market,
    Sold,
    by_confidence,
    hold_back,
    one_per_story,
)


def debate(story: int, number: int = 0) -> Transcript:
    question = Question(f"q{story}-{number}", f"story{story}", "Who?", ("Ann", "Ben"), "Ann or Ben.")
    return Transcript(question, Protocol("debate"), question.answers, False, ())


def sold(stories: Sequence[int], by_cheap: Sequence[bool] = (), by_dear: Sequence[bool] = (), draws: int = 1) -> Sold:
    """Return a pool with a debate about each of these stories; the label of the k-th is k / 1000 by the cheaper source,
    one tenth more with every draw, and that and one half by the dearer one."""
    n = len(stories)
    labels = np.arange(n) / 1000
    return Sold(
        [debate(story, number) for number, story in enumerate(stories)],
        np.array(by_cheap or [True] * n, dtype=bool),
        np.array(by_dear or [True] * n, dtype=bool),
        np.stack([labels + draw / 10 for draw in range(draws)]),
        labels + 0.5,
    )


def stories(of: Sequence[Labelled]) -> list[str]:
    return [one.transcript.question.story_id for one in of]


def test_labels_are_those_of_the_source() -> None:
    market = Market(sold(range(10)), 0)
    for one in market.buy_cheap(4):
        assert one.target == int(one.transcript.question.id.rpartition("-")[2]) / 1000
    for one in market.buy_dear(market.left(4)[:3]):
        assert one.target == int(one.transcript.question.id.rpartition("-")[2]) / 1000 + 0.5


def test_seeds_buy_other_debates_and_one_seed_the_same() -> None:
    of = sold(range(50))
    first, again, other = (Market(of, seed).cheap for seed in (0, 0, 1))
    assert first == again != other and sorted(first) == sorted(other) == list(range(50))


def test_repeated_labels_are_averaged() -> None:
    market = Market(sold(range(10), draws=3), 0)
    once, thrice = market.buy_cheap(2), market.buy_cheap(7, repeats=3)
    assert [one.transcript for one in once] == [one.transcript for one in thrice], "seven are three of each of two"
    assert [b.target - a.target for a, b in zip(once, thrice, strict=True)] == [pytest.approx(0.1)] * 2


def test_a_label_that_says_nothing_was_paid_for_and_teaches_nothing() -> None:
    of = sold(range(4))
    first = Market(of, 0).cheap[0]
    of.cheap[0, first] = np.nan
    assert len(Market(of, 0).buy_cheap(3)) == 2


def test_who_sells_only_some_debates_gets_its_own_first() -> None:
    """People judged stories 8 and 9 alone, and nobody else sells those."""
    own = [story >= 8 for story in range(10)]
    market = Market(sold(range(10), by_cheap=[not it for it in own], by_dear=own), 0)
    assert sorted(market.dear) == sorted(market.left(8)) == [8, 9] and len(market.cheap) == 8
    assert (market.offer.cheap, market.offer.dear, market.offer.debates) == (8, 2, 10)


def test_what_only_one_source_sells_is_bought_first_of_it() -> None:
    """A judge labels everything, people stories 6 to 9: the judge's first labels are those of the other six."""
    market = Market(sold(range(10), by_dear=[story >= 6 for story in range(10)]), 3)
    assert set(market.cheap[:6]) == set(range(6)) and set(market.left(6)) == {6, 7, 8, 9}
    market = Market(sold(range(10), by_cheap=[story >= 6 for story in range(10)]), 3)
    assert set(market.dear[:6]) == set(range(6)) and set(market.cheap) == {6, 7, 8, 9}


@given(
    st.lists(st.integers(0, 12), min_size=2, max_size=30),
    st.integers(0, 5),
    st.tuples(st.integers(0, 30), st.integers(0, 30)),
    st.tuples(st.integers(0, 30), st.integers(0, 30)),
)
def test_whoever_buys_more_has_all_of_what_who_buys_less_has(
    of: list[int], seed: int, cheap: tuple[int, int], dear: tuple[int, int]
) -> None:
    market = Market(sold(of), seed)
    few, many = (market.buy_cheap(min(count, len(of))) for count in sorted(cheap))
    assert many[: len(few)] == few
    fewer, more = (market.buy_dear(market.left(min(cheap))[:count]) for count in sorted(dear))
    assert more[: len(fewer)] == fewer


@given(st.lists(st.integers(0, 12), min_size=2, max_size=30), st.integers(0, 5), st.integers(0, 30), st.integers(0, 30))
def test_no_story_is_labelled_by_both_while_the_pool_lasts(of: list[int], seed: int, cheap: int, dear: int) -> None:
    """And no debate ever is; which dearer labels are bought depends, while it lasts, on nothing else."""
    market = Market(sold(of), seed)
    cheap = min(cheap, len(of))
    dear = min(dear, len(of) - cheap)
    by_cheap, by_dear = market.buy_cheap(cheap), market.buy_dear(market.left(cheap)[:dear])
    assert len(by_cheap) == cheap and len(by_dear) == dear
    assert not {one.transcript.question.id for one in by_cheap} & {one.transcript.question.id for one in by_dear}
    untouched = sum(f"story{story}" not in stories(by_cheap) for story in of)
    if dear <= untouched:
        assert not set(stories(by_cheap)) & set(stories(by_dear))
        assert by_dear == market.buy_dear(market.left(0)[:dear])


def labelled(of: Sequence[int]) -> list[Labelled]:
    return [Labelled(debate(story, number), 1.0) for number, story in enumerate(of)]


@pytest.mark.parametrize(
    ("bought", "held"), [(0, 0), (1, 1), (2, 2), (3, 2), (10, 2), (20, 4), (640, 128), (2000, 128)]
)
def test_a_share_is_held_back_within_bounds(bought: int, held: int) -> None:
    learned, kept = hold_back(labelled(range(bought)), 0.2)
    assert (len(learned), len(kept)) == (bought - held, held) and (FEWEST_HELD_BACK, MOST_HELD_BACK) == (2, 128)


def test_whole_stories_are_held_back_the_last_that_were_bought() -> None:
    bought = labelled([0, 0, 1, 1, 2, 2, 2, 3])
    learned, held = hold_back(bought, 0.25)
    assert stories(held) == ["story2"] * 3 + ["story3"] and stories(learned) == ["story0"] * 2 + ["story1"] * 2


@given(st.lists(st.integers(0, 9), max_size=60), st.floats(0.01, 0.99))
def test_nothing_is_lost_and_no_story_is_on_both_sides(of: list[int], share: float) -> None:
    bought = labelled(of)
    learned, held = hold_back(bought, share)
    assert not set(stories(learned)) & set(stories(held))
    assert sorted(one.transcript.question.id for one in [*learned, *held]) == sorted(
        one.transcript.question.id for one in bought
    )
    assert len(held) >= min(len(bought), FEWEST_HELD_BACK)


def test_confidence_is_the_distance_from_one_half() -> None:
    targets = [0.5, 0.9, 0.2, 1.0, 0.0]
    weighed = by_confidence([Labelled(debate(n), target) for n, target in enumerate(targets)])
    assert [(one.target, one.weight) for one in weighed] == [
        (0.9, pytest.approx(0.8)),
        (0.2, pytest.approx(0.6)),
        (1.0, 1.0),
        (0.0, 1.0),
    ]


def test_examples_are_of_as_many_stories_and_have_a_winner() -> None:
    bought = labelled([0, 0, 1, 2, 3])
    bought[2] = Labelled(bought[2].transcript, 0.5)
    assert one_per_story(bought) == [bought[0], bought[3], bought[4]]
