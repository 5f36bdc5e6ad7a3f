"""Changes, seeds, power and ratings: pure functions that import nothing of trainer but one another."""
