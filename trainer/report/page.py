"""Puts the report together: `write_report` is all that the rest of the project needs."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pandas as pd
from markupsafe import Markup

from rostrum.envs.files import write_atomically
from rostrum.trainer.report.album import Album
from rostrum.trainer.report.arms import arm_page as arms
from rostrum.trainer.report.arms.tournaments import tournaments
from rostrum.trainer.report.attacks import attack_maps
from rostrum.trainer.report.compared import compared
from rostrum.trainer.report.costs import costs
from rostrum.trainer.report.curves import training_curves
from rostrum.trainer.report.debates import browser_data
from rostrum.trainer.report.html import content_policy, environment, resource
from rostrum.trainer.report.inputs import Run, read_run
from rostrum.trainer.report.monitor_curves import alarms, monitor_curves
from rostrum.trainer.report.packed import packed
from rostrum.trainer.report.people_section import people_curves, reliability
from rostrum.trainer.report.scatter import accuracy_against_win_rate


def write_report(run: Path) -> Path:
    """Read a run folder and write `run/report.html`, a page for each arm in `run/pages`, and the figures on them as
    files in `run/figures`. The pages load nothing from anywhere.

    Raises ReportError if the run has not been evaluated or one of its files cannot be understood.
    """
    album, read, report = Album(), read_run(run), run / "report.html"
    verdicts, played = arms.verdicts_of(run), tournaments(run)
    for arm, name in zip(read.summary.arms, arms.names(read.summary.arms).values(), strict=True):
        found = arms.find(read, arm, verdicts, played)
        write_atomically(run / arms.FOLDER / name, render_arm(arms.context(read, arm, found, album)))
    write_atomically(report, render(read, verdicts, album))
    album.write(run)
    return report


def render_arm(context: Mapping[str, Any]) -> str:
    """Return the page of an arm as HTML text."""
    style, script = Markup(resource("report.css")), Markup(resource("report.js"))
    template = environment().get_template("arm.html.j2")
    return template.render(**context, style=style, script=script, policy=content_policy(style, script))


def render(run: Run, verdicts: pd.DataFrame | None, album: Album) -> str:
    """Return the front page as HTML text; its figures go into the album."""
    style, script = Markup(resource("report.css")), Markup(resource("report.js"))
    return (
        environment()
        .get_template("template.html.j2")
        .render(
            run=run,
            summary=run.summary,
            manifest=run.manifest,
            config=_pretty(run.manifest.config),
            versions=_pretty(run.manifest.versions),
            compared=compared(run.summary, verdicts),
            curves=training_curves(run),
            costs=costs(run),
            judged=people_curves(run),
            reliable=reliability(run.people),
            attacked=attack_maps(run),
            watched=monitor_curves(run),
            alarms=alarms(run),
            scatters=accuracy_against_win_rate(run),
            figure=album.shown(),
            pages=arms.names(run.summary.arms),
            blocks=packed(browser_data(run.debates)),
            style=style,
            script=script,
            policy=content_policy(style, script),
        )
    )


def _pretty(values: dict[str, Any]) -> str:
    return json.dumps(values, indent=2, ensure_ascii=False) if values else ""
