"""One run, measured: its held-out debates, the judges' verdicts on them, and the summary of these."""
