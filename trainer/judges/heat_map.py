"""The grid as a picture: judges down, debaters across, a colour and the number in each cell."""

from collections.abc import Mapping, Sequence
from typing import Any

from markupsafe import Markup

from trainer.report.drawing import Cell, Drawing, Table
from trainer.report.svg import element

WIDE, HIGH = 128.0, 64.0
"""Size of a cell, in pixels."""
LEFT, TOP = 150.0, 70.0
FOOT = 74.0
FOOLED, EVEN, RIGHT = (178, 69, 11), (250, 248, 240), (11, 98, 168)
"""Colours of 0, one half, and 1: below one half the judge does worse than a coin."""
INK, PALE = "#1d1f22", "#ffffff"


def heat_map(cells: Sequence[Sequence[Mapping[str, Any]]]) -> Drawing:
    """Accuracy of each judge (row) on the debates of each set of debaters (column), with its 95 % interval."""
    rows, columns = len(cells), len(cells[0])
    drawn = [_words((LEFT + columns * WIDE / 2), 18, "debates of", "middle", size=13)]
    for d in range(columns):
        across = LEFT + (d + 0.5) * WIDE
        drawn += [_words(across, 40, f"debaters {d}", "middle", bold=True), _words(across, 57, _trained(d), "middle")]
    for j, row in enumerate(cells):
        down = TOP + (j + 0.5) * HIGH
        drawn += [
            _words(LEFT - 12, down - 3, f"judge {j}", "end", bold=True),
            _words(LEFT - 12, down + 14, "the original" if j == 0 else f"retrained, round {j}", "end"),
        ]  # fmt: skip
        for d, found in enumerate(row):
            drawn += _cell(found, LEFT + d * WIDE, TOP + j * HIGH, own=d == j + 1)
    drawn += _key(TOP + rows * HIGH)
    width, height = LEFT + columns * WIDE + 12, TOP + rows * HIGH + FOOT
    return Drawing(_spoken(cells), Markup("").join(drawn), (width, height), _table(cells), class_="grid-map")


def _table(cells: Sequence[Sequence[Mapping[str, Any]]]) -> Table:
    rows: list[tuple[Cell, ...]] = [
        (j, d, found["estimate"], found["low"], found["high"])
        for j, row in enumerate(cells)
        for d, found in enumerate(row)
    ]
    return Table(("judge", "debaters", "accuracy", "low", "high"), tuple(rows))


def _trained(debaters: int) -> str:
    return "before training" if debaters == 0 else f"against judge {debaters - 1}"


def _cell(found: Mapping[str, Any], x: float, y: float, own: bool) -> list[Markup]:
    share = found["estimate"]
    if share is None:
        return [_box(x, y, "none"), _words(x + WIDE / 2, y + HIGH / 2 + 4, "no verdict", "middle")]
    colour = tuple(round(v) for v in colour_of(share))
    fill = PALE if sum(colour) < 380 else INK
    parts = [_box(x, y, f"rgb{colour}")]
    parts.append(_words(x + WIDE / 2, y + 29, f"{100 * share:.1f} %", "middle", bold=True, size=17, fill=fill))
    if found["low"] is not None:
        interval = f"{100 * found['low']:.1f} to {100 * found['high']:.1f}"
        parts.append(_words(x + WIDE / 2, y + 48, interval, "middle", size=12, fill=fill))
    if own:
        parts.append(
            element("rect", x=x + 4, y=y + 4, width=WIDE - 8, height=HIGH - 8, fill="none", stroke=fill,
                    stroke_width="2", stroke_dasharray="5 3")
        )  # fmt: skip
    return parts


def colour_of(share: float) -> tuple[float, float, float]:
    """The colour (red, green, blue) of an accuracy, from 0 over one half to 1; fully coloured from .2 and .9 on."""
    end, depth = (RIGHT, (share - 0.5) / 0.4) if share >= 0.5 else (FOOLED, (0.5 - share) / 0.3)
    depth = min(depth, 1.0)
    red, green, blue = (a + (b - a) * depth for a, b in zip(EVEN, end, strict=True))
    return red, green, blue


def _box(x: float, y: float, fill: str) -> Markup:
    return element("rect", x=x + 1, y=y + 1, width=WIDE - 2, height=HIGH - 2, fill=fill, rx="4")


def _key(top: float) -> list[Markup]:
    """What colours and the dashed frame mean."""
    shares = (0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9)
    drawn = []
    for index, share in enumerate(shares):
        colour = tuple(round(v) for v in colour_of(share))
        x = LEFT + index * 44
        drawn.append(element("rect", x=x, y=top + 16, width=44, height=12, fill=f"rgb{colour}"))
        drawn.append(_words(x + 22, top + 43, f"{100 * share:.0f} %", "middle", size=11))
    drawn.append(_words(LEFT - 12, top + 27, "judge is right in", "end"))
    drawn.append(
        element("rect", x=LEFT, y=top + 54, width=20, height=12, fill="none", stroke="currentColor",
                stroke_width="1.5", stroke_dasharray="4 2")
    )  # fmt: skip
    drawn.append(_words(LEFT + 28, top + 64, "debaters who were trained against this very judge", "start"))
    return drawn


def _words(
    x: float, y: float, text: str, anchor: str, bold: bool = False, size: int = 12, fill: str = "currentColor"
) -> Markup:  # fmt: skip
    weight = "650" if bold else "400"
    return element(
        "text", Markup.escape(text), x=x, y=y, text_anchor=anchor, font_size=str(size), font_weight=weight, fill=fill
    )


def _spoken(cells: Sequence[Sequence[Mapping[str, Any]]]) -> str:
    said = [
        f"judge {j} on debaters {d}: " + ("no verdict" if c["estimate"] is None else f"{100 * c['estimate']:.1f} %")
        for j, row in enumerate(cells)
        for d, c in enumerate(row)
    ]
    return "Judge accuracy. " + "; ".join(said)
