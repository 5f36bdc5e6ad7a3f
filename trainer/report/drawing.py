"""A drawing with the numbers it was drawn from: what a page shows, and what is stored beside it as SVG and CSV."""

import csv
import io
from dataclasses import dataclass

from markupsafe import Markup

from rostrum.trainer.report.svg import element

Cell = str | float | None
SWATCH = 28.0, 16.0
"""Width and height of the picture in an entry of a key, in pixels."""


@dataclass(frozen=True, slots=True)
class Table:
    """The numbers of a drawing, one row per point, bar or cell; None where there is none."""

    columns: tuple[str, ...]
    rows: tuple[tuple[Cell, ...], ...]

    def csv(self) -> str:
        """Return the table as RFC 4180 asks for it; columns without a single value are left out."""
        filled = [place for place in range(len(self.columns)) if any(row[place] not in (None, "") for row in self.rows)]
        text = io.StringIO()
        writer = csv.writer(text, lineterminator="\r\n")
        writer.writerow([self.columns[place] for place in filled])
        writer.writerows(["" if row[place] is None else row[place] for place in filled] for row in self.rows)
        return text.getvalue()


@dataclass(frozen=True, slots=True)
class Entry:
    """What one name in the key stands for: a picture of `SWATCH` size."""

    name: str
    swatch: Markup


@dataclass(frozen=True, slots=True)
class Drawing:
    """SVG elements in an area of `size` pixels. In a template it stands for the `svg` element on the page."""

    description: str
    """What a screen reader says in place of the picture."""
    parts: Markup
    size: tuple[float, float]
    table: Table
    key: tuple[Entry, ...] = ()
    class_: str = "chart"

    @property
    def svg(self) -> Markup:
        """The picture as an element of a page, whose style sheet colours it."""
        width, height = self.size
        return element(
            "svg",
            self.parts,
            viewBox=f"0 0 {width:g} {height:g}",
            role="img",
            aria_label=self.description,
            class_=self.class_,
        )

    def __html__(self) -> str:
        return self.svg


def key_list(entries: tuple[Entry, ...]) -> Markup:
    """Return the key as an HTML list; nothing without entries."""
    return element("ul", *(_item(entry) for entry in entries), class_="legend") if entries else Markup()


def _item(entry: Entry) -> Markup:
    width, height = SWATCH
    picture = element(
        "svg",
        entry.swatch,
        viewBox=f"0 0 {width:g} {height:g}",
        width=f"{width:g}",
        height=f"{height:g}",
        aria_hidden="true",
    )
    return element("li", picture, element("span", Markup.escape(entry.name)))
