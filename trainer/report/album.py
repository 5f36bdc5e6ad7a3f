"""Every figure of a set of pages once more as files: figures/NAME.svg, readable without the page, and figures/NAME.csv.

A page shows a figure by `Album.shown`, which links to both files; `Album.write` writes them.
"""

import re
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from importlib.resources import files
from pathlib import Path

from markupsafe import Markup

from rostrum.envs.files import write_atomically
from rostrum.trainer.report.drawing import SWATCH, Drawing, Entry, key_list
from rostrum.trainer.report.svg import element

FOLDER = "figures"
LONGEST = 100
"""Characters of a file name, extension not counted."""
TITLE, LINE, MARGIN = 26.0, 20.0, 10.0
"""Heights of the title and of a line of the key in a stored figure, and its margin, in pixels."""
LETTER = 7.6
"""Width of a letter of the title, in pixels: a figure is made wide enough for its title by this estimate."""
Show = Callable[..., Markup]
"""Shows a drawing under a title made of words, most general first: (drawing or None, *words) -> markup of the page."""


@dataclass(slots=True)
class Album:
    """The figures of pages that are written into one folder; the name of each follows from its title."""

    drawings: dict[str, tuple[str, Drawing]] = field(default_factory=dict)
    """Title and drawing, by file name without extension."""

    def shown(self, path: str = "") -> Show:
        """Return what a page shows its figures with; `path` leads from the page's folder to the one that holds
        figures/."""
        return partial(self._show, f"{path}{FOLDER}")

    def write(self, folder: Path) -> None:
        """Write all figures into `folder`/figures."""
        for name, (title, drawing) in self.drawings.items():
            write_atomically(folder / FOLDER / f"{name}.svg", standalone(title, drawing))
            write_atomically(folder / FOLDER / f"{name}.csv", drawing.table.csv())

    def _show(self, path: str, drawing: Drawing | None, *words: str) -> Markup:
        if drawing is None:
            return Markup()
        title = ", ".join(words)
        name = self._name("-".join(words))
        self.drawings[name] = title, drawing
        links = [
            element("a", Markup.escape(label), href=f"{path}/{name}.{kind}", aria_label=f"{title}, {spoken}")
            for kind, label, spoken in (("svg", "SVG", "as SVG"), ("csv", "CSV", "its data as CSV"))
        ]
        return drawing.svg + key_list(drawing.key) + element("p", links[0], Markup(" "), links[1], class_="files")

    def _name(self, words: str) -> str:
        """Return a file name of small letters, digits and hyphens that no other figure has."""
        plain = re.sub(r"[^a-z0-9]+", "-", words.lower()).strip("-")[:LONGEST].rstrip("-") or "figure"
        taken, number = plain, 2
        while taken in self.drawings:
            taken, number = f"{plain}-{number}", number + 1
        return taken


def standalone(title: str, drawing: Drawing) -> str:
    """Return an SVG file with title and key. Its colours are those of the light page, written out: many programs that
    place SVG in a document know neither style sheets outside it nor variables in them."""
    width = max(drawing.size[0], len(title) * LETTER + 2 * MARGIN)
    key = _key(drawing.key, width)
    height = TITLE + drawing.size[1] + (len(key) + 0.5) * LINE * bool(key)
    style = (files("rostrum.trainer.report") / "figure.css").read_text("utf-8")
    lines = [_line(line, TITLE + drawing.size[1] + row * LINE) for row, line in enumerate(key)]
    return str(
        element(
            "svg",
            element("title", Markup.escape(title)),
            element("desc", Markup.escape(drawing.description)),
            element("style", Markup(style)),
            element("rect", width="100%", height="100%", fill="#ffffff"),
            element("text", Markup.escape(title), x=MARGIN, y=18, class_="title"),
            element("g", drawing.parts, transform=f"translate(0 {TITLE:g})", class_=drawing.class_),
            *lines,
            xmlns="http://www.w3.org/2000/svg",
            viewBox=f"0 0 {width:g} {height:g}",
            width=f"{width:g}",
            height=f"{height:g}",
            role="img",
        )
    )


def _key(entries: tuple[Entry, ...], width: float) -> list[list[tuple[float, Entry]]]:
    """Return the entries in lines as wide as the figure, each with its place across."""
    lines: list[list[tuple[float, Entry]]] = []
    across = width
    for entry in entries:
        wide = SWATCH[0] + 6 + len(entry.name) * LETTER + 14
        if across + wide > width:
            lines.append([])
            across = MARGIN
        lines[-1].append((across, entry))
        across += wide
    return lines


def _line(line: list[tuple[float, Entry]], down: float) -> Markup:
    drawn = [
        element("g", entry.swatch, transform=f"translate({across:g} {down:g})")
        + element("text", Markup.escape(entry.name), x=across + SWATCH[0] + 6, y=down + 12, class_="key")
        for across, entry in line
    ]
    return element("g", *drawn)
