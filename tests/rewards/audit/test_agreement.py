"""Agreement with people: against the library where it has the figure, by hand and by exhaustion where it has not."""

import json
import math
from itertools import permutations
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from scipy.stats import wasserstein_distance
from statsmodels.stats.inter_rater import cohens_kappa

from rostrum.rewards.audit.agreement import agreement, rating_of
from rostrum.rewards.audit.ratings import Rating, RatingError, from_difference, read_ratings
from rostrum.rewards.audit.ties import Split


def ratings(seed: int, n: int = 60) -> tuple[np.ndarray, np.ndarray]:
    """A judge that follows people with noise and seldom says 5."""
    rng = np.random.default_rng(seed)
    human = rng.integers(1, 10, n)
    judge = np.clip(human + rng.integers(-3, 4, n), 1, 9)
    return human, np.where(judge == 5, rng.choice([2, 7], n, p=[0.8, 0.2]), judge)


@pytest.mark.parametrize("seed", range(4))
def test_kappa_spearman_and_wasserstein_agree_with_the_libraries(seed: int) -> None:
    human, judge = ratings(seed)
    found = agreement(human, judge)
    counts = np.zeros((9, 9))
    np.add.at(counts, (human - 1, judge - 1), 1)
    assert found.kappa == pytest.approx(cohens_kappa(counts, wt="quadratic").kappa)
    assert found.wasserstein == pytest.approx(wasserstein_distance(human, judge))
    frame = pd.DataFrame({"human": human, "judge": judge}).rank()
    assert found.spearman == pytest.approx(frame["human"].corr(frame["judge"]))


def test_chance_is_the_mean_over_every_way_of_dealing_the_ratings() -> None:
    human, judge = np.array([1, 5, 5, 6, 9]), np.array([2, 2, 5, 8, 9])
    dealt = [np.array(order) for order in permutations(judge)]
    found = agreement(human, judge)
    assert found.exact.chance == pytest.approx(np.mean([(human == order).mean() for order in dealt]))
    assert found.within_one.chance == pytest.approx(np.mean([(abs(human - order) <= 1).mean() for order in dealt]))
    assert (found.exact.share.estimate, found.within_one.share.estimate) == (0.4, 0.6)


def test_uniform_ratings_agree_by_chance_as_the_literature_says() -> None:
    """About 11 % exactly and 31 % within one step."""
    human, judge = (grid.ravel() + 1 for grid in np.indices((9, 9)))
    found = agreement(human, judge)
    assert found.exact.chance == pytest.approx(1 / 9)
    assert found.within_one.chance == pytest.approx(25 / 81)
    assert found.kappa == pytest.approx(0)


def test_a_judge_that_never_ties_where_people_do_is_seen() -> None:
    human = np.array([5] * 12 + [1, 9])
    judge = np.array([2] * 10 + [7, 7] + [1, 9])
    found = agreement(human, judge)
    assert found.on_human_ties == Split(10, 0, 2)
    assert found.sign_test_p == pytest.approx(2 * sum(math.comb(12, k) for k in range(3)) / 2**12)
    assert found.human == [1, 0, 0, 0, 12, 0, 0, 0, 1] and sum(found.judge) == 14
    assert found.total_variation == pytest.approx(12 / 14)


def test_full_agreement_and_full_reversal() -> None:
    human, _ = ratings(0)
    same, turned = agreement(human, human), agreement(human, 10 - human)
    assert (same.kappa, same.total_variation, same.wasserstein, same.exact.share.estimate) == (1, 0, 0, 1)
    assert same.spearman == pytest.approx(1) and turned.spearman == pytest.approx(-1) and turned.kappa < 0


def test_differences_become_ratings_by_the_affine_map() -> None:
    assert [from_difference(d) for d in (-10, -5, 0, 5, 10)] == [1, 3, 5, 7, 9]
    assert [from_difference(d) for d in (1, 2, 3, 4)] == [5, 6, 6, 7]


def test_a_probability_becomes_the_rating_that_it_came_from() -> None:
    scores = np.arange(1, 10)
    assert rating_of((9.5 - scores) / 9).tolist() == scores.tolist()
    assert rating_of(np.array([1.0, 0.78, 0.5, 0.0])).tolist() == [1, 2, 5, 9]  # 9.5 - 9 * .78 = 2.48
    p = np.random.default_rng(0).uniform(size=200)
    assert (rating_of(1 - p) == 10 - rating_of(p)).all(), "relabelling the sides turns the rating round"


def test_a_file_of_ratings_is_read(tmp_path: Path) -> None:
    lines = [
        {"debate": "1", "score": 7},
        {"debate": "2", "score_1": 2, "score_2": 7.0},
        {"debate": "3", "score": 5, "judge": 1},
    ]
    (tmp_path / "r.jsonl").write_text("\n".join(map(json.dumps, lines)) + "\n\n")
    assert read_ratings(tmp_path / "r.jsonl") == [Rating("1", 7, None), Rating("2", 7, None), Rating("3", 5, 1)]


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("{", "is not JSON"),
        ("[]", "debate"),
        ('{"score": 5}', "debate"),
        ('{"debate": "1"}', "score_1"),
        ('{"debate": "1", "score": 10}', "1 to 9"),
        ('{"debate": "1", "score": true}', "1 to 9"),
        ('{"debate": "1", "score_1": 0, "score_2": 11}', "10 apart"),
        ('{"debate": "1", "score": 5, "judge": 0}', "judge"),
        ("", "holds no ratings"),
        ('{"debate": "1", "score_1": 0, "score_2": NaN}', "10 apart"),
    ],
)
def test_what_is_no_rating_is_named(tmp_path: Path, line: str, said: str) -> None:
    (tmp_path / "r.jsonl").write_text(line + "\n")
    with pytest.raises(RatingError, match=said):
        read_ratings(tmp_path / "r.jsonl")
