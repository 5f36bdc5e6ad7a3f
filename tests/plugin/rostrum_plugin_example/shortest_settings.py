"""How the configuration names the shortest of several samples."""

from typing import Literal

from pydantic import Field

from rostrum.trainer.config.decoding import DecodingSettings


class Settings(DecodingSettings):
    """Each speech is the candidate of the fewest tokens. No judge is asked."""

    way = "rostrum_plugin_example.shortest:prepare"

    kind: Literal["shortest"]
    candidates: int = Field(3, ge=2)
