"""What can be mended about a judge without training it: its confidence, and its taste for the answer shown first.

Let x be a reading's log-odds for the answer of seat A and o = +1 where that answer was shown first, −1 where it was
shown second. The calibrated log-odds are (x − o·b) / t: t is the temperature (above 1 for an overconfident judge; Guo
et al. 2017), b the position bias in nats. Both are fitted by maximum likelihood on labelled debates: a logistic
regression on x and o without intercept, which relabelling the seats leaves as it is.
"""

import math
from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from pydantic import BaseModel, ConfigDict, Field
from scipy.optimize import minimize
from scipy.special import expit

from rewards.labelled import Labelled
from rewards.types import Verdict

_EDGE = 1e-6
"""Probabilities are kept this far from 0 and 1, where log-odds have no end."""
_LEAST = 20
"""Fewer readings than this say nothing about a temperature."""


class CalibrationError(ValueError):
    """Debates that a judge cannot be calibrated on; the message says what to do."""


class Calibration(BaseModel):
    """What is done to each reading."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    temperature: float = Field(1.0, gt=0)
    bias: float = 0.0
    """Log-odds (nats) by which the answer shown first is preferred."""

    def apply(self, p: float, shown_first: bool) -> float:
        """P(answer of seat A), calibrated; `shown_first`: its answer was the first of the two."""
        logit = _logit(min(max(p, _EDGE), 1 - _EDGE))
        return float(expit((logit - (self.bias if shown_first else -self.bias)) / self.temperature))

    def verdict(self, verdict: Verdict) -> Verdict:
        """The verdict with both of its readings calibrated; an INVALID one as it is."""
        given, swapped = (
            None if p is None else self.apply(p, shown_first)
            for p, shown_first in ((verdict.given, True), (verdict.swapped, False))
        )
        return replace(verdict, given=given, swapped=swapped)


def fit(verdicts: Sequence[Verdict], debates: Sequence[Labelled]) -> Calibration:
    """The calibration under which the labels are likeliest; INVALID verdicts are left out.

    Raises:
        CalibrationError: too few valid readings, or a judge that is not right more often when it is surer.
    """
    readings = [
        (_logit(min(max(p, _EDGE), 1 - _EDGE)), first, debate.target)
        for verdict, debate in zip(verdicts, debates, strict=True)
        for p, first in ((verdict.given, 1.0), (verdict.swapped, -1.0))
        if verdict.valid and p is not None
    ]
    if len(readings) < _LEAST:
        raise CalibrationError(f"{len(readings)} valid readings cannot calibrate a judge: give at least {_LEAST}.")
    x, first, target = np.array(readings).T
    slope, tilt = minimize(_loss, (1.0, 0.0), args=(x, first, target), jac=True, method="L-BFGS-B").x
    if slope <= 0.01:
        raise CalibrationError(
            "This judge is not right more often where it is surer, so no temperature mends it: choose another judge, "
            "or give more debates."
        )
    return Calibration(temperature=1 / slope, bias=-tilt / slope)


def log_loss(probabilities: Sequence[float], targets: Sequence[float]) -> float:
    """Mean cross-entropy in nats of P(answer of seat A) against the labels."""
    p = np.clip(np.array(probabilities), _EDGE, 1 - _EDGE)
    y = np.array(targets)
    return float(-(y * np.log(p) + (1 - y) * np.log1p(-p)).mean())


def _loss(
    parameters: np.ndarray, x: np.ndarray, first: np.ndarray, target: np.ndarray
) -> tuple[float, np.ndarray]:
    """Mean cross-entropy of logit = slope·x + tilt·o, and its gradient."""
    z = parameters[0] * x + parameters[1] * first
    error = (expit(z) - target) / len(x)
    return float((np.logaddexp(0, z) - target * z).mean()), np.array([error @ x, error @ first])


def _logit(p: float) -> float:
    return math.log(p) - math.log1p(-p)
