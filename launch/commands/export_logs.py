"""`rostrum export-logs`: the evaluated debates of a run or an experiment as logs of inspect_ai."""

from collections.abc import Sequence
from pathlib import Path

from rostrum.envs.files import guarded, make_folder
from rostrum.launch import environment, manifest, saved
from rostrum.launch.arguments import take
from rostrum.launch.errors import LaunchError, continued_with
from rostrum.trainer.store.run_folder import RunFolder


def export_logs(overrides: Sequence[str]) -> int:
    """Write one log per arm, checkpoint and matchup; an interrupted export is done anew."""
    rest, run = take(overrides, "run")
    rest, output = take(rest, "output")
    if run is None or output is None or rest:
        raise LaunchError("Name the run and the folder to write: rostrum export-logs run=RUN output=FOLDER.")
    folder, target = Path(run), Path(output)
    if target.exists():
        make_folder(target)  # or says that it is a file
    saved.run_config(folder)  # says what is amiss if it is no run
    environment.silence()
    with guarded(target), continued_with(" ".join(["rostrum export-logs", *overrides])):
        written = sum(_of_run(path, target) for path in _runs(folder))
    from rostrum.trainer.progress import say

    say(f"{written} logs are in {target}; `inspect view --log-dir {target}` opens them, where inspect_ai is installed.")
    return 0


def _runs(folder: Path) -> list[Path]:
    arms = folder / "arms"
    return sorted(path for path in arms.iterdir() if path.is_dir()) if arms.is_dir() else [folder]


def _of_run(run: Path, output: Path) -> int:
    """Write the logs of one run; return how many there are."""
    from rostrum.trainer.export.inspect_log import export_logs as write
    from rostrum.trainer.progress import say

    paths = []
    for path in write(saved.run_config(run), manifest.read(RunFolder(run).manifest), output):
        say(f"{path}")
        paths.append(path)
    return len(paths)
