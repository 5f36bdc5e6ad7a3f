"""The runs of an experiment, and what their verdicts say together.

A folder with `arms/` holds an experiment of several runs; any other run folder is an experiment with one arm.
"""

from pathlib import Path

from rostrum.trainer.evaluation.controls import controls
from rostrum.trainer.evaluation.preregistration.deviations import as_planned, declared_primary
from rostrum.trainer.evaluation.replicates import replicates
from rostrum.trainer.evaluation.summarise import summarise
from rostrum.trainer.evaluation.summary import Summary
from rostrum.trainer.evaluation.verdict_table import read_verdicts
from rostrum.trainer.store.provenance import saved_settings


def arms_of(folder: Path) -> dict[str, Path]:
    """Return the run folders of an experiment, by arm."""
    arms = folder / "arms"
    return {path.name: path for path in sorted(arms.iterdir())} if arms.is_dir() else {folder.name: folder}


def summary_of(folder: Path) -> Summary:
    """Return the summary of the verdicts that lie in a folder, by its configurations and its plan, if there was one."""
    arms = arms_of(folder)
    configs = {name: saved_settings(path) for name, path in arms.items()}
    own = saved_settings(folder)
    summary = summarise(
        read_verdicts(folder / "verdicts.parquet"),
        replicates({name: config for name, config in configs.items() if config}),
        own.get("plan", {}).get("invalid", "dropped"),
        declared_primary(folder),
        controls({name: config for name, config in configs.items() if config}),
    )
    return summary.model_copy(update={"plan": as_planned(folder, arms)})
