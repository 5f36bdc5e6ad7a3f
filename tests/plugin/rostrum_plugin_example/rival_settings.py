"""How the configuration names a rival."""

from typing import Literal

from rostrum.trainer.config.opponent import OpponentSettings


class Settings(OpponentSettings):
    """A model that is never trained, in every debate; the policy learns from its own side alone."""

    opponents = "rostrum_plugin_example.rival:Rival"

    kind: Literal["rival"]
    model: str
    """A folder, a hub id or embedded/NAME; it reads the debater's prompts on the debater's engine."""

    def against_itself(self, questions: int) -> int:
        return 0
