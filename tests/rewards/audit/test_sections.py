"""The parts of an audit together: ready for JSON, each with its place on the page, and held against thresholds."""

import json
from collections.abc import Callable, Sequence
from dataclasses import replace
from importlib.resources import files
from typing import Any, get_args

import numpy as np
import pytest

from rostrum.rewards.audit.cost import Cost
from rostrum.rewards.audit.gate import RULES, gate, passes
from rostrum.rewards.audit.options import AuditOptions, SectionName, Thresholds
from rostrum.rewards.audit.ratings import Rating
from rostrum.rewards.audit.sections import SECTIONS, Case, debate_id, findings
from rostrum.rewards.audit.table import Table, read
from rostrum.rewards.labelled import Labelled
from rostrum.rewards.scripted import ScriptedJudge
from rostrum.rewards.types import Usage

Audit = Callable[..., dict[str, Any]]


@pytest.fixture
def audit(debates: Sequence[Labelled], planted: Callable[..., ScriptedJudge]) -> Audit:
    """The findings on a judge with planted faults."""

    def make(ratings: Sequence[Rating] = (), skip: Sequence[str] = (), **faults: Any) -> dict[str, Any]:
        judge, options = planted(**faults), AuditOptions(skip=list(skip))
        case = Case(judge, debates, read(judge, debates), Cost(400, 2.0, Usage(800, dollars=1.0)), options, ratings)
        return findings(case)

    return make


def test_every_section_can_be_skipped_and_has_a_place_on_the_page() -> None:
    assert set(SECTIONS) == set(get_args(SectionName))
    for name in SECTIONS:
        assert (files("rostrum.trainer.report.audit") / f"{name}.html.j2").is_file()


@pytest.mark.parametrize("faults", [{}, {"invalid_every": 3}, {"invalid_every": 1}, {"ties": 1.0}])
def test_findings_are_json_without_numbers_that_are_none(audit: Audit, faults: dict[str, Any]) -> None:
    found = audit(**faults)
    assert list(found) == list(SECTIONS)
    assert json.loads(json.dumps(found, allow_nan=False)) == found


def test_sections_are_skipped_on_request(audit: Audit) -> None:
    assert set(SECTIONS) - set(audit(skip=["tags", "cost"])) == {"tags", "cost"}


def test_cost_is_given_by_verdict(audit: Audit) -> None:
    cost = audit()["cost"]
    assert (cost["seconds_per_verdict"], cost["dollars_per_1000"]) == (0.005, 2.5)


def test_ratings_are_held_against_the_judges_own(audit: Audit, debates: Sequence[Labelled]) -> None:
    """People who rate every debate as this judge does: log-odds of 1 are .731 or .269, ratings of 3 and 7."""
    ratings = [Rating(debate_id(debate), 3 if debate.target == 1 else 7, None) for debate in debates]
    perfect = audit(ratings, accuracy=1.0)["agreement"]
    assert perfect["exact"]["share"]["estimate"] == 1 and perfect["exact"]["chance"] == 0.5
    assert audit()["agreement"] is None


@pytest.mark.parametrize(
    ("fault", "fails"),
    [
        ({}, set()),
        ({"accuracy": 0.3}, {"accuracy"}),
        ({"invalid_every": 10}, {"invalid"}),
        ({"position_bias": 2.0}, {"position_bias", "swap_consistency"}),
        ({"position_bias": -0.5}, {"position_bias"}),
        ({"length_bias": 2.0}, {"length_bias"}),
        ({"mark_weight": 0.0}, {"unverified_shift"}),
        ({"margin": 4.0}, {"ece"}),
    ],
)
def test_each_fault_fails_its_threshold(audit: Audit, fault: dict[str, Any], fails: set[str]) -> None:
    found = audit(**{"margin": 1.0, "mark_weight": 0.05, "accuracy": 0.73} | fault)
    checks = gate(found, Thresholds())
    assert {check.threshold for check in checks} == set(RULES) == set(Thresholds.model_fields)
    assert {check.threshold for check in checks if check.passed is False} >= fails
    assert passes(checks) == (not fails)


def test_a_threshold_of_null_asks_nothing(audit: Audit) -> None:
    none = Thresholds(**dict.fromkeys(Thresholds.model_fields))
    assert gate(audit(accuracy=0.0), none) == [] and passes([])


def test_what_cannot_be_measured_fails_nobody(audit: Audit) -> None:
    checks = gate(audit(skip=["tags"], mark_weight=0.05), Thresholds())
    (unmeasured,) = [check for check in checks if check.passed is None]
    assert unmeasured.threshold == "unverified_shift" and passes(checks)


def test_a_judge_that_never_answers_fails(audit: Audit) -> None:
    assert not passes(gate(audit(invalid_every=1), Thresholds()))


def test_duplicated_debates_do_not_narrow_what_is_clustered_and_order_changes_nothing(
    debates: Sequence[Labelled], planted: Callable[..., ScriptedJudge]
) -> None:
    judge = planted(position_bias=0.3, length_bias=0.4, mark_weight=0.2)

    def measure(chosen: Sequence[Labelled]) -> dict[str, Any]:
        return findings(Case(judge, chosen, read(judge, chosen), Cost(1, 1.0, Usage()), AuditOptions()))

    once, twice = measure(debates), measure([*debates, *debates])
    order = np.random.default_rng(0).permutation(len(debates))
    shuffled = measure([debates[index] for index in order])
    for path in (("position", "delta"), ("length", "bias"), ("tags", "shift"), ("calibration", "ece")):
        section, name = path
        for end in ("estimate", "low", "high"):
            assert twice[section][name][end] == pytest.approx(once[section][name][end], abs=1e-9), path
            assert shuffled[section][name][end] == pytest.approx(once[section][name][end], abs=1e-9), path
    assert twice["ties"]["sign_test_p"] == once["ties"]["sign_test_p"]


def test_debates_whose_label_names_no_side_are_left_out_of_accuracy(
    debates: Sequence[Labelled], planted: Callable[..., ScriptedJudge]
) -> None:
    undecided = [replace(debates[0], target=0.5), *debates[1:]]
    table: Table = read(planted(), undecided)
    assert len(table) == 400 and len(table.labelled()) == 399
