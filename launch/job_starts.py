"""Whether a job that is started again and again gets anywhere; what the script of a Slurm job asks.

    python -m rostrum.launch.job_starts RUN begin    at each start of the job, before anything else
    python -m rostrum.launch.job_starts RUN again    before the job is requeued

A job whose time limit is shorter than its start-up would be requeued for ever. RUN.job/starts.json counts the starts
of a job that found the same newest checkpoint. It lies beside the run's folder, which such a job may never make.
"""

import json
import os
import sys
from collections.abc import Sequence
from pathlib import Path

from rostrum.envs.files import write_atomically
from rostrum.launch.errors import USER_ERROR, LaunchError, sentence
from rostrum.trainer.reading import Open, read_json
from rostrum.trainer.store.run_folder import RunFolder

STARTS = 2
"""How often a job may be started without coming to a new checkpoint."""


class Starts(Open):
    """The starts of a job since a checkpoint was the newest."""

    job: str
    newest: str | None
    starts: int


def folder_of(run: Path) -> Path:
    """Return the folder of what a job keeps besides its run: beside it, with its name."""
    return run.with_name(f"{run.name}.job")


def begin(run: Path, job: str) -> None:
    """Count a start of the job.

    Raises:
        LaunchError: the starts before it came to no new checkpoint.
    """
    before = again(run, job)
    folder = folder_of(run)
    folder.mkdir(parents=True, exist_ok=True)
    write_atomically(folder / "starts.json", json.dumps(before | {"starts": before["starts"] + 1}) + "\n")


def again(run: Path, job: str) -> Starts:
    """Return how often the job was started since its newest checkpoint.

    Raises:
        LaunchError: that was `STARTS` times, so that another start would not come further.
    """
    whole = RunFolder(run).checkpoints()
    newest = whole[-1].name if whole else None
    file = folder_of(run) / "starts.json"
    known = read_json(file, Starts) if file.exists() else None
    if known is None or known["job"] != job or known["newest"] != newest:
        return Starts(job=job, newest=newest, starts=0)
    if known["starts"] >= STARTS:
        reached = f"a checkpoint newer than {newest}" if newest else "a first checkpoint"
        remedies = ["give it a longer --time"]
        if newest is None:  # a run that goes on keeps its save_every
            remedies.append(f"remove {run} and lower save_every" if run.exists() else "lower save_every")
        raise LaunchError(
            f"Job {job} was started {known['starts']} times without reaching {reached} in {run}: "
            f"{' or '.join(remedies)}, then submit it once more."
        )
    return known


def main(words: Sequence[str]) -> int:
    """Do what the script asks; the exit code is 2, with a sentence, where the job should end."""
    run, what = Path(words[0]).absolute(), {"begin": begin, "again": again}[words[1]]
    try:
        what(run, os.environ.get("SLURM_JOB_ID", "0"))
    except (OSError, ValueError) as error:
        if (told := sentence(error)) is None:
            raise
        print(f"rostrum: {told}", file=sys.stderr)
        return USER_ERROR
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
