"""What can be corrected about a judge without training it: its confidence, and its position bias.

Let z be a reading's log-odds for the answer that is shown first. The calibrated log-odds are (z − b) / t: t is the
temperature (above 1 for an overconfident judge; Guo et al. 2017), b the position bias in nats. Both are fitted by
maximum likelihood on labelled debates: a logistic regression on z with an intercept, which relabelling the sides leaves
as it is.
"""

import math
from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import ArrayLike, NDArray
from pydantic import BaseModel, ConfigDict, Field

from rostrum.rewards.labelled import Labelled
from rostrum.rewards.types import Verdict

FloatArray = NDArray[np.float64]
_EDGE = 1e-6
"""Probabilities are kept this far from 0 and 1, where log-odds have no end."""
_LEAST = 20
"""Fewer readings than this say nothing about a temperature."""
STEEPEST = 20.0
"""Largest inverse temperature: a judge that is always right on the debates it is fitted to would ask for infinity."""
FLATTEST = 0.02
"""Smallest inverse temperature: one that is right half of the time would ask for 0, a worse one for less."""


class CalibrationError(ValueError):
    """Debates that a judge cannot be calibrated on; the message says what to do."""


class Calibration(BaseModel):
    """What is done to each reading."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    temperature: float = Field(1.0, gt=0)
    bias: float = 0.0
    """Log-odds (nats) by which the answer shown first is preferred."""

    def apply(self, p: float, shown_first: bool) -> float:
        """Return P(answer of side A), calibrated; with `shown_first`, its answer was the first of the two."""
        slot = _log_odds(p) if shown_first else -_log_odds(p)
        calibrated = float(_sigmoid(self.temper(slot)))
        return calibrated if shown_first else 1 - calibrated

    def temper(self, log_odds: ArrayLike) -> FloatArray:
        """Return the calibrated log-odds of the answer shown first."""
        return (np.asarray(log_odds, dtype=np.float64) - self.bias) / self.temperature

    def verdict(self, verdict: Verdict) -> Verdict:
        """Return the verdict with both of its readings calibrated; an INVALID one as it is."""
        given, swapped = (
            None if p is None else self.apply(p, shown_first)
            for p, shown_first in ((verdict.given, True), (verdict.swapped, False))
        )
        return replace(verdict, given=given, swapped=swapped)


def fit(verdicts: Sequence[Verdict], debates: Sequence[Labelled]) -> Calibration:
    """Return the calibration under which the labels are likeliest; INVALID verdicts are left out.

    Raises:
        CalibrationError: too few valid readings, or a judge that is not right more often when it is surer.
    """
    readings = [
        (_log_odds(p) * sign, debate.target if sign > 0 else 1 - debate.target)
        for verdict, debate in zip(verdicts, debates, strict=True)
        for p, sign in ((verdict.given, 1), (verdict.swapped, -1))
        if verdict.valid and p is not None
    ]
    if len(readings) < _LEAST:
        raise CalibrationError(f"{len(readings)} valid readings cannot calibrate a judge: give at least {_LEAST}.")
    found = fit_readings(*zip(*readings, strict=True))
    if found.temperature >= 0.99 / FLATTEST:
        raise CalibrationError(
            "This judge is not right more often where it is surer, so no temperature mends it: choose another judge, "
            "or give more debates."
        )
    return found


def fit_readings(log_odds: ArrayLike, targets: ArrayLike) -> Calibration:
    """Return the same from readings: log-odds of the answer shown first (N,), and P(it is right) (N,).

    In slope a = 1 / temperature and intercept c = -bias / temperature the loss is convex, so there is one minimum.
    """
    from scipy.optimize import minimize  # slow to import, and only fitting needs it

    z, t = (np.asarray(values, dtype=np.float64) for values in (log_odds, targets))

    def loss(at: FloatArray) -> tuple[float, FloatArray]:
        moved = at[0] * z + at[1]
        wrong = _sigmoid(moved) - t
        return log_loss(moved, t), np.array([(wrong * z).mean(), wrong.mean()])

    found = minimize(loss, np.array([1.0, 0.0]), jac=True, method="L-BFGS-B", bounds=[(FLATTEST, STEEPEST), (-50, 50)])
    slope, intercept = map(float, found.x)
    return Calibration(temperature=1 / slope, bias=-intercept / slope + 0.0)


def log_loss(log_odds: ArrayLike, targets: ArrayLike) -> float:
    """Return the mean cross-entropy (nats) of targets in [0, 1] (N,) under log-odds (N,)."""
    z, t = (np.asarray(values, dtype=np.float64) for values in (log_odds, targets))
    return float((t * np.logaddexp(0, -z) + (1 - t) * np.logaddexp(0, z)).mean())


def log_loss_of(verdicts: Sequence[Verdict], debates: Sequence[Labelled]) -> float:
    """Return the mean cross-entropy (nats) of the labels under the verdicts' probabilities; all must be valid."""
    return log_loss([_log_odds(verdict.mean) for verdict in verdicts], [debate.target for debate in debates])


def _sigmoid(z: FloatArray) -> FloatArray:
    return np.asarray(np.exp(-np.logaddexp(0, -z)))


def _log_odds(p: float) -> float:
    inside = min(max(p, _EDGE), 1 - _EDGE)
    return math.log(inside) - math.log1p(-inside)
