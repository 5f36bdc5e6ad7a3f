"""`rostrum audit`: is the judge worth training against?"""

import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rich.table import Table
from rich.text import Text

from rostrum.launch import compose, environment, figures, saved
from rostrum.launch.arguments import take, take_dry_run, tell_dry_run
from rostrum.launch.errors import LaunchError, continued_with
from rostrum.launch.results import WIDTH, show_root
from rostrum.trainer.config import Config
from rostrum.trainer.evaluation.preregistration import hashes
from rostrum.trainer.store.run_folder import RunFolder
from rostrum.trainer.terminal import Console

if TYPE_CHECKING:
    from rostrum.rewards.labelled import Labelled

OUTPUT = "runs/audit"
"""Where an audit is written if nothing else is said."""
SETTINGS = "audit.yaml"
SAME_DEBATES = ("questions", "protocol", "debater", "seed", "audit.questions", "audit.debates", "people.study")
"""Keys in which an audit that is gone on with must agree with what is in its folder."""


def audit(overrides: Sequence[str]) -> int:
    """Audit the configured judges and write audit.json, audit.html, debates.jsonl and verdicts.jsonl.

    Raises:
        LaunchError: nothing could be measured of a judge; what was found of the others is written all the same.
    """
    rest, output = take(overrides, "output")
    rest, dry = take_dry_run(rest)
    config = compose.load([*rest, f"output={output or OUTPUT}"])
    if dry:
        return tell_dry_run(_cost(config))
    with saved.reserved(config.output), continued_with(" ".join(["rostrum audit", *overrides])):
        environment.silence()
        from rostrum.launch import checks, context
        from rostrum.trainer import model_checks
        from rostrum.trainer.evaluation.judge_audit import audit_judges
        from rostrum.trainer.evaluation.judge_audit.arms import readers
        from rostrum.trainer.report.audit import write_audit
        from rostrum.trainer.run_context import RunContext

        known = RunContext(config)
        plays = config.audit.debates is None and config.people.study is None
        if plays:
            model_checks.check_model(config.debater.model)
        checks.check_judges(config.judge_models, known)
        if plays:
            context.check_context(known, judges=readers(config))
        stored = _go_on(config)
        checks.check_teachers(known, {debate.transcript.question.story_id for debate in stored} if stored else None)
        _tell_cost(config)
        record = audit_judges(config)
        page = write_audit(record, config.output / "audit.html")
        root = hashes.write(config.output)
    show(record, page)
    show_root(root)
    if unmeasured := [arm["unmeasured"] for arm in record["arms"] if arm["unmeasured"]]:
        raise LaunchError(" ".join(unmeasured))
    return 0


def _tell_cost(config: Config) -> None:
    if (cost := _cost(config)) is not None:
        from rostrum.trainer.progress import say

        say(cost)


def _cost(config: Config) -> str | None:
    """Return what endpoints will cost, in words; None where there is none."""
    if all(model.endpoint is None for model in config.judge_models):
        return None
    from rostrum.launch import audit_estimate, estimate

    return estimate.sentence([("the audit", audit_estimate.audit(config))])


def _go_on(config: Config) -> "list[Labelled]":
    """Refuse an output folder that holds something else than an audit of the same debates; return those that are stored
    already, none if they are to be played.

    Raises:
        LaunchError: the folder holds something else.
    """
    if RunFolder(config.output).config.exists():
        raise LaunchError(f"{config.output} holds a run: choose another output=FOLDER for the audit.")
    from rostrum.launch.context import check_stored
    from rostrum.trainer.evaluation.judge_audit.arms import readers
    from rostrum.trainer.evaluation.judge_audit.audited_debates import check as check_files

    before = config.output / SETTINGS
    if not before.exists():
        saved.check_new(config.output)
    if before.exists() and (key := _other_debates(compose.read(before), config)):
        raise LaunchError(f"{config.output} holds an audit with another {key}: choose another output=FOLDER.")
    stored = check_files(config)
    check_stored(readers(config), [debate.transcript for debate in stored])
    compose.save(config, before)
    return stored


def _other_debates(one: Config, other: Config) -> str | None:
    """Return the first key that decides which debates are read in which two configurations differ; None if they
    agree."""
    dumps = [config.model_dump(mode="json") for config in (one, other)]
    for key in SAME_DEBATES:
        section, _, name = key.partition(".")
        mine, theirs = (dump.get(section, {}).get(name) if name else dump[section] for dump in dumps)
        if mine != theirs:
            return key
    return None


def show(record: Mapping[str, Any], page: Path) -> None:
    """Print a table of the arms, each threshold with what was measured, and where the report is."""
    figures.keep("audit", record)
    from rostrum.trainer.report.audit import words

    table = Table(*(column.heading for column in words.COLUMNS))
    for arm in record["arms"]:
        table.add_row(*(Text(column.short(arm)) for column in words.COLUMNS))
    Console(width=None if sys.stdout.isatty() else WIDTH).print(table)
    console = Console(soft_wrap=True, markup=False, highlight=False)
    for arm in record["arms"]:
        console.print(f"{arm['name']}: {words.outcome(arm['passed'])}")
        for check in arm["checks"]:
            console.print(f"  {words.result(check):12} {words.sentence(check)}")
        if arm["unreadable"]:
            console.print(f"  a text that could not be read: {arm['unreadable']!r}")
    console.print(f"Report: {page}")
