"""Which rows are in memory at once."""

from rostrum.trainer.learners.micro_batches import Sizes, fitting, together

SIZES = Sizes(questions=(0, 0, 1, 0, 1), prompts=(10, 12, 20, 10, 21), completions=(5, 3, 4, 6, 4), prefixes=(8, 19))


def test_a_prefix_counts_once_and_padding_as_it_is() -> None:
    assert SIZES.tokens([0, 1, 3], shared=True) == 15 + 15 + 16 - 2 * 8
    assert SIZES.tokens([0, 2], shared=True) == 15 + 24, "two questions have nothing in common"
    assert SIZES.tokens([0, 1, 3], shared=False) == 3 * (12 + 6)
    assert SIZES.whole == 15 + 15 + 24 + 16 + 25
    assert SIZES.mean_prefix == (3 * 8 + 2 * 19) / 5
    assert Sizes((0,), (10,), (5,), (14,)).mean_prefix == 0, "a row alone shares with nobody"


def test_rows_of_a_question_stay_together_in_the_order_drawn() -> None:
    assert together([4, 1, 3, 2, 0], SIZES.questions) == [4, 2, 1, 3, 0]


def test_micro_batches_are_filled_up_to_their_tokens() -> None:
    order = [4, 2, 1, 3, 0]
    assert fitting(order, SIZES, 30, shared=True) == 2
    assert fitting(order, SIZES, 29, shared=True) == fitting(order, SIZES, 1, shared=True) == 1, "one row at least"
    assert fitting(order[2:], SIZES, 30, shared=True) == 3
    assert fitting(order[2:], SIZES, 29, shared=True) == 2
    assert fitting(order, SIZES, 50, shared=False) == 2, "two rows of 21 + 4"
    assert fitting(order[2:], SIZES, 53, shared=False) == 2
    assert fitting(order[2:], SIZES, 54, shared=False) == 3
