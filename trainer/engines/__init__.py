"""Engines by the name that the configuration uses. A new engine is one file here and one line below."""

from trainer.engines.base import Completion, Engine, EngineError, Sampling

__all__ = ["Completion", "Engine", "EngineError", "Sampling", "make_engine"]


def make_engine(kind: str, model: str, batch_size: int, dtype: str) -> Engine:
    """Starts an engine on a model folder or hub id."""
    if kind == "transformers":
        from trainer.engines.transformers import TransformersEngine

        return TransformersEngine(model, batch_size, dtype)
    raise EngineError(f"There is no engine {kind!r}: use engine=transformers.")
