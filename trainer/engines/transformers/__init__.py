"""The default engine: Hugging Face's models in this process (`causal`, and `classifier` for heads)."""

from typing import Literal

from rostrum.trainer.engines.base import EngineSettings


class Settings(EngineSettings):
    """A Hugging Face model in the process that plays or judges, on a GPU if there is one."""

    engine = "rostrum.trainer.engines.transformers.causal:TransformersEngine"
    classifier = "rostrum.trainer.engines.transformers.classifier:TransformersClassifier"
    serves_adapters = True

    name: Literal["transformers"] = "transformers"
