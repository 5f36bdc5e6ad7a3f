"""study.html and study.json: the answer for each protocol over its training seeds, with ratings and all runs below."""

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from markupsafe import Markup

from trainer.report.ablation import STYLE, picture
from trainer.report.album import Album
from trainer.report.drawing import Drawing
from trainer.report.html import content_policy, environment, resource
from trainer.report.inputs import Summary
from trainer.report.tournament import accuracy_against_rating
from trainer.run_folder import write_atomically


def write_study(
    folder: Path, title: str, summary: Mapping[str, Any], cells: Mapping[str, Any], standings: Mapping[str, Any]
) -> Path:
    """Writes both files; returns the page, which loads nothing.

    `summary` is that of the experiment (`trainer.experiment.report`), `cells` what `trainer.ablation.compare` found,
    `standings` what each protocol's tournament did.
    """
    stored = {"title": title, "summary": summary, "cells": cells, "tournaments": standings}
    write_atomically(folder / "study.json", json.dumps(stored, indent=1))
    style, album = Markup(resource("report.css") + STYLE), Album()
    page = environment().get_template("study.html.j2").render(
        title=title, summary=Summary.model_validate(summary), pooled=cells["pooled"], picture=picture(cells),
        slopes=list(slopes(standings)), figure=album.shown(), style=style, policy=content_policy(style, ""),
    )  # fmt: skip
    album.write(folder)
    path = folder / "study.html"
    write_atomically(path, page)
    return path


def slopes(standings: Mapping[str, Any]) -> Iterator[tuple[str, str, Mapping[str, Any] | None, Drawing]]:
    """For each protocol and judge: the slope of accuracy on rating with its interval, and the picture of it."""
    for protocol, found in standings.items():
        for judge, one in found["judges"].items():
            yield protocol, judge, one["slope"], accuracy_against_rating(judge, one, found["anchor"])
