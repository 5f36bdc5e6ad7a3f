"""How other people's libraries are told to be quiet; called before any of them is imported."""

import logging
import os
import signal
import threading

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


def prepare() -> None:
    """Sets the variables that libraries read when they are imported."""
    for name, value in SETTINGS.items():
        os.environ.setdefault(name, value)
    for talker in LIBRARIES:
        logging.getLogger(talker).setLevel(logging.ERROR)
    if os.environ.pop(CHILD, None):
        threading.Thread(target=_end_with_parent, daemon=True).start()


def _end_with_parent() -> None:
    """As if the user had stopped this process, so that what it has finished can be gone on with."""
    os.read(0, 1)
    os.kill(os.getpid(), signal.SIGTERM)


def silence() -> None:
    """Turns off the progress bars of transformers and datasets, which would tear ours, and DeepSpeed's word on GPUs."""
    import torch

    if not torch.cuda.is_available():
        os.environ.setdefault("DS_ACCELERATOR", "cpu")
    import datasets
    import transformers

    transformers.utils.logging.disable_progress_bar()
    transformers.utils.logging.set_verbosity_error()
    datasets.disable_progress_bars()


def quieten() -> None:
    """Both, in a process that another started."""
    prepare()
    silence()
