"""When a test says that something was shown, and how many stories it needs to be able to; no statistics library is
loaded for it."""

SIGNIFICANCE = 0.05
"""A two-sided p-value below this is significant."""
FEWEST_STORIES = 6
"""With five clusters the smallest two-sided sign-flip p-value is 2/2^5 = .0625; with six it is .031. And where fewer
than six differ from all others, how much they differ says little about those that were not drawn."""
