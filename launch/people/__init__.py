"""The pages on which people judge debates (`rostrum people serve`): they know no right answer, checkpoint or model."""
