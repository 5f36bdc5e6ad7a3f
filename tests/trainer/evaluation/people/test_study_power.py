"""What a study can show, against studies that are simulated otherwise than the power is."""

import numpy as np
import pytest
from scipy.special import expit

from rostrum.rewards.crossed import crossed_change
from rostrum.trainer.evaluation.people.study_power import (
    Design,
    Differ,
    power_of,
    power_record,
    power_sentences,
    smallest_change,
)

DESIGN = Design(judges=12, stories=tuple(range(36)), conditions=2, verdicts=6)


def test_everybody_meets_a_question_once_and_conditions_take_turns() -> None:
    judge, question, late = DESIGN.cells()
    assert len(set(zip(judge, question, strict=True))) == len(judge) == 432
    assert {int((late & (judge == j)).sum()) for j in range(12)} == {18}


def test_more_people_and_verdicts_show_smaller_changes() -> None:
    few, more = (smallest_change(Design(n, tuple(range(36)), 2, n // 2)) for n in (8, 24))
    assert few is not None and more is not None and more < few
    record = power_record(DESIGN)
    assert record["with_twice_the_people"] < record["smallest_change"]
    told = " ".join(power_sentences(DESIGN, record))
    assert f"a change of {100 * record['smallest_change']:.0f} points or more" in told and "400 simulated" in told


def test_without_a_change_little_is_shown() -> None:
    assert power_of(DESIGN, -1e-9) <= 0.05


def test_what_cannot_be_shown_is_not_promised() -> None:
    assert smallest_change(Design(2, (0, 1, 2), 2, 1)) is None
    assert smallest_change(Design(8, tuple(range(24)), 1, 2)) is None
    one = Design(8, tuple(range(24)), 1, 2)
    assert power_sentences(one, power_record(one)) == ["With one condition there is no change to show."]


def test_planted_changes_are_shown_as_often_as_promised() -> None:
    """Studies by another hand: people with an accuracy of their own on a scale of shares, stories that shift it."""
    change = smallest_change(DESIGN)
    assert change is not None
    rng, shown = np.random.default_rng(11), 0
    differ, middles = Differ(), [_middle(0.75), _middle(0.75 - change)]
    for _ in range(400):
        skill, hard = rng.normal(0, differ.judges, 12), rng.normal(0, np.hypot(differ.stories, differ.debates), (36, 2))
        values, late, stories, judges = [], [], [], []
        for story in range(36):
            for j in range(12):
                after = (j + story) % 2
                p = expit(middles[after] + skill[j] + hard[story, after])
                values.append(float(rng.random() < p))
                late.append(after)
                stories.append(story)
                judges.append(j)
        shown += crossed_change(values, late, stories, judges).high < 0
    assert 0.7 <= shown / 400 <= 0.92


def _middle(accuracy: float) -> float:
    """Return by bisection the log-odds about which verdicts are right so often."""
    z = np.random.default_rng(1).normal(0, np.sqrt(3) * 0.5, 20_000)
    low, high = -6.0, 6.0
    for _ in range(40):
        middle = (low + high) / 2
        low, high = (middle, high) if expit(middle + z).mean() < accuracy else (low, middle)
    return low


@pytest.mark.parametrize("judges", [1, 0])
def test_one_person_shows_nothing_of_others(judges: int) -> None:
    assert smallest_change(Design(judges, (0, 1), 2, 1)) is None
