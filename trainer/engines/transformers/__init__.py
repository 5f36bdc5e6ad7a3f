"""The default engine: Hugging Face's models in this process (`causal`, and `classifier` for heads)."""

from typing import Literal

from pydantic import Field

from rostrum.trainer.engines.base import EngineSettings


class Settings(EngineSettings):
    """A Hugging Face model in the process that plays or judges, on a GPU if there is one."""

    engine = "rostrum.trainer.engines.transformers.causal:TransformersEngine"
    classifier = "rostrum.trainer.engines.transformers.classifier:TransformersClassifier"
    serves_adapters = True

    name: Literal["transformers"] = "transformers"
    prefix_cache_bytes: int = Field(0, ge=0)
    """Bytes that keys and values may take which are kept from speech to speech of the debates that are played together.
    0 keeps none, and every prompt is read as a whole. It changes the order of additions, and with it at times a token.
    """

    @property
    def forgets(self) -> bool:
        return self.prefix_cache_bytes > 0
