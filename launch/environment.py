"""How other people's libraries are told to be quiet; called before any of them is imported."""

import logging
import os
import signal
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from io import TextIOWrapper
from pathlib import Path

SETTINGS = {
    "HF_HUB_DISABLE_TELEMETRY": "1",
    "TRL_EXPERIMENTAL_SILENCE": "1",
    "TOKENIZERS_PARALLELISM": "false",
    "WANDB_SILENT": "true",
    "RAY_USAGE_STATS_ENABLED": "0",
    "VLLM_NO_USAGE_STATS": "1",
    "VLLM_LOGGING_LEVEL": "ERROR",
}
"""What the user has set already stays."""

LIBRARIES = ("httpx", "httpx2", "trl.trainer.grpo_trainer")
"""Loggers that tell of every request, and of every row without a reward; the runs' own lines count INVALID verdicts."""

CHILD = "ROSTRUM_CHILD"
"""Set for a process whose standard input is a pipe that its parent holds, and that closes when the parent is gone."""


@contextmanager
def borrowed() -> Iterator[None]:
    """Leave the process as it was found: its environment variables, signal handlers, streams, and no Ray that was
    started meanwhile. A command may be called from a notebook or a thread, which goes on afterwards."""
    variables, errors = dict(os.environ), {stream: stream.errors for stream in _narrow_streams()}
    in_main_thread = threading.current_thread() is threading.main_thread()
    handlers = {number: signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGINT)}
    had_ray = _has_ray()
    if in_main_thread:
        signal.signal(signal.SIGTERM, signal.default_int_handler)  # both ways of stopping end in the same sentence
    for stream in errors:
        stream.reconfigure(errors="replace")
    try:
        yield
    finally:
        if not had_ray and _has_ray():
            from rostrum.trainer.cluster import cluster

            cluster.leave()
        for name in [*os.environ]:
            if name not in variables:
                del os.environ[name]
        os.environ.update({name: value for name, value in variables.items() if os.environ.get(name) != value})
        for stream, handling in errors.items():
            stream.reconfigure(errors=handling)
        if in_main_thread:
            for number, handler in handlers.items():
                signal.signal(number, handler)


def _narrow_streams() -> list[TextIOWrapper]:
    """Return the standard streams that cannot show every character."""
    streams = [stream for stream in (sys.stdout, sys.stderr) if isinstance(stream, TextIOWrapper)]
    return [stream for stream in streams if not stream.encoding.lower().startswith("utf")]


def _has_ray() -> bool:
    ray = sys.modules.get("ray")
    return ray is not None and bool(ray.is_initialized())


def prepare() -> None:
    """Set the variables that libraries read when they are imported."""
    for name, value in SETTINGS.items():
        os.environ.setdefault(name, value)
    for talker in LIBRARIES:
        logging.getLogger(talker).setLevel(logging.ERROR)
    if os.environ.pop(CHILD, None):
        threading.Thread(target=_end_with_parent, daemon=True).start()


def ours_first() -> dict[str, str]:
    """Return the environment for a process that imports our packages from here, whatever lies in its working folder
    (which `python -P` leaves out)."""
    root = str(Path(__file__).parents[2])
    return {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, [root, os.environ.get("PYTHONPATH")]))}


def _end_with_parent() -> None:
    """End with the parent as if the user had stopped this process, so that what it has finished can be gone on with."""
    os.read(0, 1)
    os.kill(os.getpid(), signal.SIGTERM)


def silence() -> None:
    """Turn off the progress bars of transformers and datasets, which would tear ours, and DeepSpeed's word on GPUs."""
    import torch

    if not torch.cuda.is_available():
        os.environ.setdefault("DS_ACCELERATOR", "cpu")
    os.environ.setdefault("HF_DATASETS_DISABLE_PROGRESS_BARS", "1")  # read when datasets, slow to import, is imported
    import transformers

    transformers.utils.logging.disable_progress_bar()
    transformers.utils.logging.set_verbosity_error()


def quieten() -> None:
    """Prepare and silence, in a process that another started."""
    prepare()
    silence()
