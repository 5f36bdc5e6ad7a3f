"""Teaching the three small models of the testimony world: a clumsy base debater and two weak judges."""

from rostrum.trainer.testimony_models.build import Recipe, build_models

__all__ = ["Recipe", "build_models"]
