"""Puts the report together: `write_report` is all that the rest of the project needs."""

import base64
import hashlib
import json
from importlib.resources import files
from pathlib import Path
from typing import Any

from jinja2 import Environment, FunctionLoader, StrictUndefined
from markupsafe import Markup

from trainer.report import wording
from trainer.report.album import Album
from trainer.report.curves import training_curves
from trainer.report.debates import browser_data, script_json
from trainer.report.inputs import Run, read_run
from trainer.report.scatter import accuracy_against_win_rate
from trainer.report.watch import alarms, watch_curves


def write_report(run: Path) -> Path:
    """Read a run folder and write `run/report.html`, which loads nothing from anywhere, and the figures on it as files.

    Raises ReportError if the run has not been evaluated or one of its files cannot be understood.
    """
    album = Album()
    report = run / "report.html"
    report.write_text(render(read_run(run), album), encoding="utf-8", newline="\n")
    album.write(run)
    return report


def render(run: Run, album: Album) -> str:
    """The front page as HTML text; its figures go into the album."""
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
            curves=training_curves(run),
            watched=watch_curves(run),
            alarms=alarms(run),
            scatters=accuracy_against_win_rate(run),
            figure=album.shown(),
            data=script_json(browser_data(run.debates)),
            style=style,
            script=script,
            policy=content_policy(style, script),
        )
    )


def environment() -> Environment:
    environment = Environment(
        loader=FunctionLoader(resource),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    filters = (wording.signed, wording.percent, wording.points, wording.decimal, wording.p_value, wording.outcome)
    environment.filters.update({function.__name__: function for function in filters})
    words = (
        wording.percent_range,
        wording.points_range,
        wording.overall,
        wording.smallest_change,
        wording.other_judges,
        wording.primary,
        wording.after_correction,
        wording.corrected,
        wording.invalid_rows,
    )
    environment.globals.update({function.__name__: function for function in words})
    return environment


def resource(name: str) -> str:
    return (files("trainer.report") / name).read_text("utf-8")


def _pretty(values: dict[str, Any]) -> str:
    return json.dumps(values, indent=2, ensure_ascii=False) if values else ""


def content_policy(style: str, script: str) -> str:
    """A content security policy under which this style sheet and this script run, and nothing else loads or runs."""
    sources = f"style-src {hash_source(style)}; script-src {hash_source(script)}"
    return f"default-src 'none'; {sources}; base-uri 'none'; form-action 'none'"


def hash_source(text: str) -> str:
    """The source expression of a content security policy that lets exactly this style sheet or script in."""
    return f"'sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}'"
