"""A table of shares as a picture: a colour and the number in each cell."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from markupsafe import Markup

from rostrum.trainer.report.drawing import Cell, Drawing, Table
from rostrum.trainer.report.svg import element

WIDE, HIGH = 128.0, 64.0
"""Size of a cell, in pixels; long names make it wider."""
LEFT, TOP = 150.0, 70.0
FOOT = 74.0
LETTER = 7.6
"""Width of a bold letter, in pixels; names are given room by this estimate."""
FOOLED, EVEN, RIGHT = (178, 69, 11), (250, 248, 240), (11, 98, 168)
"""Colours of 0, one half, and 1."""
INK, PALE = "#1d1f22", "#ffffff"

Head = tuple[str, str]
"""What stands before a row or above a column: a name and a note under it."""


@dataclass(frozen=True, slots=True)
class Labels:
    """The words of a picture."""

    rows: Sequence[Head]
    columns: Sequence[Head]
    across: str
    """What the columns are, above them."""
    key: str
    """What the colours are shares of, before the scale."""
    title: str
    """How a screen reader's description begins."""
    between: str
    """What it says between the name of a row and that of a column."""
    empty: str
    """What stands in a cell without a number."""
    framed: str = ""
    """What a dashed frame means."""


@dataclass(frozen=True, slots=True)
class _Look:
    left: float
    wide: float
    high: float
    turned: bool
    """Whether a high share has the colour that otherwise a low one has."""


def heat_map(
    cells: Sequence[Sequence[Mapping[str, Any]]],
    labels: Labels,
    framed: Collection[tuple[int, int]] = (),
    high: float = HIGH,
    turned: bool = False,
) -> Drawing:
    """Draw a share of one in each cell (row by row, `estimate`, `low` and `high`), with its 95 % interval if there is
    room for it.

    `framed` are the (row, column) that get a dashed frame; `high` is the height of a cell, in pixels. With `turned`
    a high share is the worrying one.
    """
    look = _look(labels, high, turned)
    drawn = _heads(labels, look)
    for j, row in enumerate(cells):
        for d, found in enumerate(row):
            x, y = look.left + d * look.wide, TOP + j * high
            drawn += _cell(found, x, y, look, labels.empty, framed=(j, d) in framed)
    bottom = TOP + len(cells) * high
    drawn += [*_key(bottom, look, labels.key), *(_frame_key(bottom, look.left, labels.framed) if framed else ())]
    width, height = look.left + len(labels.columns) * look.wide + 12, bottom + FOOT
    return Drawing(
        _spoken(cells, labels), Markup("").join(drawn), (width, height), _table(cells, labels), class_="grid-map"
    )


def _table(cells: Sequence[Sequence[Mapping[str, Any]]], labels: Labels) -> Table:
    rows: list[tuple[Cell, ...]] = [
        (" ".join(row), " ".join(column), one["estimate"], one["low"], one["high"])
        for row, found in zip(labels.rows, cells, strict=True)
        for column, one in zip(labels.columns, found, strict=True)
    ]
    return Table(("row", "column", "share", "low", "high"), tuple(rows))


def _look(labels: Labels, high: float, turned: bool) -> _Look:
    left, wide = (LETTER * max(len(name) for name, _ in heads) for heads in (labels.rows, labels.columns))
    return _Look(max(LEFT, left + 24), max(WIDE, wide + 8), high, turned)


def _heads(labels: Labels, look: _Look) -> list[Markup]:
    drawn = [_words(look.left + len(labels.columns) * look.wide / 2, 18, labels.across, "middle", size=13)]
    for d, (name, note) in enumerate(labels.columns):
        across = look.left + (d + 0.5) * look.wide
        drawn += [_words(across, 40, name, "middle", bold=True), _words(across, 57, note, "middle")]
    for j, (name, note) in enumerate(labels.rows):
        down = TOP + (j + 0.5) * look.high
        drawn += [
            _words(look.left - 12, down - 3 if note else down + 5, name, "end", bold=True),
            _words(look.left - 12, down + 14, note, "end"),
        ]
    return drawn


def _cell(found: Mapping[str, Any], x: float, y: float, look: _Look, empty: str, framed: bool) -> list[Markup]:
    share, wide, high = found["estimate"], look.wide, look.high
    if share is None:
        return [_box(x, y, look, "none"), _words(x + wide / 2, y + high / 2 + 4, empty, "middle")]
    colour = tuple(round(v) for v in colour_of(1 - share if look.turned else share))
    fill = PALE if sum(colour) < 380 else INK
    roomy = high >= HIGH
    parts = [_box(x, y, look, f"rgb{colour}")]
    down, size = (29, 17) if roomy else (high / 2 + 5, 14)
    parts.append(_words(x + wide / 2, y + down, f"{100 * share:.1f} %", "middle", bold=True, size=size, fill=fill))
    if roomy and found["low"] is not None:
        interval = f"{100 * found['low']:.1f} to {100 * found['high']:.1f}"
        parts.append(_words(x + wide / 2, y + 48, interval, "middle", size=12, fill=fill))
    if framed:
        parts.append(
            element(
                "rect",
                x=x + 4,
                y=y + 4,
                width=wide - 8,
                height=high - 8,
                fill="none",
                stroke=fill,
                stroke_width="2",
                stroke_dasharray="5 3",
            )
        )
    return parts


def colour_of(share: float) -> tuple[float, float, float]:
    """Return the colour (red, green, blue) of a share, from 0 over one half to 1; fully coloured from .2 and .9 on."""
    end, depth = (RIGHT, (share - 0.5) / 0.4) if share >= 0.5 else (FOOLED, (0.5 - share) / 0.3)
    depth = min(depth, 1.0)
    red, green, blue = (a + (b - a) * depth for a, b in zip(EVEN, end, strict=True))
    return red, green, blue


def _box(x: float, y: float, look: _Look, fill: str) -> Markup:
    return element("rect", x=x + 1, y=y + 1, width=look.wide - 2, height=look.high - 2, fill=fill, rx="4")


def _key(top: float, look: _Look, words: str) -> list[Markup]:
    """Return what colours mean."""
    drawn = [_words(look.left - 12, top + 27, words, "end")]
    for index, tenths in enumerate(range(1, 9) if look.turned else range(2, 10)):
        share = tenths / 10
        colour = tuple(round(v) for v in colour_of(1 - share if look.turned else share))
        x = look.left + index * 44
        drawn.append(element("rect", x=x, y=top + 16, width=44, height=12, fill=f"rgb{colour}"))
        drawn.append(_words(x + 22, top + 43, f"{100 * share:.0f} %", "middle", size=11))
    return drawn


def _frame_key(top: float, left: float, words: str) -> list[Markup]:
    frame = element(
        "rect",
        x=left,
        y=top + 54,
        width=20,
        height=12,
        fill="none",
        stroke="currentColor",
        stroke_width="1.5",
        stroke_dasharray="4 2",
    )
    return [frame, _words(left + 28, top + 64, words, "start")]


def _words(
    x: float, y: float, text: str, anchor: str, bold: bool = False, size: int = 12, fill: str = "currentColor"
) -> Markup:
    weight = "650" if bold else "400"
    return element(
        "text", Markup.escape(text), x=x, y=y, text_anchor=anchor, font_size=str(size), font_weight=weight, fill=fill
    )


def _spoken(cells: Sequence[Sequence[Mapping[str, Any]]], labels: Labels) -> str:
    said = [
        f"{' '.join(filter(None, row))} {labels.between} {' '.join(filter(None, column))}: {100 * c['estimate']:.1f} %"
        for row, found in zip(labels.rows, cells, strict=True)
        for column, c in zip(labels.columns, found, strict=True)
        if c["estimate"] is not None
    ]
    return f"{labels.title}. " + "; ".join(said)
