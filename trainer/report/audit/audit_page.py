"""Puts the page of an audit together from audit.json: a head, the table of judges, and a partial for each section."""

import json
from collections.abc import Mapping
from importlib.resources import files
from pathlib import Path
from typing import Any

from jinja2 import Environment, FunctionLoader, StrictUndefined
from markupsafe import Markup

from rostrum.envs.files import write_atomically
from rostrum.rewards.audit.sections import SECTIONS
from rostrum.trainer.report import wording as shared
from rostrum.trainer.report.album import Album
from rostrum.trainer.report.audit import pictures, words
from rostrum.trainer.report.html import content_policy

WORDS = (
    words.found,
    words.share,
    words.share_range,
    words.change,
    words.change_range,
    words.number,
    words.outcome,
    words.result,
    words.asked,
    words.measured,
    shared.p_value,
    shared.percent,
)
DRAWINGS = (
    pictures.estimates,
    pictures.several,
    pictures.both_orders,
    pictures.reliability,
    pictures.selective,
    pictures.thirds,
    pictures.histograms,
    pictures.routes,
)


def write_audit(record: Mapping[str, Any], path: Path) -> Path:
    """Write the page of an audit (the contents of audit.json), which loads nothing from anywhere, and figures/."""
    album = Album()
    write_atomically(path, render(record, album))
    album.write(path.parent)
    return path


def render(record: Mapping[str, Any], album: Album) -> str:
    """Return the page as HTML text; its figures go into the album."""
    style = Markup((files("rostrum.trainer.report") / "report.css").read_text("utf-8") + _resource("audit.css"))
    measured = [name for name in SECTIONS if any(words.found(arm, name) for arm in record["arms"])]
    template = _environment().get_template("template.html.j2")
    return template.render(
        record=record,
        arms=record["arms"],
        columns=words.COLUMNS,
        sections=measured,
        style=style,
        figure=album.shown(),
        policy=content_policy(style, ""),
        options=json.dumps(record["options"], indent=1, ensure_ascii=False),
    )


def _environment() -> Environment:
    environment = Environment(
        loader=FunctionLoader(_resource),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.globals.update({function.__name__: function for function in (*WORDS, *DRAWINGS)})
    return environment


def _resource(name: str) -> str:
    return (files("rostrum.trainer.report.audit") / name).read_text("utf-8")
