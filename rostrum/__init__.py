"""Rostrum: train debaters to win a judge's approval, and measure whether the judge was right more often."""
