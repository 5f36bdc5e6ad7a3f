"""Runs against one another: ablations, arms on the same questions, tournaments."""
