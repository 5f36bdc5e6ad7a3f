"""What publishing weights takes of a training run's iterations, for full weights and for an adapter."""

import pkgutil
import tempfile
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any
from unittest.mock import patch

from benchmarks.measure import Measurement, clock
from rostrum.trainer.config import Config, Lora
from rostrum.trainer.train import train

_SECTION = "publishing"
ITERATION = "rostrum.trainer.run.Run.publish"
"""Called at the start of each iteration, and after the last one."""
WRITE, SERVE = "rostrum.trainer.learners.learner.publish", "rostrum.trainer.session.check_parity"
"""Writing the weights; and having the engine load them and comparing its probe with the learner's."""

Spans = list[tuple[float, float]]
"""When each call began and ended."""


def of_iterations(settings: Config, repeats: int) -> list[Measurement]:
    """Measure seconds of publishing and of whole iterations (publish, play, judge, learn), in training runs of each
    kind; of adapters alone if the configuration asks for one, as the model may be too large to train all of it."""
    found, adapter = [], settings.debater.lora or Lora(rank=16)
    full = [] if settings.debater.lora else [("full weights", None)]
    for kind, lora in (*full, (f"LoRA of rank {adapter.rank}", adapter)):
        with tempfile.TemporaryDirectory() as folder:
            iterations = repeats + 1  # the first warms up
            debater = settings.debater.model_copy(update={"lora": lora})
            shortened = {"output": Path(folder) / "run", "iterations": iterations, "save_every": iterations}
            found += _of_run(kind, settings.model_copy(update={**shortened, "debater": debater}))
    return found


def _of_run(kind: str, settings: Config) -> list[Measurement]:
    with ExitStack() as stack:
        begun, written, served = (stack.enter_context(_spans(name)) for name in (ITERATION, WRITE, SERVE))
        train(settings)
    starts = [start for start, _ in begun]
    whole = [later - start for start, later in zip(starts[1:-1], starts[2:], strict=True)]
    publishing = [
        (w_end - w_start) + (s_end - s_start)
        for (w_start, w_end), (s_start, s_end) in zip(written[1 : len(whole) + 1], served[1:], strict=True)
    ]
    return [
        Measurement(_SECTION, f"{kind}: write, load and probe", "s", tuple(publishing)),
        Measurement(_SECTION, f"{kind}: whole iteration", "s", tuple(whole)),
        Measurement(
            _SECTION,
            f"{kind}: share of the iteration",
            "%",
            tuple(100 * part / iteration for part, iteration in zip(publishing, whole, strict=True)),
        ),
    ]


@contextmanager
def _spans(name: str) -> Iterator[Spans]:
    """Note when the function of that name is called in the meantime, and until when."""
    original: Callable[..., Any] = pkgutil.resolve_name(name)
    spans: Spans = []

    def timed(*args: Any, **kwargs: Any) -> Any:
        start = clock()
        result = original(*args, **kwargs)
        spans.append((start, clock()))
        return result

    with patch(name, timed):
        yield spans
