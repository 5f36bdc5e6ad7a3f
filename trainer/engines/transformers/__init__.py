"""The default engine: Hugging Face's models in this process (`causal`, and `classifier` for heads)."""

from typing import Literal

from pydantic import NonNegativeInt

from rostrum.trainer.engines.base import EngineSettings

AUTO_BYTES = 2 * 2**30
LONG = 1000
"""Tokens of a prompt from which on keeping it is worth while unasked."""


class Settings(EngineSettings):
    """A Hugging Face model in the process that plays or judges, on a GPU if there is one."""

    engine = "rostrum.trainer.engines.transformers.causal:TransformersEngine"
    classifier = "rostrum.trainer.engines.transformers.classifier:TransformersClassifier"
    serves_adapters = True

    name: Literal["transformers"] = "transformers"
    prefix_cache_bytes: Literal["auto"] | NonNegativeInt = "auto"
    """Bytes that keys and values may take which are kept from speech to speech of the debates that are played together.
    0 keeps none, and every prompt is read as a whole; `auto` keeps 2 GiB of prompts of 1000 tokens or more. It changes
    the order of additions, and with it at times a token."""

    @property
    def kept_bytes(self) -> int:
        """Return `prefix_cache_bytes` as a number."""
        return AUTO_BYTES if self.prefix_cache_bytes == "auto" else self.prefix_cache_bytes

    @property
    def forgets(self) -> bool:
        return self.kept_bytes > 0

    @property
    def keeps_from(self) -> int:
        return LONG if self.prefix_cache_bytes == "auto" else 0
