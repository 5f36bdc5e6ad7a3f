"""A policy learns to quote from the best of its own speeches (`rostrum warmstart`), before it is trained."""
