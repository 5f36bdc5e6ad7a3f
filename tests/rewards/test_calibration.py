"""Calibration: planted temperature and bias are found again, laws under relabelling, what cannot be mended is told."""

import math

import numpy as np
import pytest
import statsmodels.api as sm
from hypothesis import given
from hypothesis import strategies as st

from rostrum.envs.types import Protocol, Question, Transcript
from rostrum.rewards.calibration import Calibration, CalibrationError, fit, log_loss_of
from rostrum.rewards.judges.calibrated import CalibratedJudge
from rostrum.rewards.labelled import Labelled
from rostrum.rewards.types import Usage, Verdict

QUESTION = Question("q", "s", "where ?", ("kitchen", "garden"), "")
DEBATE = Transcript(QUESTION, Protocol("debate"), QUESTION.answers, False)


def sigmoid(x: float) -> float:
    return 1 / (1 + math.exp(-x))


def planted(temperature: float, bias: float, count: int = 4000) -> tuple[list[Verdict], list[Labelled]]:
    """A judge that knows the true log-odds, says them times `temperature`, and likes what is first by `bias` nats."""
    rng = np.random.default_rng(0)
    truth = rng.normal(0, 1.5, count)
    labels = rng.random(count) < 1 / (1 + np.exp(-truth))
    verdicts = [Verdict("j", sigmoid(t * temperature + bias), sigmoid(t * temperature - bias)) for t in truth]
    return verdicts, [Labelled(DEBATE, float(label)) for label in labels]


@pytest.mark.parametrize(("temperature", "bias"), [(2.5, 0.0), (0.5, 0.4), (1.0, -1.2)])
def test_the_planted_fault_is_found_again_and_mended(temperature: float, bias: float) -> None:
    verdicts, debates = planted(temperature, bias)
    found = fit(verdicts, debates)
    assert found.temperature == pytest.approx(temperature, rel=0.08)
    assert found.bias == pytest.approx(bias, abs=0.08 * temperature)
    assert log_loss_of([found.verdict(v) for v in verdicts], debates) < log_loss_of(verdicts, debates)


def test_the_fit_is_the_logistic_regression_of_a_library() -> None:
    verdicts, debates = planted(1.7, 0.3, 300)
    x = [math.log(p / (1 - p)) for v in verdicts for p in v.orders]
    first, y = [1, -1] * 300, [d.target for d in debates for _ in range(2)]
    slope, tilt = sm.Logit(y, np.column_stack([x, first])).fit(disp=0).params
    found = fit(verdicts, debates)
    assert found.temperature == pytest.approx(1 / slope, rel=1e-3)
    assert found.bias == pytest.approx(-tilt / slope, abs=1e-3)


def test_relabelling_and_reordering_the_debates_change_nothing() -> None:
    verdicts, debates = planted(2.0, 0.5, 200)
    turned = [Verdict("j", 1 - (v.swapped or 0), 1 - (v.given or 0)) for v in verdicts]
    here, there = fit(verdicts, debates), fit(turned[::-1], [debate.swapped() for debate in debates][::-1])
    assert (here.temperature, here.bias) == pytest.approx((there.temperature, there.bias), abs=1e-4)


@given(st.floats(0.001, 0.999), st.floats(0.2, 5), st.floats(-2, 2))
def test_the_two_slots_mirror_each_other(p: float, temperature: float, bias: float) -> None:
    found = Calibration(temperature=temperature, bias=bias)
    assert found.apply(p, True) == pytest.approx(1 - found.apply(1 - p, False), abs=1e-9)
    assert Calibration().apply(p, True) == pytest.approx(p, abs=1e-9)
    assert 0 <= found.apply(0.0, True) < found.apply(1.0, True) <= 1


def test_soft_labels_count_by_their_share() -> None:
    """A debate with a target of .75 is three of four debates won."""
    verdicts, debates = planted(1.5, 0.2, 100)
    soft = [Labelled(DEBATE, 0.75 if d.target else 0.25) for d in debates]
    hard = [Labelled(DEBATE, float(i < (3 if d.target else 1))) for d in debates for i in range(4)]
    one, other = fit(verdicts, soft), fit([v for v in verdicts for _ in range(4)], hard)
    assert (one.temperature, one.bias) == pytest.approx((other.temperature, other.bias), rel=1e-3)


def test_invalid_verdicts_are_left_out_and_too_few_are_refused() -> None:
    verdicts, debates = planted(1.5, 0.2, 30)
    bad = Verdict("j", None, None, valid=False, reason="planted")
    assert fit([*verdicts, bad], [*debates, debates[0]]) == fit(verdicts, debates)
    with pytest.raises(CalibrationError, match="at least 20"):
        fit([bad] * 30, debates)


def test_a_judge_that_knows_nothing_is_refused() -> None:
    verdicts, debates = planted(1.0, 0.0, 400)
    with pytest.raises(CalibrationError, match="another judge"):
        fit(verdicts, [Labelled(DEBATE, 1 - debate.target) for debate in debates])


def test_the_calibrated_judge_mends_what_its_base_says() -> None:
    class Base:
        name, usage = "base", Usage(requests=3)

        def judge(self, transcripts: list[Transcript]) -> list[Verdict]:
            bad = Verdict("base", None, None, False, "planted")
            return [Verdict("base", sigmoid(3.0), sigmoid(1.0), readings=2), bad]

    judge = CalibratedJudge("mended", Base(), Calibration(temperature=2, bias=1))  # type: ignore[arg-type]
    good, bad = judge.judge([DEBATE, DEBATE])
    assert (good.given, good.swapped) == pytest.approx((sigmoid(1.0), sigmoid(1.0)))
    assert (good.judge, good.readings, judge.usage.requests) == ("mended", 2, 3)
    assert not bad.valid and bad.reason == "planted"
