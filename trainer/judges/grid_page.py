"""grid.json, grid.svg and grid.html: the rounds' result as numbers, as a picture, and as a page that explains it."""

import json
from collections.abc import Mapping, Sequence
from importlib.resources import files
from pathlib import Path
from typing import Any

from jinja2 import Environment, StrictUndefined
from markupsafe import Markup

from trainer.judges.grid import COMPARISONS
from trainer.judges.heat_map import heat_map
from trainer.report import wording
from trainer.report.album import Album, standalone
from trainer.report.drawing import Drawing
from trainer.report.page import hash_source
from trainer.run_folder import write_atomically
from trainer.summary import jsonable

STYLE = ".grid-map { display: block; width: 100%; max-width: 44rem; height: auto; color: var(--ink); }\n"
TITLE = "Judge accuracy, every judge against every round's debaters"


def write(folder: Path, title: str, grid: Mapping[str, Any], rounds: Sequence[Mapping[str, Any]], played: int) -> None:
    """Writes the three files, and figures/. `rounds` tell of each retrained judge; `played` is the questions that its
    debaters played."""
    record = jsonable({"title": title, **grid, "rounds": list(rounds)})
    picture = heat_map(record["cells"])
    write_atomically(folder / "grid.json", json.dumps(record, indent=1))
    album = Album()
    write_atomically(folder / "grid.svg", standalone(TITLE, picture))
    write_atomically(folder / "grid.html", _page(title, record, picture, album, played))
    album.write(folder)


def _page(title: str, record: Mapping[str, Any], picture: Drawing, album: Album, played: int) -> str:
    environment = Environment(autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True)
    environment.filters.update({f.__name__: f for f in (wording.percent, wording.points, wording.p_value)})
    environment.globals.update(points_range=wording.points_range)
    style = Markup((files("trainer.report") / "report.css").read_text("utf-8") + STYLE)
    template = environment.from_string((files("trainer.judges") / "grid.html.j2").read_text("utf-8"))
    policy = f"default-src 'none'; style-src {hash_source(style)}; base-uri 'none'; form-action 'none'"
    return template.render(
        title=title, grid=record, rounds=record["rounds"], picture=picture, comparisons=COMPARISONS, questions=played,
        style=style, policy=policy, heading=TITLE, figure=album.shown(),
    )  # fmt: skip
