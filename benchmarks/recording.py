"""Noting what an engine is asked for, so that the very same calls can be made again without anything round them."""

import copy
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from typing import Any
from unittest.mock import patch

from trainer.engines.transformers import TransformersEngine

Call = Callable[[], Any]


@contextmanager
def recorded() -> Iterator[list[Call]]:
    """Every generation and every scoring that engines are asked for in the meantime, as calls to be made again."""
    calls: list[Call] = []

    def recording(method: Callable[..., Any]) -> Callable[..., Any]:
        def call(engine: TransformersEngine, *args: Any) -> Any:
            calls.append(partial(method, engine, *copy.deepcopy(args)))  # contexts grow after the call
            return method(engine, *args)

        return call

    with (
        patch.object(TransformersEngine, "generate", recording(TransformersEngine.generate)),
        patch.object(TransformersEngine, "choice_logprobs", recording(TransformersEngine.choice_logprobs)),
    ):
        yield calls
