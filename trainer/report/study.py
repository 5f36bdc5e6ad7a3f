"""study.html and study.json: the answer for each protocol over its training seeds, with ratings and all runs below."""

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from markupsafe import Markup

from rostrum.envs.files import write_atomically
from rostrum.trainer.evaluation.summary import Summary
from rostrum.trainer.report.ablation_page import STYLE, picture
from rostrum.trainer.report.album import Album
from rostrum.trainer.report.drawing import Drawing
from rostrum.trainer.report.html import content_policy, environment, resource
from rostrum.trainer.report.tournament_page import accuracy_against_rating


def write_study(
    folder: Path, title: str, summary: Summary, cells: Mapping[str, Any], tournament: Mapping[str, Any]
) -> Path:
    """Write both files; return the page, which loads nothing.

    `summary` is that of the experiment (`trainer.report.experiment_report.report`), `cells` what
    `trainer.evaluation.comparisons.ablation.compare` found, `tournament` what tournament.json holds.
    """
    stored = {"title": title, "summary": summary.stored(), "cells": cells, "tournament": tournament}
    write_atomically(folder / "study.json", json.dumps(stored, indent=1))
    style, album = Markup(resource("report.css") + STYLE), Album()
    page = (
        environment()
        .get_template("study.html.j2")
        .render(
            title=title,
            summary=summary,
            pooled=cells["pooled"],
            cells=cells,
            picture=picture(cells),
            slopes=list(slopes(tournament)),
            figure=album.shown(),
            style=style,
            policy=content_policy(style, ""),
        )
    )
    album.write(folder)
    path = folder / "study.html"
    write_atomically(path, page)
    return path


def slopes(tournament: Mapping[str, Any]) -> Iterator[tuple[str, Mapping[str, Mapping[str, Any] | None], Drawing]]:
    """Yield for each judge the slope of accuracy on rating by protocol, and the picture of all of them."""
    groups = tournament["groups"]
    for judge in next(iter(groups.values()))["judges"]:
        found = {name: group["judges"][judge]["slope"] for name, group in groups.items()}
        yield judge, found, accuracy_against_rating(judge, groups, tournament["anchor"])
