"""Calibration and coverage: identities, numbers worked by hand, judges whose probabilities are known to be off."""

import math
from collections.abc import Callable

import numpy as np
import pytest

from rostrum.rewards.audit.coverage import coverage, selective_accuracy
from rostrum.rewards.audit.reliability import brier, calibration, ece_without_chance, equal_mass, reliability_by_chance
from rostrum.rewards.audit.table import Table

Make = Callable[..., Table]


def table_of(p: np.ndarray, a_is_right: np.ndarray, per_story: int = 1) -> Table:
    """Verdicts P(answer of side A), one a debate; both orders agree."""
    n = len(p)
    story = np.array([f"{i // per_story:05d}" for i in range(n)])
    blank, zero = np.array([""] * n), np.zeros(n)
    return Table(story, a_is_right.astype(float), p, p, p, zero, zero, blank)


def drawn(n: int, sharpen: float = 1.0, seed: int = 0) -> Table:
    """A judge whose true chances are p and who says p with its log-odds multiplied by `sharpen`."""
    rng = np.random.default_rng(seed)
    odds = rng.normal(0, 1.5, n)
    right = rng.uniform(size=n) < 1 / (1 + np.exp(-odds))
    return table_of(1 / (1 + np.exp(-sharpen * odds)), right, per_story=max(n // 200, 1))


def test_a_calibrated_judge_has_little_error_and_an_overconfident_one_much() -> None:
    fair, over, under = (calibration(drawn(20_000, sharpen)) for sharpen in (1.0, 3.0, 0.3))
    assert fair.ece.estimate < 0.015 and fair.brier.reliability < 0.001
    assert over.ece.estimate > 0.1 and over.overconfidence.low > 0
    assert under.ece.estimate > 0.1 and under.overconfidence.high < 0
    assert over.overconfidence.estimate == pytest.approx(over.ece.estimate, abs=0.002)
    assert fair.brier.resolution == pytest.approx(over.brier.resolution, abs=0.001), "ranks are the same"
    assert fair.log_loss.estimate < over.log_loss.estimate


@pytest.mark.parametrize("seed", range(5))
def test_the_decomposition_adds_up_to_the_score(seed: int) -> None:
    table = drawn(237, 1.7, seed)
    found = brier(table)
    parts = found.reliability - found.resolution + found.uncertainty + found.within_bins
    assert parts == pytest.approx(found.score.estimate, abs=1e-12)
    assert found.score.estimate == pytest.approx(float(((table.p - table.a_is_right) ** 2).mean()), abs=1e-12)
    assert found.uncertainty == 0.25


def test_the_decomposition_by_hand() -> None:
    """Two confidences, .8 (right in 3 of 4) and .6 (right in 1 of 2). From both sides: P = .8, .2, .6, .4 with shares
    .75, .25, .5, .5. Reliability (8 * .05^2 + 4 * .1^2)/12 = .005, resolution 8 * .25^2 / 12 = .041667."""
    p = np.array([0.8, 0.8, 0.8, 0.2, 0.6, 0.4])
    right_is_a = np.array([True, True, True, True, True, True])
    found = brier(table_of(p, right_is_a))
    assert found.reliability == pytest.approx(0.005)
    assert found.resolution == pytest.approx(0.5 / 12)
    assert found.within_bins == pytest.approx(0)
    assert found.score.estimate == pytest.approx((3 * 0.04 + 0.64 + 0.16 + 0.36) / 6)


def test_calibration_error_by_hand() -> None:
    """ECE: 4 debates at .8, of which 3 right, and 2 at .6, of which 1 is: (4 * .05 + 2 * .1)/6; signed the same."""
    p = np.array([0.8, 0.8, 0.8, 0.2, 0.6, 0.4])
    found = calibration(table_of(p, np.ones(6, dtype=bool)))
    assert [(b.n, round(b.confidence, 9), b.accuracy.estimate) for b in found.bins] == [(2, 0.6, 0.5), (4, 0.8, 0.75)]
    assert found.ece.estimate == pytest.approx(0.4 / 6)
    assert found.overconfidence.estimate == pytest.approx(0.4 / 6)
    expected = -(3 * math.log(0.8) + math.log(0.2) + math.log(0.6) + math.log(0.4)) / 6
    assert found.log_loss.estimate == pytest.approx(expected)


def test_what_chance_adds_by_hand() -> None:
    """As above, every debate a story: a calibrated judge's four debates at .8 are off by sqrt(2/pi) * .4 / 2 on the
    average, its two at .6 by sqrt(2/pi) * sqrt(.12). Nothing shows that this one is off, so both are taken away; and of
    its reliability what twelve rows of variance .16 (8) and .24 (4) have in bins of 4 and 2."""
    found = calibration(table_of(np.array([0.8, 0.8, 0.8, 0.2, 0.6, 0.4]), np.ones(6, dtype=bool)))
    chance = math.sqrt(2 / math.pi) * (4 * 0.2 + 2 * math.sqrt(0.12)) / 6
    assert found.ece_chance == pytest.approx(chance)
    assert found.ece_debiased.estimate == pytest.approx(0.4 / 6 - chance)
    assert found.brier.reliability_debiased == pytest.approx(0.005 - (8 * 0.16 / 4 + 4 * 0.24 / 2) / 12)


@pytest.mark.parametrize(("debates", "seatings"), [(100, 1), (400, 1), (400, 2)])
def test_a_calibrated_judge_has_no_error_on_average(debates: int, seatings: int) -> None:
    """.05 as usually measured on 400 debates, .10 on 100; more where both debates about a question turn out alike."""
    plain, debiased, reliability = [], [], []
    for seed in range(200):
        rng = np.random.default_rng(seed)
        p = rng.uniform(size=debates // seatings).repeat(seatings)
        table = table_of(p, rng.uniform(size=debates // seatings).repeat(seatings) < p, per_story=seatings)
        which = equal_mass(table.confidence)
        gap = table.confidence - table.correct
        plain.append(np.abs(np.bincount(which, gap)).sum() / debates)
        debiased.append(ece_without_chance(table)[1])
        reliability.append(reliability_by_chance(table)[1])
    assert np.mean(plain) > 0.045
    assert np.mean(debiased) == pytest.approx(0, abs=0.01)
    assert np.mean(reliability) == pytest.approx(0, abs=0.0015)


def test_an_overconfident_judge_is_not_let_off() -> None:
    """Right less often by .12 than it says. All of what chance can do taken away would leave .07."""
    found, reliability = [], []
    for seed in range(100):
        rng = np.random.default_rng(seed)
        p = rng.uniform(0.62, 1.0, size=400)
        table = table_of(p, rng.uniform(size=400) < p - 0.12)
        found.append(ece_without_chance(table)[1])
        reliability.append(reliability_by_chance(table)[1])
    assert np.mean(found) == pytest.approx(0.12, abs=0.01)
    assert np.mean(reliability) == pytest.approx(0.0144, abs=0.003)


def test_the_interval_of_what_chance_does_not_explain() -> None:
    covered = 0
    for seed in range(20):
        rng = np.random.default_rng(seed)
        p, off = rng.uniform(0.62, 1.0, size=150), 0.12 * (seed % 2)
        found = calibration(table_of(p, rng.uniform(size=150) < p - off)).ece_debiased
        covered += found.low <= off <= found.high
    assert covered >= 17


def test_errors_either_way_add_up_and_their_signs_cancel() -> None:
    """Four debates at .8, all right, and two at .6, both wrong: ECE (.8 + 1.2)/6, signed (-.8 + 1.2)/6."""
    found = calibration(table_of(np.array([0.8, 0.8, 0.8, 0.8, 0.4, 0.4]), np.ones(6, dtype=bool)))
    assert found.ece.estimate == pytest.approx(2 / 6)
    assert found.overconfidence.estimate == pytest.approx(0.4 / 6)


def test_bins_hold_equally_many_and_equal_values_together() -> None:
    assert np.bincount(equal_mass(np.linspace(0.5, 1, 200))).tolist() == [20] * 10
    assert np.bincount(equal_mass(np.repeat([0.5, 0.6, 0.9], [50, 50, 7]))).tolist() == [50, 50, 7]
    assert set(equal_mass(np.full(30, 0.7)).tolist()) == {0}


def test_a_scripted_judge_is_calibrated_when_its_margin_fits_its_accuracy(table: Make) -> None:
    """Right in a share a of the debates and always as sure as the log-odds of a."""
    measured = table(accuracy=0.7, margin=1.0)
    accuracy = float(measured.correct.mean())
    fitting = table(accuracy=0.7, margin=math.log(accuracy / (1 - accuracy)))
    assert calibration(fitting).ece.estimate == pytest.approx(0, abs=1e-9)
    assert calibration(measured).ece.estimate == pytest.approx(abs(1 / (1 + math.exp(-1)) - accuracy))


def test_relabelling_and_order_change_nothing() -> None:
    table = drawn(300, 2.0)
    turned = table_of(1 - table.p, ~table.a_is_right)
    shuffled = table_of(table.p, table.a_is_right)
    order = np.random.default_rng(3).permutation(300)
    shuffled = Table(*(getattr(table, name)[order] for name in Table.__dataclass_fields__))
    for other in (turned, shuffled):
        assert calibration(other).ece.estimate == pytest.approx(calibration(table).ece.estimate, abs=1e-12)
        assert brier(other).reliability == pytest.approx(brier(table).reliability, abs=1e-12)
        assert coverage(other).aurc == pytest.approx(coverage(table).aurc, abs=1e-12)


def test_accuracy_of_the_most_confident_by_hand() -> None:
    """Two at .9 (one right), one at .8 (right), one at .6 (wrong): .5, .5, 2/3, .5; the first two share their mean."""
    found = selective_accuracy(np.array([0.8, 0.9, 0.6, 0.9]), np.array([1.0, 1.0, 0.0, 0.0]))
    assert found == pytest.approx([0.5, 0.5, 2 / 3, 0.5])


def test_coverage_of_a_judge_whose_confidence_tells() -> None:
    p = np.concatenate([np.full(50, 0.95), np.full(50, 0.55)])
    found = coverage(table_of(p, np.concatenate([np.ones(50), np.zeros(50)]).astype(bool)))
    assert (found.above.estimate, found.above.n, found.share_above) == (1, 50, 0.5)
    assert found.curve[0][1] == 1 and found.curve[-1] == (1.0, 0.5)
    by_chance = coverage(table_of(np.tile(p, 1), np.tile([True, False], 50)))
    assert found.aurc < 0.2 < by_chance.aurc


def test_no_valid_verdict_gives_no_number(table: Make) -> None:
    found = calibration(table(invalid_every=1))
    assert found.n == 0 and math.isnan(found.ece.estimate) and math.isnan(found.brier.score.estimate)
    assert math.isnan(coverage(table(invalid_every=1)).aurc)
