"""The testimony world: stories by witnesses of unequal reliability, and the small models that live in it."""

from rostrum.envs.testimony.world import TestimonyWorld

__all__ = ["TestimonyWorld"]
