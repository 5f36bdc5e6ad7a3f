"""From verdicts to comparison.json: accuracies, paired differences, Holm, budgets and open protocols, by hand."""

import math
from collections.abc import Callable

import numpy as np
import pandas as pd
import pytest

from rostrum.trainer.evaluation.comparisons.contrasts import contrasts
from rostrum.trainer.stats.paired import holm, paired_change

STORIES = 40
Right = Callable[[int, bool], bool | None]
"""Whether the verdict on question i in a seating (swapped or not) is right; None: it is INVALID."""


def verdict_rows(arm: str, right: Right, player: str = "base", judge: str = "weak", sides: str = "AB") -> list[dict]:
    """Both seatings of every question, each of which has a story of its own. Answer 0 is right in even questions."""
    rows = []
    for i in range(STORIES):
        for swapped in (False, True):
            correct_seat = "A" if (i % 2 == 0) != swapped else "B"
            found = right(i, swapped)
            p = math.nan if found is None else 0.9 if found == (correct_seat == "A") else 0.1
            rows.append(
                {
                    "arm": arm,
                    "protocol": arm,
                    "checkpoint": player,
                    "iteration": int(player != "base"),
                    "matchup": "self",
                    "checkpoint_seats": sides,
                    "question_id": f"q{i}",
                    "story_id": f"s{i}",
                    "swapped_seats": swapped,
                    "judge": judge,
                    "judge_role": "reward" if judge == "weak" else "held-out",
                    "p_mean": p,
                    "valid": found is not None,
                    "reason": "",
                    "correct_seat": correct_seat,
                    "speeches": 4,
                    "words": 20 + i % 2,
                    "sampled_tokens": 30.0,
                    "preference_readings": 0.0,
                    "readings": 2.0,
                    "first_defends": float(swapped),
                }
            )
    return rows


def reference() -> list[dict]:
    naive = [dict(row, matchup="none", checkpoint_seats="") for row in verdict_rows("", lambda i, s: i % 4 == 0)]
    return [dict(row, protocol="naive") for row in naive if not row["swapped_seats"]]


def own(answer: Callable[[int], float]) -> dict[str, pd.DataFrame]:
    """The base's own answer to every question."""
    return {
        "base": pd.DataFrame(
            {
                "question_id": [f"q{i}" for i in range(STORIES)],
                "story_id": [f"s{i}" for i in range(STORIES)],
                "p_first": 0.5,
                "own": [answer(i) for i in range(STORIES)],
            }
        )
    }


RIGHT_ANSWER = own(lambda i: float(i % 2))


def test_accuracies_differences_and_budgets_by_hand() -> None:
    table = pd.DataFrame(
        [
            *reference(),
            *verdict_rows("debate", lambda i, s: i < 30),
            *verdict_rows("other", lambda i, s: i < 20 and not s),
        ]
    )
    found = contrasts(table, RIGHT_ANSWER)
    judge = found["judges"]["weak"]
    assert judge["arms"]["debate"]["base"]["accuracy"]["estimate"] == 0.75
    assert judge["arms"]["other"]["base"]["accuracy"]["estimate"] == 0.25
    assert judge["references"]["naive"]["accuracy"]["estimate"] == 0.25
    difference = judge["arms"]["other"]["base"]["difference"]
    assert (difference["first"], difference["arm"], difference["change"]) == (0.75, 0.25, -0.5)
    assert (difference["questions"], difference["stories"], difference["shown"]) == (STORIES, STORIES, "down")
    assert "difference" not in judge["arms"]["debate"]["base"] and "training" not in judge["arms"]["debate"]
    assert found["budget"]["other"]["base"] == {
        "speeches": 4,
        "words": 20.5,
        "sampled_tokens": 30,
        "preference_readings": 0,
        "readings": 2,
    }
    assert found["arms"] == ["debate", "other"] and judge["role"] == "reward"


def test_differences_pair_the_same_question_and_seating() -> None:
    """The second arm has no valid verdict where it would have been wrong: that must not look like a gain."""
    table = pd.DataFrame(
        [
            *reference(),
            *verdict_rows("debate", lambda i, s: not s),
            *verdict_rows("other", lambda i, s: None if s else True),
        ]
    )
    arm = contrasts(table, RIGHT_ANSWER)["judges"]["weak"]["arms"]["other"]["base"]
    assert arm["accuracy"]["estimate"] == 1 and arm["invalid"] == STORIES and arm["debates"] == 2 * STORIES
    assert arm["difference"]["change"] == 0 and arm["difference"]["p"] == 1


def test_holm_runs_over_every_arm_player_and_judge() -> None:
    rng = np.random.default_rng(0)
    draws = rng.uniform(size=(3, 2, 2, STORIES, 2))
    names = ("debate", "one", "two"), ("base", "iteration-0003"), ("weak", "other")
    rows = reference()
    for a, arm in enumerate(names[0]):
        for p, player in enumerate(names[1]):
            for j, judge in enumerate(names[2]):
                draw = draws[a, p, j]
                rows += verdict_rows(
                    arm, lambda i, s, draw=draw, a=a: bool(draw[i, int(s)] < 0.8 - 0.11 * a), player, judge
                )
    both = RIGHT_ANSWER | {"iteration-0003": RIGHT_ANSWER["base"]}
    found = contrasts(pd.DataFrame(rows), both)
    differences = [
        found["judges"][judge]["arms"][arm][player]["difference"]
        for judge in names[2]
        for arm in names[0][1:]
        for player in names[1]
    ]
    assert len(differences) == 8
    trained = [found["judges"][judge]["arms"][arm]["training"] for judge in names[2] for arm in names[0]]
    family = [*differences, *trained]
    expected = holm([one["p"] for one in family])
    assert [one["p_holm"] for one in family] == pytest.approx(list(expected), abs=1e-5)
    assert found["family"] == {"correction": "Holm", "size": 14}
    for difference in differences:
        shown = difference["shown"] != "nothing"
        assert shown == (difference["p_holm"] < 0.05 and not difference["low"] <= 0 <= difference["high"])
    assert any(d["p"] < 0.05 <= d["p_holm"] for d in differences)  # or the adjustment would not be tested


def test_the_paired_difference_is_that_of_the_statistics() -> None:
    draws = np.random.default_rng(1).uniform(size=(2, STORIES, 2)) < 0.6
    table = pd.DataFrame(
        [
            *reference(),
            *verdict_rows("debate", lambda i, s: bool(draws[0, i, int(s)])),
            *verdict_rows("other", lambda i, s: bool(draws[1, i, int(s)])),
        ]
    )
    difference = contrasts(table, RIGHT_ANSWER)["judges"]["weak"]["arms"]["other"]["base"]["difference"]
    expected = paired_change(draws[0].mean(axis=1), draws[1].mean(axis=1), [f"s{i}" for i in range(STORIES)])
    assert difference["p"] == pytest.approx(expected.p, abs=1e-6)
    assert (difference["low"], difference["high"]) == pytest.approx((expected.low, expected.high), abs=1e-6)


def test_open_protocols_take_the_seating_in_which_the_first_seat_defends_the_own_answer() -> None:
    """A judge who believes the first side: right where the model is, wrong where it is not."""
    believes_first = verdict_rows("consultancy", lambda i, s: (i % 2 == 0) != s, sides="A")
    beliefs = own(lambda i: math.nan if i < 4 else float(i % 2) if i < 31 else float(1 - i % 2))
    table = pd.DataFrame([*reference(), *verdict_rows("debate", lambda i, s: True), *believes_first])
    found = contrasts(table, beliefs)
    assert found["own_answers"]["base"] | {"accuracy": 0} == {"accuracy": 0, "questions": 36, "without": 4}
    assert found["own_answers"]["base"]["accuracy"]["estimate"] == 0.75
    opened = found["judges"]["weak"]["arms"]["consultancy"]["base"]["open"]
    assert (opened["own_right"]["estimate"], opened["own_wrong"]["estimate"]) == (1, 0)
    assert (opened["own_right"]["debates"], opened["own_wrong"]["debates"]) == (27, 9)
    assert opened["all"]["estimate"] == 0.75
    always = found["judges"]["weak"]["arms"]["debate"]["base"]["open"]
    assert always["all"]["estimate"] == always["own_wrong"]["estimate"] == 1


def test_what_is_not_known_is_none() -> None:
    table = pd.DataFrame(
        [
            *reference(),
            *verdict_rows("debate", lambda i, s: True),
            *verdict_rows("other", lambda i, s: None),
        ]
    )
    arm = contrasts(table, RIGHT_ANSWER)["judges"]["weak"]["arms"]["other"]["base"]
    assert arm["accuracy"]["estimate"] is None and arm["difference"]["p"] is None
    assert arm["difference"]["p_holm"] is None and arm["difference"]["shown"] == "nothing"
    assert arm["open"]["own_wrong"] == {"estimate": None, "low": None, "high": None, "debates": 0}
