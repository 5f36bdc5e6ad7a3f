"""What training did for a judge, in numbers: on held-out debates, with Wilson's interval and one clustered by story."""

from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.special import expit

from rostrum.rewards.labelled import Labelled
from rostrum.rewards.statistics import cluster_mean, wilson
from rostrum.rewards.types import Verdict, favours
from rostrum.trainer.stats.paired import headline, paired_change


def counts(learned: Sequence[Labelled], heldout: Sequence[Labelled]) -> dict[str, Any]:
    """Return the numbers of debates and stories on either side, and how many labels are confidences."""
    return {
        name: {
            "debates": len(part),
            "stories": len({debate.transcript.question.story_id for debate in part}),
            "soft": sum(debate.target not in (0.0, 1.0) for debate in part),
        }
        for name, part in (("learned_from", learned), ("held_out", heldout))
    }


def probabilities(verdicts: Sequence[Verdict]) -> NDArray[np.float64]:
    """Return P(answer of side A) (N,) by each verdict; NaN where it is INVALID."""
    return np.array([verdict.mean if verdict.valid else np.nan for verdict in verdicts])


def mean_probability(log_odds: ArrayLike) -> NDArray[np.float64]:
    """Return P(answer of side A) (N,) of N debates, averaged over both orders, from log-odds of the answer shown first
    (2 N,): each debate as it is and then with the sides relabelled."""
    z = np.asarray(log_odds, dtype=np.float64).reshape(-1, 2)
    return np.asarray((expit(z[:, 0]) + expit(-z[:, 1])) / 2)


def correct(of_a: ArrayLike, debates: Sequence[Labelled]) -> NDArray[np.float64]:
    """Return 1, 0 or (undecided) a half for each debate (N,); NaN for an INVALID verdict or a label that names no
    side."""
    p, targets = np.asarray(of_a, dtype=np.float64), np.array([debate.target for debate in debates])
    sided = np.where(targets > 0.5, p, 1 - p)
    return np.where(targets == 0.5, np.nan, favours(sided))


def accuracy(right: NDArray[np.float64], stories: ArrayLike) -> dict[str, Any]:
    """Return the share right among those known, with both intervals, and how many are not known."""
    known = ~np.isnan(right)
    clustered = cluster_mean(right[known], np.asarray(stories)[known])
    interval = wilson(float(right[known].sum()), int(known.sum()))
    return {
        "accuracy": clustered.estimate,
        "n": clustered.n,
        "left_out": int((~known).sum()),
        "wilson": [interval.low, interval.high],
        "clustered": [clustered.low, clustered.high],
    }


def before_and_after(
    heldout: Sequence[Labelled], before: Sequence[Verdict], after: NDArray[np.float64]
) -> dict[str, Any]:
    """Return the accuracy of the judge as it was (its verdicts) and as it is (`after`, P(answer of side A)), and the
    change."""
    stories = np.array([debate.transcript.question.story_id for debate in heldout])
    was, now = correct(probabilities(before), heldout), correct(after, heldout)
    both = ~np.isnan(was) & ~np.isnan(now)
    change = paired_change(was[both], now[both], stories[both])
    return {
        "before": accuracy(was, stories),
        "after": accuracy(now, stories),
        "change": asdict(change) | {"headline": headline(change)},
    }
