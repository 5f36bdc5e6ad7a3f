"""What the report says of plans, of several comparisons and seeds, and of INVALID verdicts."""

from pathlib import Path
from typing import Any

from tests.trainer.report.made_runs import PAYLOAD, Reader, arm, make_run, page_of, summary

PLAN: dict[str, Any] = {
    "status": "as planned",
    "declared": "2026-01-02",
    "hash": "0123456789abcdef",
    "amendments": [],
    "deviations": [],
}


def shown(tmp_path: Path, **changes: Any) -> str:
    return Reader(page_of(make_run(tmp_path / "run", summary() | changes))).text


def test_a_run_that_kept_to_its_plan(tmp_path: Path) -> None:
    text = shown(tmp_path, plan=PLAN)
    assert "What was run is what was planned. Declared 2026-01-02, protocol.lock 0123456789ab ." in text
    assert "not what was planned" not in text and "Nothing was declared" not in text


def test_deviations_stand_at_the_top_and_in_full(tmp_path: Path) -> None:
    text = shown(tmp_path, plan=PLAN | {"deviations": ["Arm a ended early.", "Arm b too."]})
    assert text.index("What was run is not what was planned: 2 deviations") < text.index("Results")
    assert "Arm a ended early. Arm b too." in text


def test_amendments_are_told_with_their_reasons_which_stay_text(tmp_path: Path) -> None:
    amendments = [{"at": "2026-01-03", "reason": PAYLOAD, "changes": ["another iterations"]}]
    page = page_of(make_run(tmp_path / "run", summary() | {"plan": PLAN | {"amendments": amendments}}))
    text = Reader(page).text
    assert "The plan was amended once: 2026-01-03: " + PAYLOAD in text and "(another iterations)" in text
    assert "img" not in [name for name, _ in Reader(page).elements]


def test_nothing_declared_is_said_and_an_older_summary_says_nothing(tmp_path: Path) -> None:
    undeclared = {"status": "nothing was declared beforehand", "deviations": []}
    assert "Nothing was declared beforehand: which comparison counts" in shown(tmp_path, plan=undeclared)
    assert "declared" not in shown(tmp_path / "older")


def test_a_direction_goes_by_the_one_corrected_p_value(tmp_path: Path) -> None:
    """And no other p-value is on the page, in cards, sentences or tables."""
    content = summary()
    for one in content["arms"]:
        for row in one["accuracy"]:
            row |= {"p": 0.0321, "p_adjusted": 0.0456}
    text = shown(tmp_path, arms=content["arms"], family={"correction": "Holm", "size": 6, "primary": None})
    assert text.index("by p-values corrected for all 6 comparisons of this page (Holm)") < text.index("Results")
    assert text.count("0.046") >= 6 and "0.032" not in text
    assert "All 6 comparisons of this page" in text and "80 % power, in a comparison by itself" in text


def test_one_comparison_is_not_corrected(tmp_path: Path) -> None:
    assert "corrected for" not in shown(tmp_path, family={"correction": "Holm", "size": 1, "primary": None})


def test_the_primary_comparison_is_told_first(tmp_path: Path) -> None:
    content = summary()
    content["arms"][0]["accuracy"][1] |= {"primary": True, "p_adjusted": 0.3}
    text = shown(
        tmp_path,
        arms=content["arms"],
        plan=PLAN,
        family={
            "correction": "Holm",
            "size": 5,
            "primary": ["truthful debate", "other-judge"],
        },
    )
    told = "The comparison declared as primary, judge other-judge on truthful debate: raised (+11.8 points, interval"
    assert told in text and text.index(told) < text.index("Results")
    assert "The 5 other comparisons are secondary" in text


def test_seeds_are_answered_as_one_and_shown_one_by_one(tmp_path: Path) -> None:
    pooled = arm("debate", "raised") | {
        "arms": ["debate-s1", "debate-s2"],
        "seeds": [1, 2],
        "checkpoints": [],
        "sentence": "Seeds pooled.",
    }
    arms = [arm("debate-s1", "raised"), arm("debate-s2", "lowered"), arm("alone", "no change shown")]
    text = shown(tmp_path, pooled=[pooled], arms=arms)
    assert "Of 2 arms: raised in 1 and no change shown in 1" in text
    cards = text[: text.index("Results Accuracy is")]
    assert "2 seeds" in cards and "Seeds pooled." in cards and cards.count("debate-s1") == 1, "a link to its page"
    assert "seeds 1, 2 pooled" in text and "debate-s1" in text and "Several seeds." in text


def test_invalid_verdicts_have_a_table_where_there_are_any(tmp_path: Path) -> None:
    content = summary()
    for one in content["arms"]:
        for row in one["accuracy"]:
            row["n_invalid"] = 0
    assert "What INVALID verdicts count for" not in shown(tmp_path, arms=content["arms"])
    row = content["arms"][1]["accuracy"][0]
    ways = (("dropped", -0.1, "lowered"), ("half", -0.05, "no change shown"), ("wrong", -0.2, "lowered"))
    row["n_invalid"] = 7
    row["invalid"] = {w: {"change": c, "low": c - 0.01, "high": c + 0.01, "headline": h} for w, c, h in ways}
    text = shown(tmp_path / "some", arms=content["arms"], invalid="half")
    table = text[text.index("What INVALID verdicts count for") :]
    assert "Headlines: half right." in table and "free debate weak-judge, reward judge 7" in table
    assert "−10.0 −11.0 to −9.0 lowered −5.0 −6.0 to −4.0 no change shown −20.0" in table
    assert "It counts as half right, as was declared" in text
