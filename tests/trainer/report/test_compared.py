"""The diagram beside the headline: what was compared with what."""

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from rostrum.trainer.evaluation.summary import Summary
from rostrum.trainer.report.compared import Box, compared
from tests.trainer.report.made_runs import PAYLOAD, Reader, arm, make_run, page_of, summary


def shown(content: dict[str, Any], verdicts: pd.DataFrame | None = None) -> Any:
    return compared(Summary.model_validate(content), verdicts)


def verdicts(both: bool, seatings: tuple[bool, ...] = (False, True)) -> pd.DataFrame:
    rows = [
        {
            "judge": judge,
            "matchup": matchup,
            "valid": True,
            "swapped_seats": swapped,
            "p_given": 0.5,
            "p_swapped": 0.5 if both or judge == "other-judge" else np.nan,
        }
        for judge in ("weak-judge", "other-judge")
        for matchup, swapped in [("none", False), *(("self", swapped) for swapped in seatings)]
    ]
    unread = rows[-1] | {"valid": False, "p_given": np.nan}
    return pd.DataFrame([*rows, unread])


def with_control() -> dict[str, Any]:
    content = summary()
    content["arms"][0]["control"] = {"name": "free debate"}
    return content


def test_before_after_and_control_are_told_apart() -> None:
    found = shown(with_control())
    assert found.questions == Box(
        "Questions", "The same 400 test questions", ("on 400 stories, none of which was trained on",)
    )
    assert [(box.role, box.name) for box in found.debaters] == [
        ("Before", "Base debaters"),
        ("After", "truthful debate, truthful consultancy"),
        ("Control", "free debate"),
    ]
    assert [(box.role, box.name) for box in found.judges] == [
        ("Reward judge", "weak-judge"), ("Held-out judge", "other-judge")
    ]  # fmt: skip
    assert found.figure.lines == ("after minus before, and after minus control, question by question",)
    plain = shown(summary())
    assert len(plain.debaters) == 2 and "control" not in plain.text


def test_orders_and_seatings_are_those_of_the_verdicts() -> None:
    def orders(table: pd.DataFrame | None) -> list[str]:
        return [box.lines[-1] for box in shown(summary(), table).judges]

    assert orders(verdicts(both=True)) == ["read each debate in both orders"] * 2
    assert orders(verdicts(both=False)) == ["read in one order", "read each debate in both orders"]
    mixed = pd.concat([verdicts(both=True), verdicts(both=False)])
    assert orders(mixed) == ["gave the reward", "read each debate in both orders"], "neither can be said of all"
    assert orders(None) == ["gave the reward", "gave no reward"], "nothing is said that is not known"
    assert shown(summary(), verdicts(both=True)).play.name == "In both seatings"
    assert shown(summary(), verdicts(both=True, seatings=(False,))).play.name == "In one seating only"


def test_a_judge_that_reads_about_some_of_the_questions_says_so() -> None:
    one = verdicts(both=True).assign(question_id="q1")
    other = one.assign(question_id="q2")
    all_but_one = pd.concat([one, other[other["judge"] != "other-judge"]])
    of = {box.name: box.lines for box in shown(summary(), all_but_one).judges}
    assert of["other-judge"][-1] == "read debates about 1 of the questions"
    assert of["weak-judge"][-1] == "read each debate in both orders"
    of = {box.name: box.lines for box in shown(summary(), pd.concat([one, other])).judges}
    assert of["other-judge"][-1] == "read each debate in both orders"


def test_many_arms_are_counted_and_pooled_ones_have_their_seeds() -> None:
    many = {"schema_version": 1, "arms": [arm(f"arm {number}", "raised") for number in range(6)]}
    assert shown(many).debaters[1].name == "6 arms"
    pooled = [arm("pooled", "raised") | {"arms": [f"arm {n}" for n in range(6)], "seeds": [1, 2, 3, 4, 5, 6]}]
    assert shown(many | {"pooled": pooled}).debaters[1].name == "pooled (6 seeds)"
    assert shown({"schema_version": 1, "arms": []}) is None


def test_the_picture_has_a_text_that_says_the_same(tmp_path: Path) -> None:
    content = with_control()
    content["arms"][1]["name"] = content["arms"][0]["control"]["name"] = PAYLOAD.replace("/", "|")
    reader = Reader(page_of(make_run(tmp_path / "run", content)))
    (label,) = [a["aria-label"] for n, a in reader.elements if n == "figure" and a.get("role") == "img"]
    found = compared(Summary.model_validate(content), None)
    assert found and label == f"What was compared with what: {found.text}"
    for box in (found.questions, *found.debaters, found.play, *found.judges, found.figure):
        assert box.name.lower() in found.text.lower() and " ".join(box.name.split()) in reader.text
    assert "img" not in [name for name, _ in reader.elements]
