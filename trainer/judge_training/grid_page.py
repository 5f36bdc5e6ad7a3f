"""grid.json, grid.svg and grid.html: the rounds' result as numbers, as a picture, and as a page that explains it."""

import json
from collections.abc import Mapping, Sequence
from importlib.resources import files
from pathlib import Path
from typing import Any

from jinja2 import Environment, StrictUndefined
from markupsafe import Markup

from rostrum.envs.files import write_atomically
from rostrum.trainer.judge_training.grid import COMPARISONS
from rostrum.trainer.records import jsonable
from rostrum.trainer.report import wording
from rostrum.trainer.report.album import Album, standalone
from rostrum.trainer.report.drawing import Drawing
from rostrum.trainer.report.heat_map import Labels, heat_map
from rostrum.trainer.report.html import hash_source

STYLE = ".grid-map { display: block; width: 100%; max-width: 44rem; height: auto; color: var(--ink); }\n"
TITLE = "Judge accuracy, every judge against every round's debaters"


def write(folder: Path, title: str, grid: Mapping[str, Any], rounds: Sequence[Mapping[str, Any]], played: int) -> None:
    """Write the three files, and figures/. `rounds` tell of each retrained judge; `played` is the questions that its
    debaters played."""
    record = jsonable({"title": title, **grid, "rounds": list(rounds)})
    picture = draw(record["cells"])
    write_atomically(folder / "grid.json", json.dumps(record, indent=1))
    album = Album()
    write_atomically(folder / "grid.svg", standalone(TITLE, picture))
    write_atomically(folder / "grid.html", _page(title, record, picture, album, played))
    album.write(folder)


def draw(cells: Sequence[Sequence[Mapping[str, Any]]]) -> Drawing:
    """Draw judges down, debaters across; judges on debaters who were trained against them are framed."""
    judges, debaters = range(len(cells)), range(len(cells[0]))
    labels = Labels(
        [(f"judge {j}", "the original" if j == 0 else f"retrained, round {j}") for j in judges],
        [(f"debaters {d}", "before training" if d == 0 else f"against judge {d - 1}") for d in debaters],
        across="debates of",
        key="judge is right in",
        title="Judge accuracy",
        between="on",
        empty="no verdict",
        framed="debaters who were trained against this very judge",
    )
    return heat_map(cells, labels, framed=[(j, j + 1) for j in judges])


def _page(title: str, record: Mapping[str, Any], picture: Drawing, album: Album, played: int) -> str:
    environment = Environment(autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True)
    environment.filters.update({f.__name__: f for f in (wording.percent, wording.points, wording.p_value)})
    environment.globals.update(points_range=wording.points_range)
    style = Markup((files("rostrum.trainer.report") / "report.css").read_text("utf-8") + STYLE)
    template = environment.from_string((files("rostrum.trainer.judge_training") / "grid.html.j2").read_text("utf-8"))
    policy = f"default-src 'none'; style-src {hash_source(style)}; base-uri 'none'; form-action 'none'"
    return template.render(
        title=title,
        grid=record,
        rounds=record["rounds"],
        picture=picture,
        comparisons=COMPARISONS,
        questions=played,
        style=style,
        policy=policy,
        heading=TITLE,
        figure=album.shown(),
    )
