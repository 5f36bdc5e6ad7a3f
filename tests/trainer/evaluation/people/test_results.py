"""What verdicts of people come to: worked numbers."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from rostrum.rewards.audit.raters import answers_alpha
from rostrum.rewards.people import places, verdicts
from rostrum.trainer.evaluation.people.results import Judged, read, results, sentences
from tests.rewards.people import study


def verdict(judge: str, debate: int, first_is_right: bool, p_first: float, condition: str = "base") -> Judged:
    return Judged(condition, judge, f"q{debate}", f"story{debate // 2}", debate, first_is_right, p_first, 60.0 + debate)


def test_worked_numbers() -> None:
    judged = [
        verdict("ann", 0, True, 0.9),
        verdict("ben", 0, False, 0.2),
        verdict("ann", 2, False, 0.8),
        verdict("ben", 2, False, 0.7, "trained"),
        verdict("cleo", 4, True, 0.6, "trained"),
    ]
    found = results(judged)
    base, trained = found.by_condition["base"], found.by_condition["trained"]
    assert base.n == 3 and base.accuracy.estimate == pytest.approx(2 / 3)
    assert base.brier.estimate == pytest.approx((0.01 + 0.04 + 0.64) / 3)
    assert base.sure_and_wrong.estimate == pytest.approx(1 / 3)
    assert trained.accuracy.estimate == 0.5 and trained.sure_and_wrong.estimate == 0
    assert found.by_judge["ann"].accuracy == 0.5 and found.by_judge["ann"].seconds == 61
    assert found.first.estimate == pytest.approx(4 / 5)
    assert found.of_busiest_fifth == pytest.approx(2 / 5)
    assert "base: right in 66.7 %" in sentences(found)[0]


def test_who_agrees() -> None:
    rng = np.random.default_rng(0)
    alike = [verdict(judge, debate, True, 0.9 if debate % 3 else 0.2) for judge in "abc" for debate in range(12)]
    apart = [verdict(judge, debate, True, rng.choice((0.2, 0.9))) for judge in "abc" for debate in range(60)]
    assert results(alike).alpha.estimate == 1
    assert abs(results(apart).alpha.estimate) < 0.2


def test_people_who_are_nearly_always_right_agree() -> None:
    """On 12 debates two people are right, one a little surer: .1 apart on each. By chance they are as far apart as any
    two of .8, .2, .9 and .1, which come twelve times each."""
    judged = [verdict(judge, debate, True, p) for judge, p in (("ann", 0.8), ("ben", 0.9)) for debate in range(12)]
    n = 48  # values: two people, twelve debates, two answers
    apart = 2 * 24 * 0.1**2 / n
    pairs = 12 * 12 * (0.6**2 + 0.8**2 + 2 * 0.7**2 + 2 * 0.1**2) * 2
    assert results(judged).alpha.estimate == pytest.approx(1 - apart / (pairs / (n * (n - 1))))
    assert results(judged).alpha.estimate > 0.95


def test_nothing_yet() -> None:
    assert sentences(results([])) == []


def test_each_scale_has_its_accuracy_and_its_reliability() -> None:
    """Two people agree on every choice and part on probabilities; ratings tie once, which is a half."""
    judged = [
        replace(verdict(judge, debate, True, p), chose_right=p > 0.5, ratings=ratings, tags=tags)
        for judge, tags, of in (
            ("ann", ("native",), [(0, 0.9, (9, 2)), (2, 0.3, (4, 4)), (4, 0.8, (8, 3)), (6, 0.9, (9, 1))]),
            ("ben", (), [(0, 0.6, (8, 2)), (2, 0.1, (2, 7)), (4, 0.95, (7, 3)), (6, 0.6, (6, 1))]),
        )
        for debate, p, ratings in of
    ]
    found = results(judged)
    assert {name: of.n for name, of in found.by_scale.items()} == {"probability": 8, "choice": 8, "rating": 8}
    accuracy = {name: of.accuracy.estimate for name, of in found.by_scale.items()}
    assert accuracy == {"probability": 0.75, "choice": 0.75, "rating": (6 + 0.5) / 8}
    assert found.by_scale["choice"].alpha.estimate == 1 > found.by_scale["rating"].alpha.estimate
    assert found.by_scale["probability"].alpha == found.alpha
    better = np.array([[7, 0, 5, 8], [6, -5, 4, 5]])
    assert found.by_scale["rating"].alpha.estimate == answers_alpha(better, -better, "ordinal", range(4)).estimate
    assert list(found.by_tag) == ["native"] and (found.by_tag["native"].people, found.by_tag["native"].n) == (1, 4)
    assert found.by_tag["native"].accuracy.estimate == 0.75
    told = " ".join(sentences(found))
    assert "By choice: right in 75.0 %" in told and "Tag 'native' (1 of the people): right in 75.0 %" in told
    assert list(results([verdict("ann", 0, True, 0.9)]).by_scale) == ["probability"]


def test_scales_and_tags_are_read_from_a_study(tmp_path: Path) -> None:
    db = study.make(tmp_path, questions=1, conditions=1, wanted=2, judges=2)
    db.execute("INSERT INTO answer VALUES (0, 'B')")
    db.execute("""UPDATE judge SET tags = '["native"]' WHERE id = 'j1'""")
    for judge, also in (("j0", {}), ("j1", {"choice": "B", "rating": {"A": 3, "B": 8}})):
        place = places.take(db, judge, "main", now=0, seconds=60)
        assert place is not None
        verdicts.submit(db, judge, place.id, verdicts.Sent(judge, 0.3, "So.", 30.0, also=also), now=1)
    none, given = read(db)
    assert (none.chose_right, none.ratings, none.tags) == (None, None, ())
    assert (given.chose_right, given.ratings, given.tags) == (True, (8, 3), ("native",))
