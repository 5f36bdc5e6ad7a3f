"""Ray actors for the roles of a run (learners, rollouts, judges), and finding room for them on a cluster."""
