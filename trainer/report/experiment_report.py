"""From evaluated runs to one table, one summary and one report."""

from pathlib import Path

import pandas as pd

from rostrum.envs.files import write_atomically
from rostrum.trainer.evaluation.preregistration.experiment import arms_of, summary_of
from rostrum.trainer.evaluation.summary import NAME, Summary
from rostrum.trainer.evaluation.verdict_table import read_verdicts, write_verdicts
from rostrum.trainer.reading import read_text
from rostrum.trainer.report.page import write_report
from rostrum.trainer.store.run_folder import RunError


def report(folder: Path, order: list[str] | None = None) -> Summary:
    """Write verdicts.parquet, debates.jsonl, summary.json, report.html, pages/ and figures/; return the summary.

    `order` is that of the arms in the summary, alphabetical if not given. Arms that differ in nothing but the seed are
    pooled.

    Raises:
        RunError: an arm has not been evaluated.
    """
    arms = arms_of(folder)
    names = order or list(arms)
    table = joined_verdicts(folder, names)
    if len(names) > 1:
        write_verdicts(table, folder / "verdicts.parquet")
        debates = "".join(read_text(arms[name] / "debates.jsonl") for name in names)
        write_atomically(folder / "debates.jsonl", debates)
    summary = summary_of(folder)
    summary.write(folder / NAME)
    write_report(folder)
    return summary


def joined_verdicts(folder: Path, names: list[str]) -> pd.DataFrame:
    """Return the verdicts of a run, or of these arms of an experiment.

    Raises:
        RunError: an arm has not been evaluated.
    """
    arms = arms_of(folder)
    for name in names:
        if not (arms[name] / "verdicts.parquet").exists():
            raise RunError(
                f"The run {arms[name]} has not been evaluated: run `rostrum evaluate run={arms[name]}` first."
            )
    first, *others = [read_verdicts(arms[name] / "verdicts.parquet") for name in names]
    # the reference rows are the same in every arm
    return pd.concat([first, *(table[table["arm"] != ""] for table in others)], ignore_index=True) if others else first
