"""How far a judge's probabilities can be taken at their word: losses of log-odds, and a temperature fitted to labels.

All log-odds here are by slot: of the answer that is *shown as A* in that reading. A calibrated probability is
sigmoid((z - bias) / temperature). For a `Verdict`, whose second probability is already turned back to the answer of
seat A, the bias therefore counts with the other sign in the swapped order.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.optimize import minimize
from scipy.special import expit, log_expit

STEEPEST = 20.0
"""Largest inverse temperature: a judge that is always right on the debates it is fitted to would ask for infinity."""
FLATTEST = 0.02
"""Smallest inverse temperature: one that is right half of the time would ask for 0, a worse one for less."""


@dataclass(frozen=True, slots=True)
class Calibration:
    """P(slot A) = sigmoid((log-odds - bias) / temperature)."""

    temperature: float
    bias: float

    def apply(self, log_odds: ArrayLike) -> NDArray[np.float64]:
        """The calibrated log-odds (N,)."""
        return (np.asarray(log_odds, dtype=np.float64) - self.bias) / self.temperature


def log_loss(log_odds: ArrayLike, targets: ArrayLike) -> float:
    """Mean cross-entropy (nats) of P(slot A) targets (N,) under log-odds (N,)."""
    z, t = (np.asarray(values, dtype=np.float64) for values in (log_odds, targets))
    return float(-(t * log_expit(z) + (1 - t) * log_expit(-z)).mean())


def mean_probability(log_odds: ArrayLike) -> NDArray[np.float64]:
    """P(answer of seat A) (N,) of N debates, averaged over both orders, from log-odds by slot (2 N,): each debate as it
    is and then with the seats relabelled."""
    z = np.asarray(log_odds, dtype=np.float64).reshape(-1, 2)
    return (expit(z[:, 0]) + expit(-z[:, 1])) / 2


def fit(log_odds: ArrayLike, targets: ArrayLike) -> Calibration:
    """The temperature and bias of least log loss.

    In slope a = 1 / temperature and intercept c = -bias / temperature the loss is convex, so there is one minimum.
    """
    z, t = (np.asarray(values, dtype=np.float64) for values in (log_odds, targets))

    def loss(at: NDArray[np.float64]) -> tuple[float, NDArray[np.float64]]:
        moved = at[0] * z + at[1]
        wrong = expit(moved) - t
        return log_loss(moved, t), np.array([(wrong * z).mean(), wrong.mean()])

    found = minimize(loss, np.array([1.0, 0.0]), jac=True, method="L-BFGS-B", bounds=[(FLATTEST, STEEPEST), (-50, 50)])
    slope, intercept = map(float, found.x)
    return Calibration(1 / slope, -intercept / slope + 0.0)
