"""From evaluated runs to one table, one summary and one report.

A folder with `arms/` holds an experiment of several runs; any other run folder is an experiment with one arm.
"""

import json
from pathlib import Path
from typing import Any

import pandas as pd

from envs.files import write_atomically
from trainer.evaluation.controls import controls
from trainer.evaluation.replicates import replicates
from trainer.evaluation.summary import summarise
from trainer.evaluation.verdict_rows import write_parquet
from trainer.evidence.adherence import adherence, declared_primary
from trainer.provenance import saved_settings
from trainer.reading import read_text
from trainer.report import write_report
from trainer.run_folder import RunError
from trainer.verdicts import read_verdicts


def arms_of(folder: Path) -> dict[str, Path]:
    """The run folders of an experiment, by arm."""
    arms = folder / "arms"
    return {path.name: path for path in sorted(arms.iterdir())} if arms.is_dir() else {folder.name: folder}


def report(folder: Path, order: list[str] | None = None) -> dict[str, Any]:
    """Writes verdicts.parquet, debates.jsonl, summary.json, report.html, pages/ and figures/; returns the summary.

    `order` is that of the arms in the summary, alphabetical if not given. Arms that differ in nothing but the seed are
    pooled.

    Raises:
        RunError: an arm has not been evaluated.
    """
    arms = arms_of(folder)
    names = order or list(arms)
    for name in names:
        if not (arms[name] / "verdicts.parquet").exists():
            raise RunError(
                f"The run {arms[name]} has not been evaluated: run `rostrum evaluate run={arms[name]}` first."
            )
    tables = [read_verdicts(arms[name] / "verdicts.parquet") for name in names]
    if len(names) > 1:
        others = [table[table["arm"] != ""] for table in tables[1:]]  # the reference rows are the same in every arm
        write_parquet(pd.concat([tables[0], *others], ignore_index=True), folder / "verdicts.parquet")
        debates = "".join(read_text(arms[name] / "debates.jsonl") for name in names)
        write_atomically(folder / "debates.jsonl", debates)
    summary = summary_of(folder)
    write_atomically(folder / "summary.json", json.dumps(summary, indent=1))
    write_report(folder)
    return summary


def summary_of(folder: Path) -> dict[str, Any]:
    """The summary of the verdicts that lie in a folder, by its configurations and its plan, if there was one."""
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
    return summary | {"plan": adherence(folder, arms)}
