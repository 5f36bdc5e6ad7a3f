"""`rostrum ablate`: the cross product of settings, each cell trained and evaluated, and one table of all of them.

    cells/protocol=debate+seed=1/ ...     runs, as `rostrum train` and `rostrum evaluate` leave them
    ablation.json ablation.html           what was found, as numbers and as a page
    cells.parquet cells.csv               the same, one row for each cell and judge

Cells run side by side as tasks of Ray. What is finished is not done again; a cell that fails does not stop the others.
"""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

from rostrum.launch import compose, environment, manifest, saved
from rostrum.launch.arguments import take
from rostrum.launch.arms import Arm
from rostrum.launch.cells import Cell, cross
from rostrum.launch.errors import LaunchError, continued_with, sentence, tell
from rostrum.launch.results import show_cells, show_root
from rostrum.trainer.config import Config
from rostrum.trainer.evaluation.preregistration import hashes
from rostrum.trainer.store.run_folder import RunFolder

FAILED = 1
"""Exit code when cells have failed."""
OWN = "ablation."
"""Keys that say how cells are run, and are no part of what they are."""


def ablate(overrides: Sequence[str]) -> int:
    """Run the cells that are not finished yet, then compare all of them; return 1 if some have failed."""
    given, output = take(overrides, "output")
    if output is None:
        raise LaunchError("Name a folder: rostrum ablate KEY=VALUE,VALUE... output=FOLDER.")
    cells = cross([override for override in given if not override.startswith(OWN)])
    if len(cells) < 2:
        raise LaunchError("Nothing to compare: give at least one key several values, as in seed=1,2,3.")
    own = [override for override in given if override.startswith(OWN)]
    folder, config = Path(output), compose.load([*cells[0].overrides, *own])
    arms = [_arm(cell, folder, config) for cell in cells]
    with saved.reserved(folder), continued_with(" ".join(["rostrum ablate", *overrides])):
        check(arms)
        begin(folder, arms[0].config)
        from rostrum.launch import ray_cells

        failures = ray_cells.finish(arms, config.ablation, config.cluster)
        _report(folder, cells, arms, failures)
    return tell_failures(failures)


def check(arms: Sequence[Arm]) -> None:
    """Check everything that can be found wrong with any of the runs, before the first is started.

    Raises:
        LaunchError: something is; the sentence begins with the run's name.
    """
    for arm in arms:
        with named(arm.name):
            arm.check()
    new = {
        arm.config.model_copy(update={"seed": 0, "output": Path()}).model_dump_json(): arm
        for arm in reversed(arms)
        if not arm.evaluated
    }
    if not new:
        return
    environment.silence()
    from rostrum.launch import checks
    from rostrum.trainer.run_context import RunContext

    for arm in reversed(new.values()):  # cells that differ by seed alone are checked once
        with named(arm.name):
            checks.check(RunContext(arm.config))


@contextmanager
def named(run: str) -> Iterator[None]:
    """Put a run's name before what is wrong with it."""
    try:
        yield
    except Exception as error:
        message = sentence(error)
        if message is None:
            raise
        raise LaunchError(f"{run}: {message}") from None


def tell_failures(failures: Mapping[str, str]) -> int:
    """Say what each failed run ended with; return the exit code."""
    for name, failure in failures.items():
        tell(f"{name} failed: {failure}")
    return FAILED if failures else 0


def _arm(cell: Cell, folder: Path, config: Config) -> Arm:
    """Return the cell as a run. An experiment's arms are no part of it, and Weights & Biases groups it with its
    siblings."""
    overrides = [*cell.overrides, "~arms"]
    if config.wandb.mode != "disabled" and config.wandb.group is None:
        overrides.append(f"wandb.group={compose.quoted(folder.name)}")
    with named(cell.name):
        return Arm(cell.name, overrides, folder / "cells" / cell.name)


def begin(folder: Path, config: Config) -> None:
    run = RunFolder(folder)
    if run.config.exists():
        raise LaunchError(f"{folder} holds a run or an experiment: choose another output=FOLDER.")
    if not run.manifest.exists():
        saved.check_new(folder)
        manifest.write(run.manifest, config, f"Ablation: {folder.name}")


def _report(folder: Path, cells: Sequence[Cell], arms: Sequence[Arm], failures: Mapping[str, str]) -> None:
    from rostrum.trainer.evaluation.comparisons.ablation import Result, compare
    from rostrum.trainer.evaluation.replicates import replicates
    from rostrum.trainer.report.ablation_page import write_ablation

    results = [
        Result(cell.name, cell.settings, arm.folder, failures.get(cell.name))
        for cell, arm in zip(cells, arms, strict=True)
    ]
    found = compare(results, replicates({arm.name: arm.config.model_dump(mode="json") for arm in arms}))
    write_ablation(folder, f"Ablation: {folder.name}", found)
    manifest.finish(RunFolder(folder).manifest)
    root = hashes.write(folder)
    show_cells(found, folder / "ablation.html")
    show_root(root)
