"""The exact sign test, on which McNemar's test and the tests of ties rest."""

from scipy.stats import binomtest


def sign_test(above: int, below: int) -> float:
    """Return the two-sided exact p-value of so many signs one way and so many the other, were each a coin toss; 1 if
    none."""
    return float(binomtest(above, above + below).pvalue) if above + below else 1.0
