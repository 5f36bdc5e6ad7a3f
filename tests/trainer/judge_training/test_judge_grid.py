"""The grid of judges and debaters, on verdicts by hand: what is counted, paired, said and drawn."""

import json
import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from rostrum.envs.types import Protocol, Question, Transcript
from rostrum.rewards.labelled import Labelled
from rostrum.rewards.types import Verdict
from rostrum.trainer.judge_training import grid, grid_page
from rostrum.trainer.report.heat_map import EVEN, FOOLED, HIGH, LEFT, RIGHT, TOP, WIDE, colour_of
from rostrum.trainer.stats.paired import paired_change

QUESTIONS = 40


def debates() -> list[Labelled]:
    """Every question in both seatings, a story each; the first answer is right."""
    found = []
    for index in range(QUESTIONS):
        question = Question(f"q{index}", f"s{index}", "where ?", ("kitchen", "garden"), "")
        debate = Labelled(Transcript(question, Protocol("debate"), question.answers, False), 1.0)
        found += [debate, debate.swapped()]
    return found


def verdicts(right: int, invalid: int = 0) -> list[Verdict]:
    """A judge that is right about the first `right` questions and wrong about the rest; INVALID on the last debates."""
    of_the_right = [0.9 if index // 2 < right else 0.2 for index in range(2 * QUESTIONS)]
    of_a = [p if index % 2 == 0 else 1 - p for index, p in enumerate(of_the_right)]
    found = [Verdict("judge", p, p) for p in of_a]
    for index in range(len(found) - invalid, len(found)):
        found[index] = replace(found[index], given=None, swapped=None, valid=False, reason="planted")
    return found


def cells(right: dict[tuple[int, int], int], invalid: int = 0) -> dict[tuple[int, int], pd.DataFrame]:
    return {place: grid.cell(verdicts(count, invalid), debates()) for place, count in right.items()}


FOOLED_ONCE = {(0, 0): 28, (0, 1): 20, (0, 2): 24, (1, 0): 28, (1, 1): 36, (1, 2): 32}
"""Judge 0 falls from 70 % to 50 %; judge 1 is right in 90 % of the same debates and in 80 % of its own debaters'."""


def test_accuracies_are_those_of_the_verdicts() -> None:
    found = grid.figures(cells(FOOLED_ONCE))
    assert [[c["estimate"] for c in row] for row in found["cells"]] == [[0.7, 0.5, 0.6], [0.7, 0.9, 0.8]]
    assert all(c["low"] < c["estimate"] < c["high"] for row in found["cells"] for c in row)
    assert {c["questions"] for row in found["cells"] for c in row} == {QUESTIONS}


def test_the_comparisons_are_paired_and_against_the_right_cells() -> None:
    (row,) = grid.figures(cells(FOOLED_ONCE))["comparisons"]
    assert row["judge"] == 1
    assert row["base_debaters"]["change"] == 0
    assert row["old_tricks"]["change"] == pytest.approx(0.4) and row["old_tricks"]["base"] == 0.5
    assert row["own_tricks"]["change"] == pytest.approx(0.3) and row["own_tricks"]["trained"] == 0.8
    outcome = [[float(i < n) for i in range(QUESTIONS)] for n in (20, 32)]
    expected = paired_change(*outcome, [f"s{i}" for i in range(QUESTIONS)])
    assert (row["own_tricks"]["low"], row["own_tricks"]["p"]) == (expected.low, expected.p)


@pytest.mark.parametrize(
    ("own", "old", "said"),
    [
        (32, 36, "Yes, harder to fool"),
        (20, 36, "Only by tricks that it has seen"),
        (20, 20, "Not shown"),
        (6, 36, "No, easier to fool"),
    ],
)
def test_the_answer_follows_from_what_was_measured(own: int, old: int, said: str) -> None:
    found = grid.figures(cells(FOOLED_ONCE | {(1, 2): own, (1, 1): old}))
    assert found["answer"] == said and found["sentence"].startswith(f"{said}: ")
    assert f"judge 1 is right in {100 * own / QUESTIONS:.1f} % and judge 0 in 50.0 %" in found["sentence"]


def test_invalid_verdicts_are_for_neither_side_and_are_counted() -> None:
    """The last five debates: two questions and a seating of a third, about all of which the judge would be wrong."""
    found = grid.accuracy(cells({(0, 0): 20}, invalid=5)[0, 0])
    assert found["invalid"] == 5 and found["questions"] == QUESTIONS - 2
    assert found["estimate"] == pytest.approx(20 / 38)


def test_a_seating_that_is_invalid_on_one_side_is_left_out_of_both() -> None:
    whole, torn = cells({(0, 0): 20})[0, 0], cells({(0, 0): 20})[0, 0]
    torn.loc[[0, 1, 2], "correct"] = np.nan  # question 0 wholly, one seating of question 1
    found = grid.change(whole, torn)
    assert (found.change, found.n_questions) == (0, QUESTIONS - 1)
    assert found.base == pytest.approx(19 / 39)


def test_colours_run_from_fooled_over_even_to_right() -> None:
    assert colour_of(0.5) == EVEN and colour_of(0.0) == FOOLED and colour_of(1.0) == RIGHT
    assert colour_of(0.7) == pytest.approx([(a + b) / 2 for a, b in zip(EVEN, RIGHT, strict=True)])


def test_the_picture_has_every_number_and_marks_who_was_trained_against_whom() -> None:
    drawn = grid_page.draw(grid.figures(cells(FOOLED_ONCE))["cells"]).svg
    assert re.findall(r">(\d+\.\d) %<", drawn) == ["70.0", "50.0", "60.0", "70.0", "90.0", "80.0"]
    framed = re.findall(r'<rect x="(\d+)" y="(\d+)"[^>]*stroke-width="2" stroke-dasharray', drawn)
    inside = [(int(x) - LEFT) // WIDE for x, _ in framed], [(int(y) - TOP) // HIGH for _, y in framed]
    assert inside == ([1, 2], [0, 1]), "debaters 1 and judge 0, debaters 2 and judge 1"
    assert "judge 1 retrained, round 1 on debaters 2 against judge 1: 80.0 %" in drawn


def test_a_cell_without_a_verdict_is_drawn_as_such() -> None:
    row: list[Any] = [{"estimate": None, "low": None, "high": None}, {"estimate": 0.5, "low": None, "high": None}]
    assert "no verdict" in grid_page.draw([row]).svg


def test_the_three_files(tmp_path: Path) -> None:
    kept = {"step": 0, "loss": 0.6}
    rounds = [
        {
            "judge": 1,
            "collected": {"wrong": 230, "right": 1370, "undecided": 0, "invalid": 3},
            "kept": kept,
            "mix": [{"debaters": 0, "debates": 600}],
            "temperature": 1.234,
            "evaluations": [kept],
        }
    ]
    found = grid.figures(cells(FOOLED_ONCE))
    grid_page.write(tmp_path, "<b>rounds</b>", found, rounds, played=300)
    page = (tmp_path / "grid.html").read_text("utf-8")
    assert found["sentence"] in page and "&lt;b&gt;rounds&lt;/b&gt;" in page and "<b>rounds" not in page
    assert "1,370" in page and "600 of debaters 0" in page and "not changed" in page and "1.23" in page
    assert (tmp_path / "grid.svg").read_text("utf-8").startswith("<svg xmlns=")
    assert 'href="http' not in page and "<script" not in page
    stored = json.loads((tmp_path / "grid.json").read_text("utf-8"))
    assert stored["cells"][1][2]["estimate"] == 0.8 and stored["rounds"] == rounds
