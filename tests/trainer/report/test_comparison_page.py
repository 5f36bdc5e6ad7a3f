"""comparison.html: unequal budgets are told, what is not known is not drawn, and nothing is loaded."""

from pathlib import Path
from typing import Any

from rostrum.trainer.report.comparison_page import accuracies, open_accuracies, uneven, write_comparison

KNOWN = {"estimate": 0.6, "low": 0.5, "high": 0.7}
UNKNOWN = dict.fromkeys(KNOWN)
CHANGE = {
    "change": -0.1,
    "low": -0.2,
    "high": -0.05,
    "p": 0.001,
    "p_holm": 0.002,
    "shown": "down",
    "minimum_detectable_change": 0.1,
    "questions": 9,
    "stories": 9,
    "first": 0.7,
    "arm": 0.6,
}


def cell(**more: Any) -> dict[str, Any]:
    opened = {name: KNOWN | {"debates": 9} for name in ("all", "own_right")} | {"own_wrong": UNKNOWN | {"debates": 0}}
    return {"accuracy": KNOWN, "questions": 9, "debates": 18, "invalid": 1, "open": opened, **more}


def found(speeches: float) -> dict[str, Any]:
    took = {"speeches": 4.0, "words": 24.0, "sampled_tokens": 30.0, "preference_readings": 0.0, "readings": 2.0}
    other = cell(difference=CHANGE, accuracy=UNKNOWN)
    return {
        "schema_version": 2,
        "arms": ["debate", "<b>other"],
        "players": ["base"],
        "budget": {"debate": {"base": took}, "<b>other": {"base": took | {"speeches": speeches}}},
        "own_answers": {"base": {"accuracy": KNOWN, "questions": 8, "without": 1}},
        "judges": {
            "weak": {
                "role": "reward",
                "arms": {"debate": {"base": cell()}, "<b>other": {"base": other}},
                "references": {"naive": cell(), "expert": cell()},
            },
        },
    }


def test_the_page_tells_unequal_budgets_and_differences(tmp_path: Path) -> None:
    assert uneven(found(4.0)) == [] and uneven(found(3.0)) == ["<b>other"]
    even = write_comparison(tmp_path, "One", found(4.0)).read_text()
    odd = write_comparison(tmp_path, "One", found(3.0)).read_text()
    assert "same number of speeches" in even and "Not at equal budget" not in even
    assert "Not at equal budget: &lt;b&gt;other had another number" in odd
    for page in (even, odd):
        assert "<b>other" not in page and "http" not in page.replace("http-equiv", "")
        assert "−10.0 points against debate" in page and "lower<small>corrected p 0.002" in page
        assert "1 of 18" in page and "8 questions (1 without an answer of its own)" in page


def test_what_is_known_is_drawn_in_its_row() -> None:
    drawn = accuracies(found(4.0))
    assert [row[:3] for row in drawn.table.rows] == [
        ("debate", "weak", "base"),
        ("naive", "weak", "no debaters"),
        ("expert", "weak", "no debaters"),
    ]
    assert drawn.table.rows[0][3:] == (0.6, 0.5, 0.7)
    beliefs = [row[2] for row in open_accuracies(found(4.0)).table.rows]
    assert beliefs == ["own answer right"] * 2, "nothing is known of wrong own answers"
