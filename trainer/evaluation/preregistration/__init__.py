"""What was declared of an experiment, what came of it, and whether the one follows from the other."""
