"""What a budget buys, worked by hand, and which judges are taught for it."""

from collections import Counter
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from rostrum.trainer.config.labels import Labels
from rostrum.trainer.labels.grid_plan import UNTAUGHT, Cell, Offer, Trial, cells, chains, table, trials

ENOUGH = Offer(4096, 4096, 4096)


def grid(price: float = 0.1, dear: float = 1.0, offer: Offer = ENOUGH, **asked: Any) -> list[Cell]:
    """Return the cells of one seed."""
    return cells(Labels(**{"budgets": [16], "shares": [0.5, 1], "seeds": 1} | asked), price, dear, offer)


def only(found: list[Cell], share: float = 0.5, arm: str = "finetune", **values: Any) -> Cell:
    (cell,) = [
        cell
        for cell in found
        if (cell.share, cell.arm) == (share, arm) and all(getattr(cell, k) == v for k, v in values.items())
    ]
    return cell


def test_half_of_sixteen_dollars() -> None:
    cell = only(grid())
    assert (cell.cheap, cell.dear, cell.spent, cell.exhausted) == (80, 8, pytest.approx(16), False)
    assert only(grid(), share=1).trial == Trial("finetune", 0, 0, 16)


def test_whole_labels_are_bought() -> None:
    """$2.80 for labels of $.30 and $.70 for one of $1: nine and none, $2.70; and three dimes are three labels of
    $.10, though a third of .3 is less in binary."""
    cell = only(grid(0.3, budgets=[3.5], shares=[0.2, 1]), share=0.2)
    assert (cell.cheap, cell.dear, cell.spent, cell.exhausted) == (9, 0, pytest.approx(2.7), False)
    assert only(grid(0.1, budgets=[0.3], shares=[0, 1]), share=0).cheap == 3


def test_a_budget_beyond_the_pool_is_marked() -> None:
    """20 dearer labels leave 80 debates of a hundred, and $80 would buy 800 cheaper ones."""
    cell = only(grid(budgets=[100], shares=[0.2, 1], offer=Offer(100, 100, 100)), share=0.2)
    assert (cell.cheap, cell.dear, cell.spent, cell.exhausted) == (80, 20, pytest.approx(28), True)
    few = only(grid(budgets=[100], shares=[0.2, 1], offer=Offer(100, 8, 108)), share=0.2)
    assert (few.cheap, few.dear, few.exhausted) == (100, 8, True)
    assert not only(grid(budgets=[10], shares=[0, 1], offer=Offer(100, 100, 100)), share=0).exhausted


def test_repeated_labels_are_bought_in_threes() -> None:
    """80 cheaper labels are three each of 26 debates; a pool of 28 debates has 20 left beside 8 dearer labels."""
    asked: dict[str, Any] = {"arms": ["finetune", "repeated"], "repeats": 3}
    cell = only(grid(**asked), arm="repeated")
    assert (cell.cheap, cell.dear, cell.spent, cell.exhausted) == (78, 8, pytest.approx(15.8), False)
    few = only(grid(**asked, offer=Offer(28, 28, 28)), arm="repeated")
    assert (few.cheap, few.dear, few.exhausted) == (60, 8, True)


def test_shots_alone_cost_the_few_that_are_needed() -> None:
    found = grid(arms=["finetune", "shots"], shots=4)
    cell = only(found, share=0, arm="shots")
    assert (cell.cheap, cell.dear, cell.spent) == (5, 0, pytest.approx(0.5))
    assert len(found) == 3, "shots are tried at one share"


def test_shots_cost_no_more_than_there_is() -> None:
    cell = only(grid(4.0, 9.0, arms=["finetune", "shots"], shots=4), share=0, arm="shots")
    assert (cell.cheap, cell.spent) == (4, pytest.approx(16))


def test_other_arms_keep_to_their_budgets_shares_and_price() -> None:
    asked: dict[str, Any] = {"budgets": [16, 64], "shares": [0, 0.5, 1], "prices": [0.01, 0.1], "arm_budgets": [64]}
    found = grid(**asked, arm_shares=[0.5], arms=["finetune", "uncertain"])
    (cell,) = [cell for cell in found if cell.arm == "uncertain"]
    assert (cell.budget, cell.share, cell.price) == (64, 0.5, 0.1)
    assert Counter(cell.arm for cell in found)["finetune"] == 12
    other = grid(0.2, **asked, arms=["finetune", "uncertain"])
    assert {cell.price for cell in other if cell.arm == "uncertain"} == {0.01}, (
        "its own price is none of those compared"
    )


def test_a_judge_is_taught_once_for_two_prices() -> None:
    found = grid(prices=[0.1, 0.2], budgets=[16, 32], shares=[0.5, 1])
    dear_only = [cell for cell in found if cell.share == 1]
    assert len(dear_only) == 4 and len({cell.trial for cell in dear_only}) == 2
    assert len(trials(found)) == len({cell.trial for cell in found}) + 1 == 6 + 1
    assert trials(found)[-1] == Trial(UNTAUGHT, 0, 0, 0)


def test_chains_share_the_cheaper_labels_and_the_longest_comes_first() -> None:
    found = trials(grid(budgets=[16, 32], shares=[0, 0.5, 1], prices=[0.1, 0.2]))
    made = list(chains(found))
    assert sorted(trial for chain in made for trial in chain) == found
    assert all(len({(t.arm, t.seed, t.cheap) for t in chain}) == 1 for chain in made)
    assert [[t.dear for t in chain] for chain in made if chain[0].cheap == 160] == [[0, 16]]
    work = [chain[0].cheap + sum(t.dear for t in chain) for chain in made]
    assert work == sorted(work, reverse=True) and work[-1] == 0


def test_cells_are_a_table() -> None:
    assert list(table(grid())) == "price budget share arm seed cheap dear spent exhausted".split()


@pytest.mark.parametrize(
    ("asked", "told"),
    [
        ({"budgets": [16, 16]}, "budgets lists a value twice"),
        ({"arm_budgets": [20]}, "arm_budgets has 20, which is none of the budgets"),
        ({"arm_shares": [0.3]}, "arm_shares has 0.3, which is none of the shares"),
        ({"arms": ["shots"]}, "compared with finetune"),
    ],
)
def test_a_grid_that_makes_no_sense_is_refused(asked: dict[str, Any], told: str) -> None:
    with pytest.raises(ValidationError, match=told):
        Labels(**asked)


SOME = st.floats(0.01, 50)


@given(
    st.lists(SOME, min_size=1, max_size=3, unique=True),
    SOME,
    SOME,
    st.lists(st.floats(0, 1), min_size=2, max_size=3, unique=True),
    st.tuples(st.integers(0, 60), st.integers(0, 60), st.integers(0, 60)),
)
def test_nobody_spends_more_than_the_budget_or_buys_what_is_not_there(
    budgets: list[float], price: float, dear: float, shares: list[float], pool: tuple[int, int, int]
) -> None:
    by_cheap, by_dear, by_both = pool
    offer = Offer(by_cheap + by_both, by_dear + by_both, sum(pool))
    every = ["finetune", "shots", "shots+finetune", "uncertain", "repeated", "confidence"]
    for cell in grid(price, dear, offer, budgets=budgets, shares=shares, arms=every, repeats=3):
        assert cell.spent <= cell.budget * (1 + 1e-6) + 1e-6
        labelled = cell.cheap // 3 if cell.arm == "repeated" else cell.cheap
        assert 0 <= labelled <= offer.cheap and 0 <= cell.dear <= offer.dear
        assert labelled + cell.dear <= offer.debates, "no debate is labelled twice over"
        assert cell.exhausted or cell.spent > cell.budget - price * 3 - dear or cell.arm == "shots"
