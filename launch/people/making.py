"""Making a study from evaluated runs: `rostrum people new`."""

import time
from collections.abc import Mapping, Sequence
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING

from rostrum.launch import compose, environment, saved
from rostrum.launch.arguments import take
from rostrum.launch.commands.tournament import names_of
from rostrum.launch.errors import LaunchError
from rostrum.launch.people import comprehension
from rostrum.rewards.people import debates
from rostrum.trainer.config import Config
from rostrum.trainer.store.run_folder import RunFolder

if TYPE_CHECKING:
    from rostrum.trainer.evaluation.people.double_check import Said
    from rostrum.trainer.evaluation.people.new_study import Chosen, Condition

GUIDELINES = Path(__file__).with_name("guidelines.md")


def make(words: Sequence[str]) -> list[str]:
    """Make a study's folder and declare it; return what there is to say of it.

    Raises:
        LaunchError: the words name no study to be made.
        StudyError: there are not enough debates for it.
    """
    rest, output = take(words, "output")
    rest, runs = take(rest, "runs")
    rest, queue = take(rest, "queue")
    if output is None or (runs is None) == (queue is None) or queue not in (None, "true"):
        raise LaunchError(
            "Name a folder and evaluated runs, or an empty queue for a cascade: rostrum people new output=STUDY "
            "runs=RUN[,RUN...], or queue=true."
        )
    if strange := [word for word in rest if not word.startswith(("people.", "seed="))]:
        raise LaunchError(f"{strange[0]} says nothing about a study: only people.* and seed can be given.")
    config, folder = compose.load(rest), Path(output)
    if runs is None:
        return _queue(folder, config)
    folders = [run for name in runs.split(",") for run in _runs_of(Path(name))]
    configs = [saved.run_config(run) for run in folders]
    environment.silence()
    from rostrum.trainer.evaluation.people import new_study, playing

    guidelines, questions = _guidelines(config), comprehension.questions_of(config.people.comprehension)
    with saved.reserved(folder):
        saved.check_new(folder)
        conditions = [
            condition
            for run, own, name in zip(folders, configs, names_of(folders), strict=True)
            for condition in new_study.conditions_of(run, own, config.people.checkpoints, name)
        ]
        if config.people.live:
            playing.check(conditions)
        said = _said(config, conditions, dict(zip(names_of(folders), folders, strict=True)))
        chosen = new_study.choose(conditions, new_study.right_seats(folders), config.people, config.seed, said)
        new_study.write(folder, conditions, chosen, guidelines, time.time())
        comprehension.keep(folder, questions)
        return [*_declared(folder, folders, config, conditions, chosen), _next(folder)]


def _queue(folder: Path, config: Config) -> list[str]:
    """Make a study without debates, which a cascade fills."""
    from rostrum.rewards.people import database
    from rostrum.trainer.evaluation.people import new_study, study_lock
    from rostrum.trainer.evaluation.people.study_file import StudyFile

    if named := [name for name in ("check", "live", "gold") if getattr(config.people, name)]:
        raise LaunchError(
            f"people.{named[0]} needs debates whose answers are known, and a queue has none: leave it out."
        )
    people = config.people.model_copy(update={"training": 0, "qualification": 0})
    made = StudyFile(runs=(), seed=config.seed, people=people)
    guidelines, questions = _guidelines(config), comprehension.questions_of(people.comprehension)
    with saved.reserved(folder):
        saved.check_new(folder)
        new_study.write(folder, (), (), guidelines, time.time())
        comprehension.keep(folder, questions)
        made.write(folder)
        with closing(database.connect(folder)) as db:
            debates.want(db, people.verdicts)
            study_lock.declare(folder, db, made, {})
    return [
        f"{folder}: an empty queue, {people.verdicts} verdicts on each debate that a cascade puts there.",
        f"Name it in a cascade, as in docs/people.md: second: {{kind: people, name: people, study: {folder}, "
        "queue: true}.",
    ]


def _runs_of(path: Path) -> list[Path]:
    """Return the run, or the arms of an experiment."""
    if (path / "arms").is_dir():
        return sorted(arm for arm in (path / "arms").iterdir() if RunFolder(arm).config.is_file())
    return [path]


def _said(
    config: Config, conditions: "Sequence[Condition]", folders: "Mapping[str, Path]"
) -> "list[Mapping[tuple[str, bool], Said]]":
    """Return what the model judge that people are to check said of each condition's debates; nothing without one."""
    from rostrum.trainer.evaluation.people import double_check
    from rostrum.trainer.evaluation.verdict_table import read_verdicts

    if config.people.check is None:
        return []
    tables = {name: read_verdicts(folder / "verdicts.parquet") for name, folder in folders.items()}
    return [double_check.said_of(tables[each.run], config.people.check, each.checkpoint) for each in conditions]


def _guidelines(config: Config) -> str:
    source = config.people.guidelines or GUIDELINES
    if not source.is_file():
        raise LaunchError(f"There is no file {source}: give the guidelines as people.guidelines=FILE.md.")
    return source.read_text("utf-8")


def _declared(
    folder: Path,
    folders: Sequence[Path],
    config: Config,
    conditions: "Sequence[Condition]",
    chosen: "Sequence[Chosen]",
) -> list[str]:
    """Write study.json and protocol.lock; return what the study takes and what it can show, in sentences."""
    from rostrum.rewards.people import database
    from rostrum.trainer.evaluation.people import new_study, study_lock
    from rostrum.trainer.evaluation.people.study_file import StudyFile
    from rostrum.trainer.evaluation.people.study_power import power_record, power_sentences

    made = StudyFile(runs=tuple(map(str, folders)), seed=config.seed, people=config.people)
    made.write(folder)
    design, wanted = new_study.design_of(chosen, len(conditions), config.people), new_study.cost(chosen, config.people)
    checks = config.people.check
    power = {} if checks else power_record(design)  # a study that checks a model compares no conditions
    connection = database.connect(folder)
    study_lock.declare(folder, connection, made, power)
    connection.close()
    judged = sum(each.phase == "main" for each in chosen)
    told = [
        f"{folder}: {judged} debates by which people check {checks}, half of them at random, "
        f"{config.people.verdicts} verdicts each."
        if checks
        else f"{folder}: {judged} debates on {config.people.questions} questions under {len(conditions)} conditions, "
        f"{config.people.verdicts} verdicts each.",
        f"With training and qualification of {config.people.judges} people that is {wanted['verdicts']} verdicts, "
        f"about {wanted['hours']:.1f} hours and ${wanted['dollars']:,.0f}.",
        *([] if checks else power_sentences(design, power)),
    ]
    possible, all_, enough = new_study.possible(chosen, config.people.judges)
    if possible < all_:
        told.append(
            f"Nobody meets a question twice, so {config.people.judges} people can give {possible} of these "
            f"{all_} verdicts of the main phase: people.judges={enough} can give all."
        )
    return told


def _next(folder: Path) -> str:
    return f"Declared in {folder}/protocol.lock. Try it with scripted judges: rostrum people rehearse {folder}."


def take_over(words: Sequence[str]) -> list[str]:
    """Make a study's folder from a file of published human debates; return what there is to say of it.

    Raises:
        LaunchError: the words name no file and folder.
        StudyError: the file cannot be used; the first row that is wrong is named.
    """
    rest, output = take(words, "output")
    rest, shape = take(rest, "format")
    rest, file = take(rest, "file")
    if output is None or shape is None or file is None:
        raise LaunchError("Name folder and file: rostrum people import output=STUDY format=khan|nyu file=FILE.jsonl.")
    if strange := [word for word in rest if not word.startswith("people.purpose=")]:
        raise LaunchError(f"{strange[0]} is not known here: only people.purpose can be given.")
    config, folder = compose.load(rest), Path(output)
    from rostrum.trainer.evaluation.people import published
    from rostrum.trainer.evaluation.people.study_file import StudyFile

    judged, one_sided = published.read(Path(file), shape)
    with saved.reserved(folder):
        saved.check_new(folder)
        twice = published.write(folder, judged, Path(file).name, time.time())
        StudyFile(runs=(file,), seed=config.seed, people=config.people).write(folder)
    return [
        f"{folder}: {len(judged) - twice} verdicts of people on published debates; left out were {one_sided} rows in "
        f"which only one side speaks, and {twice} of people who had judged the question before.",
        f"Hold a judge against them: rostrum audit judge=NAME people.study={folder} output=FOLDER.",
    ]
