"""Noting what an engine is asked for, so that the very same calls can be made again without anything round them."""

import copy
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from functools import partial
from itertools import product
from pkgutil import resolve_name
from typing import Any
from unittest.mock import patch

from rostrum.trainer.engines import Engine, settings_by_name

Call = partial[Any]


@contextmanager
def recorded() -> Iterator[list[Call]]:
    """Record every generation and every scoring that engines are asked for in the meantime, as calls to be made
    again."""
    calls: list[Call] = []

    def recording(method: Callable[..., Any]) -> Callable[..., Any]:
        def call(engine: Engine, *args: Any) -> Any:
            calls.append(partial(method, engine, *copy.deepcopy(args)))  # contexts grow after the call
            return method(engine, *args)

        return call

    with ExitStack() as patches:
        kinds = [resolve_name(settings.engine) for settings in settings_by_name().values()]
        for kind, name in product(kinds, ("generate", "choice_logprobs")):
            patches.enter_context(patch.object(kind, name, recording(getattr(kind, name))))
        yield calls
