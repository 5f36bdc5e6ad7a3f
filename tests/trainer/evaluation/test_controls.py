"""What an arm did beyond the arm that was trained on its penalties alone."""

from typing import Any

import numpy as np
import pandas as pd
import pytest

from rostrum.launch import compose
from rostrum.launch.arms import arms_of
from rostrum.trainer import setup
from rostrum.trainer.evaluation.controls import controls
from rostrum.trainer.evaluation.invalid import Invalid
from rostrum.trainer.evaluation.replicates import Replicates
from rostrum.trainer.evaluation.sentences import ALONE
from rostrum.trainer.evaluation.summarise import summarise
from rostrum.trainer.stats.paired import holm, paired_change
from rostrum.trainer.stats.seeds import pooled_change
from tests.trainer.evaluation.test_summary import _questions

FINAL = "iteration-0006"


def _arm(name: str, wrong_before: int, wrong_after: int, n: int = 24) -> list[dict[str, Any]]:
    """An arm whose judge is wrong about the first so many questions, before and after training."""
    rows = _questions(n, lambda q: 0.1 if q < wrong_before else 0.9, arm=name)
    return rows + _questions(n, lambda q: 0.1 if q < wrong_after else 0.9, arm=name, checkpoint=FINAL)


def _of(summary: dict[str, Any], name: str) -> dict[str, Any]:
    return next(arm for arm in [*summary["pooled"], *summary["arms"]] if arm["name"] == name)


def test_an_arm_is_compared_with_its_control_on_the_same_questions() -> None:
    """Both began at 4 of 24 right; the control ended at 14, the arm at 22: 8 of 24 beyond the penalties."""
    table = pd.DataFrame([*_arm("paid", 20, 2), *_arm("penalties", 20, 10)])
    summary = summarise(table, controls={"paid": "penalties"}).stored()
    (row,) = _of(summary, "paid")["control"]["accuracy"]
    assert (row["base"], row["trained"]) == pytest.approx((14 / 24, 22 / 24), abs=1e-6)
    assert row["change"] == pytest.approx(8 / 24, abs=1e-6)
    q = np.arange(24)
    expected = paired_change((q >= 10) * 1.0, (q >= 2) * 1.0, q // 2)
    assert (row["low"], row["high"], row["p"]) == pytest.approx((expected.low, expected.high, expected.p), abs=1e-6)
    assert summary["family"]["size"] == 3, "both arms' changes and the difference, one family"
    changes = [_of(summary, name)["accuracy"][0] for name in ("paid", "penalties")]
    expected_p = holm([*(change["p"] for change in changes), row["p"]])
    assert [*(change["p_adjusted"] for change in changes), row["p_adjusted"]] == pytest.approx(expected_p, abs=1e-5)
    assert "penalties" in _of(summary, "paid")["control"]["sentence"]
    assert "control" not in _of(summary, "penalties")


def test_a_rise_that_the_penalties_explain_is_not_called_persuasions() -> None:
    table = pd.DataFrame([*_arm("paid", 20, 4), *_arm("penalties", 20, 4)])
    control = _of(summarise(table, controls={"paid": "penalties"}).stored(), "paid")["control"]
    assert control["sentence"].startswith("Not shown to differ from training on the penalties alone")


def test_an_arm_with_penalties_and_without_a_control_says_so() -> None:
    table = pd.DataFrame([*_arm("paid", 20, 4), *_arm("free", 20, 4)])
    summary = summarise(table, controls={"paid": None}).stored()
    assert _of(summary, "paid")["control"] == {"name": None, "accuracy": [], "sentence": ALONE}
    assert "control" not in _of(summary, "free")


def test_seeds_are_compared_pooled_and_count_once_among_the_comparisons() -> None:
    table = pd.DataFrame(
        [*_arm("a-s1", 20, 2), *_arm("a-s2", 20, 4), *_arm("p-s1", 20, 10), *_arm("p-s2", 20, 8), *_arm("b", 20, 4)]
    )
    groups = [Replicates("a", {"a-s1": 1, "a-s2": 2}), Replicates("p", {"p-s1": 1, "p-s2": 2})]
    of = {"a-s1": "p-s1", "a-s2": "p-s2", "b": "p-s1"}
    summary = summarise(table, groups, controls=of).stored()
    pooled, other = (_of(summary, name)["control"] for name in ("a", "b"))
    assert pooled["name"] == "p"
    q = np.arange(24)
    control, trained = (np.concatenate(parts) * 1.0 for parts in ((q >= 10, q >= 8), (q >= 2, q >= 4)))
    expected = pooled_change(control, trained, np.tile(q // 2, 2), np.repeat([1, 2], 24)).change
    (row,), (single,) = pooled["accuracy"], other["accuracy"]
    assert (row["change"], row["p"]) == pytest.approx((expected.change, expected.p), abs=1e-6)
    family = [*(_of(summary, name)["accuracy"][0] for name in ("a", "p", "b")), row, single]
    assert summary["family"]["size"] == len(family)
    assert [one["p_adjusted"] for one in family] == pytest.approx(holm([one["p"] for one in family]), abs=1e-5)
    part = _of(summary, "a-s1")
    assert part["control"]["accuracy"][0]["p_adjusted"] is None and part["headline"] == "not tested by itself"


@pytest.mark.parametrize("plan", ["dropped", "half", "wrong"])
def test_a_difference_to_a_control_needs_all_three_countings_of_invalid_verdicts(plan: Invalid) -> None:
    """After the control 16 of 48 are right; after the arm 16 others are, and those that were are INVALID."""
    paid = _questions(48, lambda q: 0.1 if q < 20 else 0.9, arm="paid")
    paid += _questions(48, lambda q: None if q >= 32 else 0.9 if q >= 16 else 0.1, arm="paid", checkpoint=FINAL)
    control = _questions(48, lambda q: 0.1 if q < 20 else 0.9, arm="penalties")
    control += _questions(48, lambda q: 0.9 if q >= 32 else 0.1, arm="penalties", checkpoint=FINAL)
    table = pd.DataFrame([*paid, *control])
    found = _of(summarise(table, invalid=plan, controls={"paid": "penalties"}).stored(), "paid")["control"]
    (row,) = found["accuracy"]
    assert row["invalid"]["wrong"]["headline"] == "no change shown" and row["headline"] == "no change shown"
    assert row["p_adjusted"] == max(one["p_adjusted"] for one in row["invalid"].values())
    assert row["invalid"]["dropped"]["headline"] == "raised", "or there is nothing to agree on"
    assert "depends on what INVALID verdicts count for" in found["sentence"]


@pytest.mark.parametrize("experiment", ["demo", "seeds", "study"])
def test_every_constrained_arm_that_is_shipped_has_its_control(experiment: str) -> None:
    given = [f"experiment={experiment}"]
    arms = {arm.name: arm.config for arm in arms_of(compose.load(given), given)}
    found = controls({name: config.model_dump(mode="json") for name, config in arms.items()})
    constrained = {
        name for name, config in arms.items() if config.reward.clip and config.reward.unverified_quote_penalty
    }
    assert found and set(found) == constrained
    for name, control in found.items():
        assert control is not None and arms[control].reward.clip == 0
        assert arms[control].seed == arms[name].seed and arms[control].protocol == arms[name].protocol


def test_both_protocols_of_the_study_read_and_learn_the_same_amount() -> None:
    given = ["experiment=study"]
    configs = [arm.config for arm in arms_of(compose.load(given), given)]
    assert {config.protocol.name for config in configs} == {"debate", "consultancy"}
    assert {config.protocol.speeches for config in configs} == {4}
    assert len({setup.rows_per_iteration(config) for config in configs}) == 1
