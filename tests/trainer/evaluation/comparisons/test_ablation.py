"""The table of an ablation: figures counted by hand, and the laws it must obey."""

import csv
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow.parquet
import pytest

from rostrum.trainer.evaluation.comparisons.ablation import Result, Told, compare, rows
from rostrum.trainer.evaluation.comparisons.pooling import PAIR, pairs, pool
from rostrum.trainer.evaluation.replicates import Replicates
from rostrum.trainer.evaluation.verdict_table import COLUMNS
from rostrum.trainer.report.ablation_page import write_ablation
from rostrum.trainer.report.forest import Mark, Panel, forest
from rostrum.trainer.report.svg import axis
from rostrum.trainer.stats.paired import holm, paired_change

QUESTIONS = 16


def verdicts(shares: Mapping[str, tuple[int, int]], invalid: int = 0) -> pd.DataFrame:
    """A table in which each judge is right on so many of the questions before and after training, both seatings; the
    first of the judges gives the reward. The final verdicts on the first `invalid` questions are INVALID."""
    made = []
    for number, (judge, right) in enumerate(shares.items()):
        for iteration, count in zip((0, 4), right, strict=True):
            for question in range(QUESTIONS):
                for swapped in (False, True):
                    valid = not (iteration and question < invalid)
                    made.append(_row(judge, number == 0, iteration, question, swapped, question < count, valid))
    return pd.DataFrame(made)


def _row(
    judge: str, rewards: bool, iteration: int, question: int, swapped: bool, right: bool, valid: bool
) -> dict[str, Any]:
    p = (0.9 if right else 0.1) if not swapped else (0.1 if right else 0.9)
    return dict.fromkeys(COLUMNS, 0) | {
        "arm": "cell",
        "protocol": "debate",
        "checkpoint": "iteration-0004" if iteration else "base",
        "iteration": iteration,
        "matchup": "self",
        "checkpoint_seats": "AB",
        "question_id": f"q{question}",
        "story_id": f"s{question}",
        "swapped_seats": swapped,
        "judge": judge,
        "judge_role": "reward" if rewards else "held-out",
        "p_mean": p if valid else np.nan,
        "valid": valid,
        "reason": "",
        "correct_seat": "B" if swapped else "A",
    }


def result(folder: Path, name: str, table: pd.DataFrame, **settings: str) -> Result:
    path = folder / name
    path.mkdir(exist_ok=True)
    table.to_parquet(path / "verdicts.parquet")
    return Result(name, settings, path)


@pytest.fixture(scope="module")
def results(tmp_path_factory: pytest.TempPathFactory) -> list[Result]:
    """Three cells whose reward judge ends at 12, 4 and 13 of 16 questions, the held-out one always at 8."""
    folder, ends = tmp_path_factory.mktemp("cells"), {"seed=1": 12, "seed=2": 4, "seed=3": 13}
    tables = {name: verdicts({"weak": (8, end), "other": (8, 8)}) for name, end in ends.items()}
    return [result(folder, name, table, seed=name[-1]) for name, table in tables.items()]


@pytest.fixture(scope="module")
def found(results: list[Result]) -> dict[str, Any]:
    return compare(results)


def judged(found: Mapping[str, Any], cell: str, judge: str) -> dict[str, Any]:
    (row,) = [row for c in found["cells"] if c["name"] == cell for row in c["judges"] if row["judge"] == judge]
    return row


def test_the_first_cell_differs_from_itself_by_nothing(found: dict[str, Any]) -> None:
    for judge in ("weak", "other"):
        own = judged(found, "seed=1", judge)["difference"]
        assert (own["estimate"], own["p"]) == (0, 1) and own["low"] == -own["high"] < 0
        assert own["shown"] == "nothing" and own["p_holm"] is None


def test_differences_are_paired_on_the_same_questions(found: dict[str, Any]) -> None:
    second = judged(found, "seed=2", "weak")
    assert second["accuracy"]["estimate"] == 4 / 16 and second["base"] == 0.5
    assert second["change"]["estimate"] == -4 / 16
    by_hand = paired_change(*([float(q < n) for q in range(16)] for n in (12, 4)), [f"s{q:02}" for q in range(16)])
    assert second["difference"]["estimate"] == -8 / 16 == by_hand.change
    assert second["difference"]["p"] == pytest.approx(by_hand.p, abs=1e-6)
    assert second["difference"]["n_questions"] == 16 and second["against"] == "weak"


def test_all_comparisons_are_one_family_that_is_adjusted_by_holm(found: dict[str, Any]) -> None:
    cells = [judged(found, f"seed={seed}", judge) for seed in (1, 2, 3) for judge in ("weak", "other")]
    family = [*(row["change"] for row in cells), *(row["difference"] for row in cells[2:])]
    assert [one["p_holm"] for one in family] == pytest.approx(holm([one["p"] for one in family]), abs=1e-5)
    assert found["family"] == {"correction": "Holm", "size": 10, "told": False}
    second = judged(found, "seed=2", "weak")["difference"]
    assert second["p"] < 0.05 <= second["p_holm"] and second["shown"] == "nothing"


def test_what_a_summary_has_corrected_is_not_corrected_anew(results: list[Result], found: dict[str, Any]) -> None:
    """A change has the summary's figure, and so has a difference to a control, the other way round."""
    told = Told({("seed=2", "weak"): (0.011, "lowered")}, {("seed=1", "seed=2", "weak"): (0.012, "raised")})
    again = compare(results, told=told)
    row = judged(again, "seed=2", "weak")
    assert (row["change"]["p_holm"], row["change"]["shown"]) == (0.011, "down")
    assert (row["difference"]["p_holm"], row["difference"]["shown"]) == (0.012, "down")
    assert again["family"]["size"] == found["family"]["size"] - 2


def test_cells_that_are_seeds_of_one_are_tested_pooled_alone(results: list[Result]) -> None:
    found = compare(results, [Replicates("seeds", {"seed=1": 1, "seed=2": 2, "seed=3": 3})])
    assert all(row["change"]["p_holm"] is None for cell in found["cells"] for row in cell["judges"])
    assert found["family"]["size"] == 2 and found["cells"][0]["group"] == "seeds"
    assert found["pooled"][0]["judges"][0]["change"]["p_holm"] is not None


def test_brier_and_log_score_stand_beside_accuracy(found: dict[str, Any]) -> None:
    """Twelve of sixteen right at .9, four wrong at .1 for the right answer."""
    row = judged(found, "seed=1", "weak")
    assert row["brier"] == pytest.approx(0.75 * 0.01 + 0.25 * 0.81)
    assert row["log_score"] == pytest.approx(-0.75 * np.log(0.9) - 0.25 * np.log(0.1), abs=1e-6)


def test_permuting_cells_permutes_rows(results: list[Result], found: dict[str, Any]) -> None:
    other = compare([results[0], results[2], results[1]])
    assert found["cells"] == [other["cells"][index] for index in (0, 2, 1)]
    assert {**found, "cells": None} == {**other, "cells": None}


def test_an_invalid_verdict_takes_its_seating_out_of_the_comparison(results: list[Result], tmp_path: Path) -> None:
    spoilt = result(tmp_path, "seed=4", verdicts({"weak": (8, 12), "other": (8, 8)}, invalid=3), seed="4")
    found = compare([results[0], spoilt])
    difference = judged(found, "seed=4", "weak")["difference"]
    assert difference["n_questions"] == 13 and difference["estimate"] == 0
    assert judged(found, "seed=4", "weak")["n_invalid"] == 6


def test_a_seating_without_both_verdicts_is_left_out() -> None:
    seatings = pd.MultiIndex.from_tuples([("q", "s", False), ("q", "s", True)], names=PAIR)
    before = pd.DataFrame({"correct": [1.0, 0.0]}, index=seatings)
    (question,) = pairs(before, before.iloc[1:]).to_dict("records")
    assert question == {"story_id": "s", "before": 0, "after": 0}


def test_other_questions_are_not_compared(results: list[Result], tmp_path: Path) -> None:
    table = verdicts({"weak": (8, 12), "other": (8, 8)})
    elsewhere = result(tmp_path, "seed=4", table.assign(story_id=table["story_id"] + "'"), seed="4")
    difference = judged(compare([results[0], elsewhere]), "seed=4", "weak")["difference"]
    assert difference["n_questions"] == 0 and difference["estimate"] is None and difference["shown"] == "nothing"


def test_another_reward_judge_meets_the_first_cells_and_a_new_held_out_judge_nobody(
    results: list[Result], tmp_path: Path
) -> None:
    table = verdicts({"strong": (8, 14), "new": (8, 8)})
    found = compare([results[0], result(tmp_path, "judge=strong", table)])
    assert judged(found, "judge=strong", "strong")["against"] == "weak"
    assert judged(found, "judge=strong", "strong")["difference"]["estimate"] == 2 / 16
    assert judged(found, "judge=strong", "new")["difference"] is None


def test_a_failed_cell_has_a_row_and_no_figures(results: list[Result], tmp_path: Path) -> None:
    broken = Result("seed=9", {"seed": "9"}, tmp_path / "none", "It ended <badly>.")
    found = compare([results[0], broken])
    table = rows(found)
    assert table["failure"].isna().tolist() == [True, True, False]
    assert table["failure"].iloc[-1] == "It ended <badly>." and np.isnan(table["accuracy"].iloc[-1])
    alone = compare([broken, results[0]])
    assert all(row["difference"] is None for cell in alone["cells"] for row in cell["judges"])
    page = write_ablation(tmp_path, "Ablation: test", found).read_text("utf-8")
    assert "1 of which failed" in page and "It ended &lt;badly&gt;." in page and "<badly>" not in page


def test_the_exports_hold_what_the_page_shows(found: dict[str, Any], tmp_path: Path) -> None:
    write_ablation(tmp_path, "Ablation: test", found)
    stored = pd.read_parquet(tmp_path / "cells.parquet")
    pd.testing.assert_frame_equal(stored, rows(found))
    with (tmp_path / "cells.csv").open() as file:
        read = list(csv.DictReader(file))
    assert [(row["cell"], row["judge"], float(row["difference"])) for row in read] == [
        ("seed=1", "weak", 0),
        ("seed=1", "other", 0),
        ("seed=2", "weak", -0.5),
        ("seed=2", "other", 0),
        ("seed=3", "weak", 0.0625),
        ("seed=3", "other", 0),
    ]
    assert json.loads((tmp_path / "ablation.json").read_text())["first"] == "seed=1"
    page = (tmp_path / "ablation.html").read_text("utf-8")
    assert "no difference shown in 2" in page and "−50.0" in page and "Brier 0.210" in page
    fields = pyarrow.parquet.read_schema(tmp_path / "cells.parquet")
    assert all(field.metadata[b"description"] for field in fields)
    assert (tmp_path / "figures/all-cells.csv").exists() and "http://" not in page.replace("http://www.w3.org", "")


def test_seeds_are_pooled_and_compared_seed_by_seed() -> None:
    ends = {"a": 8, "b": 5}
    groups = {name: {seed: verdicts({"weak": (8, end + seed)}) for seed in (1, 2, 3)} for name, end in ends.items()}
    first, second = (group["judges"][0] for group in pool(groups))
    assert first["change"]["estimate"] == pytest.approx(2 / 16) and first["difference"] is None
    assert first["change"]["by_seed"] == pytest.approx([1 / 16, 2 / 16, 3 / 16])
    assert second["difference"]["estimate"] == pytest.approx(-3 / 16) and second["against"] == "weak"
    assert second["difference"]["by_seed"] == pytest.approx([-3 / 16] * 3)


def test_finished_replicates_are_pooled_if_there_are_two(results: list[Result], tmp_path: Path) -> None:
    lost = Result("seed=9", {"seed": "9"}, tmp_path / "none", "failed")
    all_of_them = Replicates("seeds", {"seed=1": 1, "seed=2": 2, "seed=9": 9})
    (pooled,) = compare([*results[:2], lost], [all_of_them])["pooled"]
    assert pooled["seeds"] == [1, 2] and pooled["judges"][0]["change"]["by_seed"] == [0.25, -0.25]
    assert compare([results[0], lost], [Replicates("seeds", {"seed=1": 1, "seed=9": 9})])["pooled"] == []


def test_a_picture_has_a_mark_for_every_value_and_its_table() -> None:
    marks = [[Mark(0.5, (0.4, 0.6), 0), Mark(0.7, None, 1)], [Mark(0.6, (0.5, 0.7), 0)]]
    panels = [Panel("Accuracy", "share", axis("share", [0.4, 0.7], "percent"), marks, 0.5)]
    drawing = forest("Two cells", ["one <1>", "two"], panels, ["weak", "other"])
    assert str(drawing.parts).count('class="mark') == 3 and str(drawing.parts).count('class="bar') == 2
    assert "one &lt;1&gt;" in drawing.parts and [entry.name for entry in drawing.key] == ["weak", "other"]
    assert drawing.table.rows[1] == ("one <1>", "Accuracy", "other", 0.7, None, None)
