"""The summary on tables small enough to count by hand, and the laws it must obey."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from rostrum.trainer.evaluation.invalid import Invalid
from rostrum.trainer.evaluation.replicates import Replicates
from rostrum.trainer.evaluation.sentences import sentence
from rostrum.trainer.evaluation.summarise import summarise
from rostrum.trainer.evaluation.summary import JudgeAccuracy
from rostrum.trainer.evaluation.verdict_table import COLUMNS, VerdictTableError

LAST = "iteration-0006"
ITERATIONS = {"base": 0, "iteration-0003": 3, "iteration-0006": 6}


def _row(question: int, p_right: float | None, *, swapped: bool = False, **changes: Any) -> dict[str, Any]:
    """A verdict that gives the right answer, side A's unless swapped, this probability; None is INVALID."""
    p = np.nan if p_right is None else 1 - p_right if swapped else p_right
    row = {
        "arm": "debate",
        "protocol": "debate-sequential",
        "checkpoint": "base",
        "matchup": "self",
        "checkpoint_seats": "AB",
        "question_id": f"q{question}",
        "story_id": f"s{question // 2}",
        "swapped_seats": swapped,
        "judge": "small",
        "judge_role": "reward",
        "p_given": p,
        "p_swapped": p,
        "p_mean": p,
        "valid": p_right is not None,
        "reason": "" if p_right is not None else "no probability",
        "correct_seat": "B" if swapped else "A",
        "speeches": 4,
        "words": 40,
        "quotes": 5,
        "verified_quotes": 4,
    } | changes
    return {"iteration": ITERATIONS[row["checkpoint"]]} | row


def _questions(n: int, p_right: Callable[[int], float | None], **changes: Any) -> list[dict[str, Any]]:
    return [_row(q, p_right(q), swapped=swapped, **changes) for q in range(n) for swapped in (False, True)]


def _against_base(n: int, p_checkpoint: Callable[[int, bool], float], checkpoint: str) -> list[dict[str, Any]]:
    """The checkpoint in side A against the base; it defends the right answer unless the sides are swapped."""
    return [
        _row(q, 1 - p if swapped else p, swapped=swapped, matchup="base", checkpoint_seats="A", checkpoint=checkpoint)
        for q in range(n)
        for swapped in (False, True)
        for p in [p_checkpoint(q, swapped)]
    ]


def _debate(n: int = 16) -> list[dict[str, Any]]:
    """Base right on 3 of 4 questions, the final checkpoint on 1 of 4; half right and half wrong in between."""
    held_out = {"judge": "large", "judge_role": "held-out"}
    return [
        *_questions(n, lambda q: 0.9 if q % 4 else 0.1),
        *_questions(n, lambda q: 0.9 if q % 2 else 0.1, checkpoint="iteration-0003"),
        *_questions(n, lambda q: 0.1 if q % 4 else 0.9, checkpoint="iteration-0006", verified_quotes=5, words=48),
        *_questions(n, lambda q: 0.7, **held_out),
        *_questions(n, lambda q: 0.7, checkpoint="iteration-0006", **held_out),
        *_against_base(n, lambda q, wrong: 0.8 if q % 4 or not wrong else 0.2, "iteration-0006"),
    ]


def _consultancy(n: int = 16) -> list[dict[str, Any]]:
    """A consultant in side A: the judge believes the base half of the time, the trained one always."""
    lone = {"arm": "consultancy", "protocol": "consultancy", "checkpoint_seats": "A"}
    return [
        *_questions(n, lambda q: 0.9 if q % 2 else 0.1, **lone),
        *(_row(q, 0.9, checkpoint="iteration-0006", **lone) for q in range(n)),
        *(_row(q, 0.1, swapped=True, checkpoint="iteration-0006", **lone) for q in range(n)),
    ]


def _references(n: int = 16) -> list[dict[str, Any]]:
    alone = {"arm": "", "matchup": "none", "checkpoint_seats": "", "speeches": 0, "words": 0, "quotes": 0}
    return [
        *_questions(n, lambda q: 0.5, protocol="naive", **alone),
        *_questions(n, lambda q: 0.9 if q % 8 else None, protocol="expert", **alone),
    ]


def _summary(rows: list[dict[str, Any]]) -> dict[str, Any]:
    return summarise(pd.DataFrame(rows)).stored()


def _arm(rows: list[dict[str, Any]], name: str = "debate") -> dict[str, Any]:
    (arm,) = [arm for arm in _summary(rows)["arms"] if arm["name"] == name]
    return arm


def test_a_debate_by_hand():
    arm = _arm(_debate())
    assert arm["headline"] == "no change shown"  # the interval excludes 0 but p is .125
    reward, held_out = arm["accuracy"]
    assert (reward["judge"], reward["role"], held_out["judge"], held_out["role"]) == (
        "small",
        "reward",
        "large",
        "held-out",
    )
    assert (reward["base"], reward["trained"], reward["change"]) == (0.75, 0.25, -0.5)
    assert (reward["n_questions"], reward["n_stories"], reward["n_invalid"]) == (16, 8, 0)
    # Stories alternate between differences of 0 (one question each way) and -2: four changed, all one way.
    assert reward["p"] == 2 / 2**4
    assert (held_out["base"], held_out["trained"], held_out["p"]) == (1, 1, 1)
    assert arm["verified_quotes"] == {"base": 0.8, "trained": 1.0}
    assert arm["words_per_speech"] == {"base": 10, "trained": 12}
    # Twelve of 16, a judge that is right about one or both questions of each of 8 stories: residuals .5 and -.5, error
    # sqrt(8/7 * 2) / 16 = .094491; log(3) -+ 2.364624 * .094491 / .1875
    assert reward["base_interval"] == pytest.approx([0.476755, 0.908068], abs=1e-5)


def test_proper_scores_stand_beside_the_accuracy():
    base = _questions(8, lambda q: 0.8 if q < 6 else 0.4)
    trained = _questions(8, lambda q: 0.9, checkpoint="iteration-0006")
    row = _arm(base + trained)["accuracy"][0]
    assert row["brier"] == {"base": pytest.approx((6 * 0.04 + 2 * 0.36) / 8), "trained": pytest.approx(0.01)}
    assert row["log_score"]["base"] == pytest.approx(-(6 * np.log(0.8) + 2 * np.log(0.4)) / 8, abs=1e-6)


def test_win_rate_against_the_base_debaters():
    arm = _arm(_debate())
    won = arm["win_rate"]
    assert won["against"] == "base debaters"
    assert (won["estimate"], won["by_side"]["right"]["estimate"], won["by_side"]["wrong"]["estimate"]) == (
        0.875,
        1,
        0.75,
    )
    assert won["low"] < 0.875 < won["high"]


def test_a_tie_is_half_a_win_and_half_right():
    rows = [*_questions(12, lambda q: 0.5), *_questions(12, lambda q: 0.5, checkpoint="iteration-0006")]
    arm = _arm(rows + _against_base(12, lambda q, wrong: 0.5, "iteration-0006"))
    assert arm["accuracy"][0]["base"] == 0.5 and arm["win_rate"]["estimate"] == 0.5


def test_checkpoints_in_order_and_the_base_wins_half_by_definition():
    first, middle, last = _arm(_debate()[::-1])["checkpoints"]
    assert [c["checkpoint"] for c in (first, middle, last)] == list(ITERATIONS)
    assert first["win_rate"] == {"estimate": 0.5, "low": None, "high": None}
    # Base against base: the side with the right answer wins as often as the judge is right.
    assert (first["win_rate_right"]["estimate"], first["win_rate_wrong"]["estimate"]) == (0.75, 0.25)
    assert middle["accuracy"]["small"]["estimate"] == 0.5
    assert middle["accuracy"]["large"]["estimate"] is None and middle["win_rate"]["estimate"] is None
    assert last["win_rate"]["estimate"] == 0.875


def test_a_consultancy_by_hand():
    arm = _arm(_consultancy(), "consultancy")
    (row,) = arm["accuracy"]
    assert (row["base"], row["trained"]) == (0.5, 0.5)
    assert row["given_right"] == {"base": 0.5, "trained": 1} and row["given_wrong"] == {"base": 0.5, "trained": 0}
    assert arm["win_rate"]["against"] == "the judge (approval)" and arm["win_rate"]["estimate"] == 1
    assert arm["checkpoints"][0]["win_rate"]["estimate"] == 0.5
    assert arm["checkpoints"][0]["win_rate"]["low"] is not None
    assert "given_right" not in _arm(_debate())["accuracy"][0]


def test_an_unjudged_consultant_is_not_given_half_by_definition():
    unjudged = [
        row | {"judge": "large", "judge_role": "held-out"} if row["checkpoint"] == "base" else row
        for row in _consultancy()
    ]
    assert _arm(unjudged, "consultancy")["checkpoints"][0]["win_rate"]["estimate"] is None


def _intervals(value: Any) -> list[dict[str, Any]]:
    if isinstance(value, list):
        return [found for item in value for found in _intervals(item)]
    if not isinstance(value, dict):
        return []
    own = [value] if value.keys() >= {"estimate", "low", "high"} else []
    return own + [found for item in value.values() for found in _intervals(item)]


def test_every_interval_holds_its_estimate():
    known = [i for i in _intervals(_summary(_debate() + _consultancy() + _references())) if i["low"] is not None]
    assert len(known) > 20
    assert all(interval["low"] <= interval["estimate"] <= interval["high"] for interval in known)


def test_references():
    naive, expert = _summary(_debate() + _references())["references"]
    assert naive["protocol"] == "naive" and naive["accuracy"] == {"estimate": 0.5, "low": 0.337796, "high": 0.662204}
    assert (expert["accuracy"]["estimate"], expert["n_questions"], expert["n_invalid"]) == (1, 14, 4)


def test_an_invalid_verdict_is_counted_and_belongs_to_neither_side():
    clean = _questions(16, lambda q: 0.9) + _questions(16, lambda q: 0.9, checkpoint="iteration-0006")
    marred = [
        row | {"valid": False, "p_mean": np.nan} if row["question_id"] in ("q0", "q1") and row["iteration"] else row
        for row in clean
    ]
    before, after = _arm(clean)["accuracy"][0], _arm(marred)["accuracy"][0]
    assert (after["n_invalid"], after["n_questions"], after["n_stories"]) == (4, 14, 7)
    assert (after["base"], after["trained"]) == (before["base"], before["trained"]) == (1, 1)


def test_an_invalid_seating_is_left_out_on_both_checkpoints():
    """Else a consultancy whose right-answer seating is INVALID would look as if training had lowered accuracy."""
    lone = {"arm": "consultancy", "protocol": "consultancy", "checkpoint_seats": "A"}
    rows = []
    for checkpoint in ("base", "iteration-0006"):
        for q in range(16):
            lost = checkpoint != "base" and q < 8
            rows.append(_row(q, None if lost else 0.9, checkpoint=checkpoint, **lone))
            rows.append(_row(q, 0.1, swapped=True, checkpoint=checkpoint, **lone))
    accuracy = _arm(rows, "consultancy")["accuracy"][0]
    assert accuracy["change"] == 0 and accuracy["base"] == accuracy["trained"] == 0.25
    assert (accuracy["n_questions"], accuracy["n_invalid"]) == (16, 8)


def test_all_verdicts_invalid_is_unknown_and_not_zero():
    arm = _arm(_questions(8, lambda q: None) + _questions(8, lambda q: 0.9, checkpoint="iteration-0006"))
    assert arm["headline"] == "no change shown" and arm["minimum_detectable_change"] is None
    assert arm["accuracy"][0]["base"] is None and arm["accuracy"][0]["base_interval"] == [None, None]
    assert arm["sentence"] == "No change can be shown: no question has a valid verdict on both checkpoints."


def _unreadable(arm: str = "debate") -> list[dict[str, Any]]:
    """Sixteen questions that the judge gets right after training, sixteen that it cannot judge any more."""
    after = [0.9] * 16 + [None] * 16 + [0.9] * 16
    base = _questions(48, lambda q: 0.1 if q < 16 else 0.9, arm=arm)
    return base + _questions(48, lambda q: after[q], arm=arm, checkpoint="iteration-0006")


@pytest.mark.parametrize("plan", ["dropped", "half", "wrong"])
def test_a_headline_needs_all_three_countings_of_invalid_verdicts(plan: Invalid):
    """Of 48 questions the judge got 16 more right, and became unreadable on 16 that it had right before: +16 of 32 if
    those are left out, +8 of 48 if they are half right, 0 of 48 if they are wrong."""
    rows = _unreadable()
    (arm,) = summarise(pd.DataFrame(rows), invalid=plan).stored()["arms"]
    (judge,) = arm["accuracy"]
    assert {way: found["headline"] for way, found in judge["invalid"].items()} == {
        "dropped": "raised",
        "half": "no change shown",
        "wrong": "no change shown",
    }
    assert arm["headline"] == judge["headline"] == "no change shown"
    assert judge["change"] == pytest.approx({"dropped": 16 / 32, "half": 8 / 48, "wrong": 0}[plan], abs=1e-6)
    assert arm["sentence"].startswith("Training was not shown to change")
    if plan == "dropped":
        assert arm["sentence"] == (
            "Training was not shown to change the reward judge's accuracy, for it depends on what INVALID verdicts "
            "count for. Raised with them left out (+50.0 points, p = 0.008); no change shown with them half right "
            "(+16.7 points, p = 0.27); no change shown with them wrong (+0.0 points, p = 1.00)."
        )


def test_replicates_need_all_three_countings_too():
    rows = [*_unreadable("debate-0"), *_unreadable("debate-1")]
    (pooled,) = summarise(pd.DataFrame(rows), [Replicates("debate", {"debate-0": 0, "debate-1": 1})]).stored()["pooled"]
    (judge,) = pooled["accuracy"]
    assert judge["invalid"]["dropped"]["headline"] == "raised"
    assert pooled["headline"] == judge["headline"] == "no change shown" and "not shown" in pooled["sentence"]


def test_relabelling_the_seats_changes_nothing():
    verdicts = pd.DataFrame(_debate() + _consultancy() + _references())
    other = {"A": "B", "B": "A", "AB": "AB", "": ""}
    probabilities = ["p_given", "p_swapped", "p_mean"]
    relabelled = verdicts.assign(
        correct_seat=verdicts["correct_seat"].map(other),
        checkpoint_seats=verdicts["checkpoint_seats"].map(other),
        swapped_seats=~verdicts["swapped_seats"],
        **{name: 1 - verdicts[name] for name in probabilities},
    )
    assert summarise(relabelled).stored() == summarise(verdicts).stored()


def test_the_order_of_rows_changes_nothing():
    verdicts = pd.DataFrame(_debate() + _references())
    shuffled = verdicts.sample(frac=1, random_state=1).sort_values("protocol", kind="stable")
    ordered = verdicts.sort_values("protocol", kind="stable")
    assert summarise(shuffled).stored() == summarise(ordered).stored()


def test_duplicated_questions_are_no_new_evidence():
    rows = _debate()
    twice = rows + [row | {"question_id": row["question_id"] + " again"} for row in rows]
    once, again = _arm(rows), _arm(twice)
    for name in ("change", "low", "high", "p", "n_stories"):
        assert again["accuracy"][0][name] == once["accuracy"][0][name]
    assert again["accuracy"][0]["n_questions"] == 2 * once["accuracy"][0]["n_questions"]
    assert again["minimum_detectable_change"] == once["minimum_detectable_change"]


def test_swapping_base_and_final_turns_the_headline_round():
    rows = _questions(16, lambda q: 0.9) + _questions(16, lambda q: 0.1, checkpoint="iteration-0006")
    other = {"base": ("iteration-0006", 6), "iteration-0006": ("base", 0)}
    swapped = [
        row | {"checkpoint": name, "iteration": iteration}
        for row in rows
        for name, iteration in [other[row["checkpoint"]]]
    ]
    assert (_arm(rows)["headline"], _arm(swapped)["headline"]) == ("lowered", "raised")


def test_the_summary_survives_parquet_and_json(tmp_path: Path):
    verdicts = pd.DataFrame(_debate() + _consultancy() + _references())
    verdicts.to_parquet(tmp_path / "verdicts.parquet")
    summary = summarise(pd.read_parquet(tmp_path / "verdicts.parquet")).stored()
    assert summary == summarise(verdicts).stored()
    assert json.loads(json.dumps(summary, allow_nan=False)) == summary
    assert set(summary) == {"schema_version", "invalid", "family", "pooled", "arms", "references"}
    assert [arm["name"] for arm in summary["arms"]] == ["debate", "consultancy"]


def _change(low: float, high: float, p: float, headline: str, **changes: Any) -> JudgeAccuracy:
    """A change as stored, corrected already."""
    numbers = {"base": 0.72, "trained": 0.5208, "change": -0.1992, "n_questions": 400, "n_stories": 100} | changes
    tested = {"low": low, "high": high, "p": p / 3, "p_adjusted": p, "headline": headline}
    return JudgeAccuracy(judge="small", **tested, **numbers)


def test_the_sentence_for_each_outcome():
    """One p-value, the corrected one, and the minus is one."""
    assert sentence(_change(-0.2308, -0.1646, 0.0001, "lowered"), 0.044) == (
        "Training lowered the reward judge's accuracy from 72.0 % to 52.1 % "
        "(change −19.9 points, 95 % interval −23.1 to −16.5, p < 0.001, 400 questions)."
    )
    raised = _change(0.01, 0.07, 0.0123, "raised", base=0.7, trained=0.74, change=0.04)
    assert sentence(raised, 0.044, 6) == (
        "Training raised the reward judge's accuracy from 70.0 % to 74.0 % "
        "(change +4.0 points, 95 % interval 1.0 to 7.0, corrected p = 0.012, 400 questions)."
    )
    assert ", p = 0.012," in sentence(raised.model_copy(update={"primary": True}), 0.044, 6)
    nothing = _change(-0.02, 0.041, 0.5, "no change shown", base=0.71, trained=0.721, change=0.011)
    assert sentence(nothing, 0.044) == (
        "Training was not shown to change the reward judge's accuracy: 71.0 % to 72.1 % (change +1.1 points, 95 % "
        "interval −2.0 to 4.1, p = 0.50, 400 questions). A change of 4.4 points or more, up or down, would have been "
        "found with 80 % power."
    )
    lost = _change(0.01, 0.07, 0.074, "no change shown", base=0.7, trained=0.74, change=0.04)
    assert sentence(lost, 0.044, 6) == (
        "Training was not shown to change the reward judge's accuracy: 70.0 % to 74.0 % (change +4.0 points, 95 % "
        "interval 1.0 to 7.0, corrected p = 0.074, 400 questions). The interval leaves out zero because it is for this "
        "comparison alone. A change of 4.4 points or more, up or down, would have been found with 80 % power if this "
        "were the only comparison."
    )
    assert sentence(_change(-0.3, 0.1, 0.5, "no change shown", n_questions=1, n_stories=1), 0.044) == (
        "No change can be shown: 72.0 % to 52.1 % (change −19.9 points). The 1 question comes from 1 story, and with "
        "fewer than 6 stories no test can reach p < 0.05."
    )


def test_a_direction_goes_by_the_corrected_p_value_alone():
    """Six stories that all change give p = .031: raised alone, and not beside a second arm."""
    rows = _questions(12, lambda q: 0.1, arm="one") + _questions(12, lambda q: 0.9, arm="one", checkpoint=LAST)
    (alone,) = summarise(pd.DataFrame(rows)).stored()["arms"]
    assert alone["accuracy"][0]["p"] == alone["accuracy"][0]["p_adjusted"] == 0.03125
    assert alone["headline"] == "raised" and "p = 0.031" in alone["sentence"]
    other = _questions(12, lambda q: 0.9, arm="two") + _questions(12, lambda q: 0.9, arm="two", checkpoint=LAST)
    one = summarise(pd.DataFrame([*rows, *other])).stored()["arms"][0]
    row = one["accuracy"][0]
    assert (row["p"], row["p_adjusted"]) == (0.03125, 0.0625)
    assert one["headline"] == row["headline"] == row["invalid"]["dropped"]["headline"] == "no change shown"
    assert "corrected p = 0.062" in one["sentence"] and "0.031" not in one["sentence"]


@pytest.mark.parametrize("column", COLUMNS)
def test_a_missing_column_is_named(column: str):
    with pytest.raises(VerdictTableError, match=f"lacks {column}: evaluate the run again"):
        summarise(pd.DataFrame(_debate()).drop(columns=column)).stored()


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        (_questions(4, lambda q: 0.9), "needs verdicts on a base and a trained checkpoint"),
        (_debate() + [_row(0, 0.9, judge="other")], "has 2 reward judges"),
        (_debate() + [_row(0, 0.9, protocol="consultancy")], "has 2 protocols"),
        (_debate() + [_row(0, 0.9, checkpoint="iteration-0003") | {"iteration": 6}], "one iteration per checkpoint"),
        (_debate() + [_row(0, None) | {"valid": True}], "1 verdicts are valid but have no probability"),
        (_debate() + [_row(0, 0.9, correct_seat="C")], "Column correct_seat .* must hold 'A', 'B', not C"),
    ],
)
def test_a_table_that_cannot_be_summarised_says_what_to_do(rows: list[dict[str, Any]], message: str):
    with pytest.raises(VerdictTableError, match=message):
        _summary(rows)


def test_conduct_is_a_mean_per_speech_and_older_tables_have_none() -> None:
    table = pd.DataFrame(_debate())
    (arm,) = summarise(table).stored()["arms"]
    assert all(point["conduct"] == {} for point in arm["checkpoints"])
    final = table["checkpoint"] == "iteration-0006"
    counted = table.assign(addresses_judge=np.where(final, 1, 0), repetition=np.where(final, 0.5, 0.25))
    (arm,) = summarise(counted).stored()["arms"]
    assert [point["conduct"]["addresses_judge"] for point in arm["checkpoints"]] == [0, 0, 0.25]
    assert [point["conduct"]["repetition"] for point in arm["checkpoints"]] == [0.0625, 0.0625, 0.125]


def test_stored_columns_say_what_they_hold(tmp_path: Path) -> None:
    import pyarrow.parquet

    from rostrum.trainer.evaluation.verdict_table import write_verdicts

    table = pd.DataFrame({name: ["x"] for name in COLUMNS})
    with pytest.raises(KeyError, match="another"):
        write_verdicts(table.assign(another=1.5), tmp_path / "verdicts.parquet")
    write_verdicts(table, tmp_path / "verdicts.parquet")
    assert pd.read_parquet(tmp_path / "verdicts.parquet").equals(table)
    fields = {field.name: field.metadata for field in pyarrow.parquet.read_schema(tmp_path / "verdicts.parquet")}
    assert {name: fields[name][b"description"].decode() for name in COLUMNS} == COLUMNS
