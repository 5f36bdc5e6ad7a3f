"""Rostrum: train debaters to win a judge's approval, and measure whether the judge was right more often."""

import sys

if sys.version_info < (3, 11, 5):
    raise ImportError(
        f"Rostrum needs Python 3.11.5 or newer, and this is {sys.version.split()[0]}: older ones read the patterns "
        "that find quotes wrongly, and true quotes would count as unverified."
    )
