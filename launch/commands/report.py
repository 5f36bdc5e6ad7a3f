"""`rostrum report`: the report on stored verdicts, written again."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from rostrum.envs.files import guarded
from rostrum.launch import saved
from rostrum.launch.arguments import take
from rostrum.launch.errors import LaunchError
from rostrum.launch.results import show_root, show_summary
from rostrum.trainer.store.run_folder import RunFolder

if TYPE_CHECKING:
    from rostrum.trainer.evaluation.summary import Summary


def report(overrides: Sequence[str]) -> int:
    """Write the report on stored verdicts again."""
    rest, run = take(overrides, "run")
    if run is None or rest:
        raise LaunchError("Name the run or experiment to report on, and nothing else: rostrum report run=RUN.")
    if not RunFolder(Path(run)).config.exists():
        saved.run_config(Path(run))
    with guarded(Path(run)):
        write_report(Path(run))
    return 0


def write_report(folder: Path, written: Sequence[str] = ()) -> "tuple[Summary, str | None]":
    """Write the report, then the hashes: after an evaluation also of what that has written. Returns the summary and the
    root hash, if the folder has hashes."""
    from rostrum.trainer.evaluation.preregistration import hashes
    from rostrum.trainer.report.experiment_report import report as write

    experiment = (folder / "arms").is_dir()
    arms = list(saved.run_config(folder).arms) if experiment else None
    summary = write(folder, arms)
    root = hashes.write(folder, written) if written else hashes.renew(folder, hashes.reported(experiment))
    show_summary(summary, folder)
    show_root(root)
    return summary, root
