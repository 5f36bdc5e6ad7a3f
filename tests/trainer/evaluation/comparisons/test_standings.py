"""What is made of a tournament's verdicts: planted winners, covariates, consultants, a slope, INVALID ones left out."""

import math
import re
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from rostrum.trainer.evaluation.comparisons.standings import order, standings
from rostrum.trainer.records import jsonable
from rostrum.trainer.report import tournament_page
from rostrum.trainer.report.tournament_page import write_tournament

STRENGTH = {"base": 0.0, "run 1": 0.5, "run 2": 1.2}
"""In nats."""


def row(a: str, b: str, question: int, p: float, correct: str = "A", words: tuple[int, int] = (5, 5)) -> dict[str, Any]:
    return {
        "seat_a": a,
        "seat_b": b,
        "question_id": f"q{question}",
        "story_id": f"s{question}",
        "swapped_seats": False,
        "judge": "judge",
        "p_mean": p,
        "valid": True,
        "reason": "",
        "correct_seat": correct,
        "words_a": words[0],
        "words_b": words[1],
        "verified_a": 1,
        "verified_b": 1,
    }


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
    assert abs(covariates["more verified quotes"]) < 1 and abs(covariates["speaking in side A"]) < 40


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


APPROVAL = {"base": (0.7, 0.4), "run 1": (0.8, 0.6), "run 2": (0.85, 0.8)}
"""How often the judge approves of each consultant, given the right and the wrong answer."""


def consultancies(questions: int, seed: int = 0) -> pd.DataFrame:
    """Every consultant on both answers to every question, always in side A."""
    rng = np.random.default_rng(seed)
    return pd.DataFrame(
        [
            row(name, "", question, 0.8 if rng.random() < approval[correct == "B"] else 0.3, correct)
            | {"swapped_seats": correct == "B"}
            for question in range(questions)
            for name, approval in APPROVAL.items()
            for correct in "AB"
        ]
    )


def test_a_consultants_rating_is_the_log_odds_of_its_approval_less_the_bases() -> None:
    table = consultancies(500)
    found = standings(table, "base", resamples=200)["judges"]["judge"]
    won = {name: (own["p_mean"] > 0.5).mean() for name, own in table.groupby("seat_a")}

    def elo(share: float) -> float:
        return 400 * math.log10(share / (1 - share))

    assert set(found["players"]) == set(APPROVAL), "the judge is no player"
    for name, player in found["players"].items():
        rating, low, high = player["elo"]
        assert rating == pytest.approx(elo(won[name]) - elo(won["base"]), abs=0.1)
        assert low < rating < high or name == "base"
        assert player["approval"][0] == pytest.approx(won[name])
        right, wrong = APPROVAL[name]
        assert player["accuracy"][0] == pytest.approx((right + 1 - wrong) / 2, abs=0.03)
        assert player["truth_advantage"][0] == pytest.approx(elo(right) - elo(wrong), abs=35)
    assert found["covariates"] == {} and not any(found["grid"].values())


def test_a_consultants_intervals_are_paired_with_the_base_on_the_same_questions() -> None:
    """A copy of the base is as persuasive on every question: no interval at all, though each approval has one."""
    table = consultancies(100)
    copy = table[table["seat_a"] == "base"].assign(seat_a="run 3")
    player = standings(pd.concat([table, copy]), "base", resamples=100)["judges"]["judge"]["players"]["run 3"]
    assert player["elo"] == pytest.approx([0, 0, 0], abs=1e-6)
    assert player["approval"][2] - player["approval"][1] > 0.05


def test_the_slope_of_consultants_is_that_of_accuracy_on_approval() -> None:
    """The planted ones are more persuasive above all when wrong, and the judge is right about them less often."""
    found = standings(consultancies(600), "base", resamples=200)["judges"]["judge"]
    slope, players = found["slope"], found["players"]
    points = [(player["elo"][0], player["accuracy"][0]) for player in players.values()]
    assert slope["points_per_100_elo"] == pytest.approx(1e4 * np.polyfit(*zip(*points, strict=True), 1)[0])
    assert slope["high"] < 0


def test_consultants_on_the_other_side_of_the_truth() -> None:
    """With every label turned round, approval stays, and right and wrong change places."""
    table = consultancies(80)
    turned = table.assign(correct_seat=np.where(table["correct_seat"] == "A", "B", "A"))
    here, there = (standings(t, "base", resamples=20)["judges"]["judge"]["players"] for t in (table, turned))
    for name in APPROVAL:
        assert here[name]["elo"] == pytest.approx(there[name]["elo"])
        assert here[name]["right"][0] == pytest.approx(there[name]["wrong"][0])


def test_the_slope_is_none_with_two_players() -> None:
    table = debates(30)
    two = table[(table["seat_a"] != "run 2") & (table["seat_b"] != "run 2")]
    assert standings(two, "base", resamples=5)["judges"]["judge"]["slope"] is None
    assert standings(table, "base", resamples=50)["judges"]["judge"]["slope"]["low"] < 0


def test_the_order_is_that_of_the_ratings() -> None:
    assert order(debates(200), "judge", ["base", "run 1", "run 2"]) == ["run 2", "run 1", "base"]


def test_players_rated_alike_have_no_slope() -> None:
    table = debates(10).assign(p_mean=0.5)
    assert standings(table, "base", resamples=20)["judges"]["judge"]["slope"] is None


def page(tmp_path: Path, **groups: pd.DataFrame) -> str:
    found = {name: standings(table, "base", resamples=50) for name, table in groups.items()}
    return write_tournament(tmp_path, "<b>t</b>", jsonable({"anchor": "base", "groups": found})).read_text("utf-8")


def test_the_page_shows_all_groups_in_one_picture(tmp_path: Path) -> None:
    shown = page(tmp_path, debate=debates(60), consultancy=consultancies(60))
    assert shown.count('class="chart"') == 1 and "one point for each of 6 players" in shown
    for words in ("base, debate", "base, consultancy", "slope, debate", "slope, consultancy", "Approval"):
        assert words in shown
    assert len(re.findall(r'class="line c\d dashed"', shown)) == 4, "each slope in the picture and in its key"
    assert shown.count('class="grid-map"') == 1, "consultants have no grid"
    assert "<b>t" not in shown and "<script" not in shown and 'href="http' not in shown


def test_the_slope_is_drawn_where_the_figures_say(tmp_path: Path) -> None:
    """The dashed line goes through the mean of the points with the slope of the standings."""
    found = standings(debates(60), "base", resamples=20)["judges"]["judge"]
    (line,) = tournament_page._slope_line(found, "slope", 0)
    (one, two), players = line.points, found["players"].values()
    assert 1e4 * (two.y - one.y) / (two.x - one.x) == pytest.approx(found["slope"]["points_per_100_elo"])
    middle, height = (np.mean([player[key][0] for player in players]) for key in ("elo", "accuracy"))
    assert one.y + (middle - one.x) * (two.y - one.y) / (two.x - one.x) == pytest.approx(height)


def test_the_grid_has_every_pair_once_from_each_side(tmp_path: Path) -> None:
    found = standings(debates(60), "base", resamples=20)
    drawn = tournament_page.cross_play("judge", found["players"], found["judges"]["judge"]["grid"], "base").svg
    cells = {
        (row, column): float(share)
        for row, column, share in re.findall(
            r"(base|run iteration \d)[^:;]*? against (base|run iteration \d)[^:]*: "
            r"(\d+\.\d) %",
            drawn,
        )
    }
    assert len(cells) == 6
    assert all(cells[two, one] == pytest.approx(100 - share, abs=0.11) for (one, two), share in cells.items())
    assert cells["run iteration 2", "base"] > 65
    assert drawn.count(">–<") == 3, "nobody against themselves"


def test_two_debates_of_one_question_are_not_two_questions() -> None:
    """The grid's intervals are clustered by story: playing every debate three times does not narrow them."""
    table = debates(50)
    once, often = (
        standings(t, "base", resamples=5)["judges"]["judge"]["grid"]["run 2"]["base"]
        for t in (table, pd.concat([table] * 3))
    )
    assert once == pytest.approx(often)
