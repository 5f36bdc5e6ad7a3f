"""`rostrum export`: the policies of a run, as plain model folders."""

from collections.abc import Sequence
from pathlib import Path

from rostrum.launch import environment, saved
from rostrum.launch.arguments import take, tell
from rostrum.launch.errors import LaunchError


def export(overrides: Sequence[str]) -> int:
    """Write the policies of a run as plain model folders."""
    rest, run = take(overrides, "run")
    rest, iteration = take(rest, "iteration")
    rest, output = take(rest, "output")
    if run is None or output is None or rest:
        raise LaunchError("Name the run and the folder to write: rostrum export run=RUN output=FOLDER [iteration=N].")
    if iteration is not None and not iteration.isdecimal():
        raise LaunchError(f"The iteration cannot be {iteration!r}: give a whole number, or leave it out for the last.")
    config = saved.run_config(Path(run))
    environment.silence()
    from rostrum.trainer.export.export_model import export as write

    chosen = write(config, None if iteration is None else int(iteration), Path(output))
    if config.learners:
        folders = " and ".join(config.policies)
        tell(f"The policies of iteration {chosen} are in {output}, a plain Hugging Face folder each: {folders}.")
    else:
        tell(f"The policy of iteration {chosen} is in {output}, a plain Hugging Face folder.")
    return 0
