"""What is made of a tournament's verdicts: planted winners, covariates, consultants, a slope, INVALID ones left out."""

import math
from typing import Any

import numpy as np
import pandas as pd
import pytest

from trainer.standings import games_of, order, standings

STRENGTH = {"base": 0.0, "run 1": 0.5, "run 2": 1.2}
"""In nats."""


def row(a: str, b: str, question: int, p: float, correct: str = "A", words: tuple[int, int] = (5, 5)) -> dict[str, Any]:
    return {
        "seat_a": a, "seat_b": b, "question_id": f"q{question}", "story_id": f"s{question}", "swapped_seats": False,
        "judge": "judge", "p_mean": p, "valid": True, "reason": "", "correct_seat": correct,
        "words_a": words[0], "words_b": words[1], "verified_a": 1, "verified_b": 1,
    }  # fmt: skip


def debates(questions: int, seed: int = 0, length_bias: float = 0.0) -> pd.DataFrame:
    """Everybody against everybody; the stronger argue better and, by `length_bias`, the wordier are believed."""
    rng, rows = np.random.default_rng(seed), []
    for question in range(questions):
        for a in STRENGTH:
            for b in STRENGTH:
                words = tuple(int(n) for n in rng.integers(1, 20, 2))
                lean = STRENGTH[a] - STRENGTH[b] + length_bias * math.tanh((words[0] - words[1]) / 7.7)
                won = rng.random() < 1 / (1 + math.exp(-lean))
                rows.append(row(a, b, question, 0.8 if won else 0.3, rng.choice(["A", "B"]), words))
    return pd.DataFrame(rows)


def test_planted_strengths_are_found_in_order() -> None:
    found = standings(debates(300), "base", resamples=100)
    assert found["players"] == ["run 2", "run 1", "base"]
    players = found["judges"]["judge"]["players"]
    for name, nats in STRENGTH.items():
        elo, low, high = players[name]["elo"]
        assert low <= elo <= high and elo == pytest.approx(400 * nats / math.log(10), abs=35)
    won = found["judges"]["judge"]["grid"]["run 2"]["base"]
    assert won[0] == pytest.approx(1 / (1 + math.exp(-1.2)), abs=0.04)
    assert found["judges"]["judge"]["grid"]["base"]["run 2"] == pytest.approx([1 - won[0], 1 - won[2], 1 - won[1]])


def test_a_judge_who_likes_words_is_found_out() -> None:
    covariates = standings(debates(400, length_bias=1.5), "base", resamples=1)["judges"]["judge"]["covariates"]
    assert covariates["more words"] == pytest.approx(400 * 1.5 / math.log(10), rel=0.2)
    assert abs(covariates["more verified quotes"]) < 1 and abs(covariates["speaking in seat A"]) < 40


def test_swapping_the_answers_changes_no_rating() -> None:
    """Which answer is right is turned round everywhere: ratings stay, truth advantages change their sign."""
    table = debates(100)
    turned = table.assign(correct_seat=np.where(table["correct_seat"] == "A", "B", "A"))
    here, there = (standings(t, "base", resamples=20)["judges"]["judge"]["players"] for t in (table, turned))
    for name in STRENGTH:
        assert here[name]["elo"] == pytest.approx(there[name]["elo"])
        assert here[name]["truth_advantage"][0] == pytest.approx(-there[name]["truth_advantage"][0], abs=1e-6)
        assert here[name]["accuracy"][0] == pytest.approx(1 - there[name]["accuracy"][0])


def test_permuting_the_debates_changes_nothing() -> None:
    table = debates(40)
    shuffled = table.sample(frac=1, random_state=1).reset_index(drop=True)
    here, there = (standings(t, "base", resamples=20)["judges"]["judge"] for t in (table, shuffled))
    assert here["players"]["run 2"]["elo"] == pytest.approx(there["players"]["run 2"]["elo"])
    assert here["slope"] == pytest.approx(there["slope"])


def test_invalid_verdicts_are_counted_and_left_out() -> None:
    table = debates(60)
    bad = pd.DataFrame([row("run 1", "base", 1, math.nan) | {"valid": False, "reason": "planted"}] * 3)
    found = standings(pd.concat([table, bad], ignore_index=True), "base", resamples=20)["judges"]["judge"]
    assert (found["invalid"], found["debates"]) == (3, len(table) + 3)
    assert found["players"] == standings(table, "base", resamples=20)["judges"]["judge"]["players"]


def test_consultants_are_compared_on_the_same_side_of_the_same_question() -> None:
    table = pd.DataFrame([
        row("base", "", 0, 0.4), row("new", "", 0, 0.6), row("other", "", 0, 0.6),
        row("base", "", 1, 0.9), row("new", "", 1, 0.8),
    ])  # fmt: skip
    found = {(g.first, g.second, g.cluster): g.score for g in games_of(table)}
    assert found == {
        ("base", "new", "s0"): 0, ("base", "other", "s0"): 0, ("new", "other", "s0"): 0.5, ("base", "new", "s1"): 1,
    }  # fmt: skip


def test_the_slope_is_none_with_two_players() -> None:
    table = debates(30)
    two = table[(table["seat_a"] != "run 2") & (table["seat_b"] != "run 2")]
    assert standings(two, "base", resamples=5)["judges"]["judge"]["slope"] is None
    assert standings(table, "base", resamples=50)["judges"]["judge"]["slope"]["low"] < 0


def test_the_order_is_that_of_the_ratings() -> None:
    assert order(debates(200), "judge", ["base", "run 1", "run 2"]) == ["run 2", "run 1", "base"]
