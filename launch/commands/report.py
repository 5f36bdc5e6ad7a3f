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
    """Write the report on stored verdicts again, with the people of a study beside the model judges if one is
    named."""
    rest, run = take(overrides, "run")
    rest, study = take(rest, "people.study")
    if run is None or rest:
        raise LaunchError(
            "Name the run or experiment to report on, and nothing else: rostrum report run=RUN [people.study=STUDY]."
        )
    if not RunFolder(Path(run)).config.exists():
        saved.run_config(Path(run))
    with guarded(Path(run)):
        if study is not None:
            _ask_people(Path(run), Path(study))
        write_report(Path(run))
    return 0


def _ask_people(folder: Path, study: Path) -> None:
    """Put what people of a study said of the debates of a run, or of an experiment's arms, into people.json, which the
    report shows from then on."""
    from rostrum.rewards.people import database
    from rostrum.trainer.evaluation.people import joined, people_and_models
    from rostrum.trainer.evaluation.preregistration.experiment import arms_of
    from rostrum.trainer.report.experiment_report import joined_verdicts

    arms = arms_of(folder)
    table = joined_verdicts(folder, list(arms))
    connection = database.connect(study)
    try:
        found = people_and_models.beside(joined.joined(connection, arms.values(), table), table)
        people_and_models.write(folder, found, study, connection)
    finally:
        connection.close()


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
