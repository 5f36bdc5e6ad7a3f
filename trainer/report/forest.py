"""Estimates with their intervals, row by row, several to a row: an inline SVG."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from markupsafe import Markup

from trainer.report.charts import Level
from trainer.report.svg import COLOURS, Axis, element, marker

RIGHT, TOP, BOTTOM = 24.0, 24.0, 40.0
"""Margins in pixels; the one on the left is as wide as the longest name."""
ROW, STEP, LETTER = 36.0, 11.0, 6.6
"""Height of a row, distance of the marks in it, and width of a letter, in pixels."""


@dataclass(frozen=True, slots=True)
class Mark:
    """An estimate and the ends of its interval; `slot` gives colour and shape."""

    slot: int
    value: float
    interval: tuple[float, float] | None
    hollow: bool = False


@dataclass(frozen=True, slots=True)
class Row:
    """What stands at one height."""

    name: str
    marks: Sequence[Mark]


def forest(description: str, x: Axis, rows: Sequence[Row], levels: Sequence[Level] = (), width: float = 720) -> Markup:
    """The rows from the top down; `levels` are labelled vertical lines. Values outside the axis are not drawn right:
    make it of all of them."""
    left = 18 + LETTER * max(len(row.name) for row in rows)
    height = TOP + ROW * len(rows) + BOTTOM

    def across(value: float) -> float:
        return left + x.place(value) * (width - left - RIGHT)

    bottom = height - BOTTOM
    drawn = [element("path", d=f"M{across(tick):.1f},{TOP:g}V{bottom:g}", class_="grid") for tick in x.ticks]
    drawn += [_text(across(tick), bottom + 18, x.text(tick), "middle") for tick in x.ticks]
    drawn.append(_text((left + width - RIGHT) / 2, height - 5, x.label, "middle", "axis-label"))
    for level in levels:
        drawn.append(element("path", d=f"M{across(level.value):.1f},{TOP:g}V{bottom:g}", class_="guide"))
        drawn.append(_text(across(level.value), TOP - 8, level.label, "middle", "guide-label"))
    for index, row in enumerate(rows):
        down = TOP + ROW * (index + 0.5)
        drawn.append(_text(left - 10, down + 4, row.name, "end"))
        places = [down + STEP * (place - (len(row.marks) - 1) / 2) for place in range(len(row.marks))]
        drawn += [part for mark, y in zip(row.marks, places, strict=True) for part in _mark(mark, y, across)]
    return element(
        "svg", *drawn, viewBox=f"0 0 {width:g} {height:g}", role="img", aria_label=description, class_="chart"
    )


def _mark(mark: Mark, down: float, across: Callable[[float], float]) -> Iterator[Markup]:
    if mark.interval is not None:
        low, high = (across(end) for end in mark.interval)
        caps = f"M{low:.1f},{down - 3:.1f}v6M{high:.1f},{down - 3:.1f}v6"
        yield element("path", d=f"M{low:.1f},{down:.1f}H{high:.1f}{caps}", class_=f"bar c{mark.slot % COLOURS}")
    yield marker(mark.slot, across(mark.value), down, mark.hollow)


def _text(x: float, y: float, words: str, anchor: str, class_: str = "tick") -> Markup:
    return element("text", Markup.escape(words), x=x, y=y, text_anchor=anchor, class_=class_)
