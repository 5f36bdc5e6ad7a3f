"""Ratings from 1 (strongly for answer A) over 5 (a tie) to 9 (strongly for answer B), and the probabilities they mean.

The probabilities of the nine ratings are the middles of nine equal parts of [0, 1].
"""

RATINGS = range(1, 10)
TIE = 5


def probability_of(rating: int) -> float:
    """Return P(answer A) that a rating stands for: 17/18 for 1, exactly .5 for 5, 1/18 for 9."""
    return (9.5 - rating) / 9


def rating_of(probability: float) -> int:
    """Return the rating whose ninth of [0, 1] P(answer A) lies in; .5 is a tie."""
    return min(RATINGS[-1], max(RATINGS[0], round(9.5 - 9 * probability)))
