"""How far it is from the loop to an engine: somebody who reads a traceback should see what is done, not who passes it
on."""

import inspect
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest

from rostrum.trainer import train
from rostrum.trainer.config import Config
from rostrum.trainer.engines.base import Completion, Sampling
from rostrum.trainer.engines.transformers.causal import TransformersEngine
from tests.conftest import ROOT

OURS = ("envs", "rewards", "trainer", "launch")
MOST = 6
"""Frames of ours between `train` and an engine."""


def frames() -> list[str]:
    """Return our functions from the caller's caller up to `train`, that one left out; the innermost first."""
    found = []
    for frame in inspect.stack(context=0)[2:]:
        path = Path(frame.filename).resolve()
        if path == Path(train.__file__).resolve():
            return found
        if path.is_relative_to(ROOT) and path.relative_to(ROOT).parts[0] in OURS:
            found.append(f"{path.relative_to(ROOT)}:{frame.function}")
    raise AssertionError("nobody trains here")


def test_few_frames_lie_between_the_loop_and_a_speech(
    configure: Callable[..., Config], monkeypatch: pytest.MonkeyPatch
) -> None:
    seen, generate = set[tuple[str, ...]](), TransformersEngine.generate

    def noted(engine: TransformersEngine, prompts: Sequence[Sequence[int]], sampling: Sampling) -> list[Completion]:
        seen.add(tuple(frames()))
        return generate(engine, prompts, sampling)

    monkeypatch.setattr(TransformersEngine, "generate", noted)
    train.train(configure("algorithm=rloo"))
    assert seen and all(len(between) <= MOST for between in seen), seen
