"""Engines by the name that the configuration uses. A new engine is one file here and one line below."""

from typing import TYPE_CHECKING

from trainer.engines.base import Completion, Engine, EngineError, EngineSetup, Sampling

if TYPE_CHECKING:
    from trainer.engines.classifier import TransformersClassifier

__all__ = ["Completion", "Engine", "EngineError", "EngineSetup", "Sampling", "make_classifier", "make_engine"]


def make_engine(model: str, setup: EngineSetup) -> Engine:
    """Starts an engine on a model folder or hub id."""
    if setup.engine == "transformers":
        from trainer.engines.transformers import TransformersEngine

        return TransformersEngine(model, setup)
    if setup.engine == "vllm":
        from trainer.engines.vllm import VllmEngine

        return VllmEngine(model, setup)
    raise EngineError(f"There is no engine {setup.engine!r}: use engine=transformers or engine=vllm.")


def make_classifier(model: str, setup: EngineSetup) -> "TransformersClassifier":
    """Starts a model with a classification or reward head, which transformers alone serves."""
    from trainer.engines.classifier import TransformersClassifier

    return TransformersClassifier(model, setup)
