"""Engines: one folder each, or another package's.

An engine is a folder here whose module has a class `Settings`: a frozen `EngineSettings` whose field `name` is the
literal name of the folder, and which says what the engine can do and where its class is. Another package adds one by an
entry point of the group `rostrum.engines`.
"""

from collections.abc import Mapping
from difflib import get_close_matches
from functools import cache
from pkgutil import resolve_name
from typing import Any

from pydantic import ValidationError

from rostrum.envs import registry
from rostrum.rewards.types import Classifier
from rostrum.trainer.engines.base import Completion, Engine, EngineSettings, Sampling
from rostrum.trainer.engines.errors import EngineError

__all__ = [
    "Completion",
    "Engine",
    "EngineError",
    "EngineSettings",
    "Sampling",
    "engine_settings",
    "make_classifier",
    "make_engine",
    "settings_by_name",
]


@cache
def settings_by_name() -> dict[str, type[EngineSettings]]:
    """Return the settings of every engine that is here or installed."""
    return registry.kinds(__name__, __path__, "rostrum.engines", folders=True)


def engine_settings(name: str = "transformers", options: Mapping[str, Any] | None = None, **how: Any) -> EngineSettings:
    """Return how an engine is to run a model: its own `options`, and what is asked of every engine.

    Raises:
        EngineError: there is no such engine, or it has no such options.
    """
    if name not in settings_by_name():
        meant = get_close_matches(name, settings_by_name(), n=1)
        hint = f"did you mean {meant[0]}? There are" if meant else "choose among"
        raise EngineError(f"There is no engine {name!r}: {hint} {', '.join(settings_by_name())}.")
    kind, options = settings_by_name()[name], options or {}
    own = sorted(set(kind.model_fields) - set(EngineSettings.model_fields))
    if unknown := sorted(set(options) - set(own)):
        has = f"has {', '.join(own)}" if own else "has none"
        raise EngineError(f"engine={name} has no option {unknown[0]!r}: it {has}.")
    try:
        settings = kind(name=name, **options, **how)
    except ValidationError as error:
        (problem, *_) = error.errors()
        key, told = ".".join(map(str, problem["loc"])), problem["msg"].removeprefix("Value error, ")
        what = f"The option {key} of engine={name} cannot be used" if key else f"engine={name} cannot be used so"
        raise EngineError(f"{what}: {told}.") from None
    _check_able(settings)
    return settings


def _check_able(settings: EngineSettings) -> None:
    """Refuse what the engine cannot do.

    Raises:
        EngineError: it splits no models, or does not know this quantization.
    """
    kinds = settings_by_name()
    if settings.tensor_parallel > 1 and not settings.splits_models:
        can = " or ".join(f"engine={name}" for name, kind in kinds.items() if kind.splits_models)
        raise EngineError(
            f"engine={settings.name} holds a model whole, and tensor_parallel={settings.tensor_parallel} splits it "
            f"over GPUs: leave it out, or choose {can}."
        )
    wanted, own = settings.quantization, settings.quantizations
    if wanted is not None and wanted not in own:
        others = " or ".join(f"engine={name}" for name, kind in kinds.items() if wanted in kind.quantizations)
        has = f"it has {', '.join(own)}" if own else "it has none"
        hint = f"leave it out, or choose {others}" if others else "choose one of these" if own else "leave it out"
        raise EngineError(f"engine={settings.name} has no quantization={wanted} ({has}): {hint}.")


def make_engine(model: str, settings: EngineSettings) -> Engine:
    """Start an engine on a model folder or hub id."""
    engine: Engine = resolve_name(settings.engine)(model, settings)
    return engine


def make_classifier(model: str, settings: EngineSettings) -> Classifier:
    """Start a model with a classification or reward head.

    Raises:
        EngineError: the engine serves none.
    """
    if settings.classifier is None:
        raise EngineError(f"engine={settings.name} serves no models with a head: use engine=transformers.")
    classifier: Classifier = resolve_name(settings.classifier)(model, settings)
    return classifier
