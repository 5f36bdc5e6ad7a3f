"""Checkpoints of a training: what a run needs to go on as if nothing had happened.

trainer/checkpoint-24/current/      what the learner of that policy has written
trainer/checkpoint-24/rostrum.json  our own state and the files' hashes; written last, it makes the checkpoint count
"""

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from rostrum.envs.files import remove_folder, write_atomically
from rostrum.trainer.models.model_folders import follow_umask
from rostrum.trainer.store.run_folder import STATE, CheckpointState, RunError, RunFolder

KEPT = 2
"""How many checkpoints stay: the newest, and one before it in case that is damaged."""


def folder_of(run: RunFolder, iteration: int) -> Path:
    """Return where the checkpoint after that many iterations is."""
    return run.trainer / f"checkpoint-{iteration}"


def iteration_of(folder: Path) -> int:
    """Return after how many iterations a checkpoint was written; the inverse of `folder_of`."""
    return int(folder.name.rpartition("-")[2])


def seal(run: RunFolder, iteration: int, state: Mapping[str, Any]) -> None:
    """Write our own part of a checkpoint, and remove the checkpoints that it makes needless."""
    folder = folder_of(run, iteration)
    follow_umask(folder)
    write_atomically(folder / STATE, json.dumps({"iteration": iteration, **state, "files": _digests(folder)}))
    for older in run.checkpoints()[:-KEPT]:
        remove_folder(older)


def newest(run: RunFolder) -> tuple[Path, CheckpointState] | None:
    """Return the newest whole checkpoint and our state of it; None if there is none.

    Raises:
        RunError: it is named for another iteration than its state tells of, or a file of it was damaged.
    """
    found = run.checkpoint()
    if found is None:
        return None
    folder, state = found
    if folder != folder_of(run, state["iteration"]):
        raise RunError(
            f"{folder / STATE} tells of iteration {state['iteration']}, and {folder.name} is of another: restore it "
            f"from a copy, or remove {folder} to go on from the checkpoint before it (an earlier version numbered "
            "checkpoints by steps, and only that version goes on from one of its own)."
        )
    now = _digests(folder)
    for name, digest in state.get("files", {}).items():
        if now.get(name) != digest:
            raise RunError(
                f"{folder / name} is not what was written: restore it from a copy, or remove {folder} to go on from "
                "the checkpoint before it."
            )
    return found


def check_ranks(folder: Path, state: Mapping[str, Any], now: Mapping[str, Any], run: Path) -> None:
    """Refuse a checkpoint of other ranks where DeepSpeed has spread the optimizer's state over them.

    Raises:
        RunError: this is another number of ranks, or another stage.
    """
    before = state.get("ranks", now)
    if before != now and (before["deepspeed"] or now["deepspeed"]):
        raise RunError(
            f"The checkpoint {folder} was written by {before['world']} ranks with deepspeed={before['deepspeed']} and "
            "can only be resumed by as many: ask for the same cluster, or export the policy (`rostrum export "
            f"run={run} iteration={state['iteration']} output=FOLDER`) and start a new run from debater.model=FOLDER."
        )


def _digests(folder: Path) -> dict[str, str]:
    """Return the SHA-256 of every file of a checkpoint but our own, by its path in the folder."""
    found = {}
    for path in sorted(folder.rglob("*")):
        if path.is_file() and path.name != STATE:
            with path.open("rb") as file:
                found[path.relative_to(folder).as_posix()] = hashlib.file_digest(file, "sha256").hexdigest()
    return found
