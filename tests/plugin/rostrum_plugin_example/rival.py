"""A debater of somebody else's as opponent."""

from rostrum.trainer.models import loading
from rostrum.trainer.opponents.lineup import Opponents
from rostrum.trainer.types import Policy


class Rival(Opponents):
    """Meets the policy in every iteration."""

    def drawn(self, iteration: int) -> list[Policy]:
        """Return the opponents of an iteration."""
        model: str = self.settings.opponent.model  # type: ignore[attr-defined]
        return [Policy("rival", 0, loading.resolve(model))]
