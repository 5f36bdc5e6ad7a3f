"""Small multiples that share their rows: a panel per measure, a row per cell, estimates with their intervals."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from markupsafe import Markup

from rostrum.trainer.report.drawing import Drawing, Entry, Table
from rostrum.trainer.report.svg import COLOURS, Axis, element, marker

LETTER = 7.0
"""Width of a letter, in pixels, by which room for labels is reserved."""
PANEL, GAP = 205.0, 22.0
"""Width of a panel and the space between two, in pixels."""
TOP, FOOT = 46.0, 26.0
"""Above and below the rows: headings and ticks."""
STEP = 13.0
"""Height that each mark of a row needs."""


@dataclass(frozen=True, slots=True)
class Mark:
    """An estimate with its 95 % interval; `slot` is its colour and shape, and its height within the row."""

    value: float
    interval: tuple[float, float] | None
    slot: int
    hollow: bool = False


@dataclass(frozen=True, slots=True)
class Panel:
    """One measure: its heading, axis, and the marks of each row; `level` is where nothing has happened."""

    heading: str
    note: str
    axis: Axis
    rows: Sequence[Sequence[Mark]]
    level: float | None = None


def forest(description: str, labels: Sequence[str], panels: Sequence[Panel], series: Sequence[str]) -> Drawing:
    """Draw the panels side by side. `series` names the marks that a row may have, by slot; `description` is what a
    screen reader says in place of the picture."""
    left = LETTER * max(map(len, labels), default=0) + 16
    high = STEP * len(series) + 9
    foot = TOP + high * len(labels)
    width = left + len(panels) * (PANEL + GAP)
    drawn = [*_stripes(labels, high, width)]
    for number, panel in enumerate(panels):
        drawn += _panel(panel, left + number * (PANEL + GAP), high, foot)
    drawn += [_words(left - 10, TOP + (row + 0.5) * high + 4, label, "end") for row, label in enumerate(labels)]
    entries = tuple(Entry(name, _swatch(slot)) for slot, name in enumerate(series))
    table = _table(labels, panels, series)
    return Drawing(description, Markup("").join(drawn), (width, foot + FOOT), table, entries, "chart forest")


def _table(labels: Sequence[str], panels: Sequence[Panel], series: Sequence[str]) -> Table:
    rows = [
        (label, panel.heading, series[mark.slot], mark.value, *(mark.interval or (None, None)))
        for panel in panels
        for label, marks in zip(labels, panel.rows, strict=True)
        for mark in marks
    ]
    return Table(("row", "measure", "series", "value", "low", "high"), tuple(rows))


def _swatch(slot: int) -> Markup:
    return element("path", d="M1,8H27", class_=f"bar c{slot % COLOURS}") + marker(slot, 14, 8)


def _stripes(labels: Sequence[str], high: float, width: float) -> Iterator[Markup]:
    for row in range(0, len(labels), 2):
        yield element("rect", x=0.0, y=TOP + row * high, width=width, height=high, class_="stripe")


def _panel(panel: Panel, left: float, high: float, foot: float) -> Iterator[Markup]:
    def across(value: float) -> float:
        return left + 8 + panel.axis.place(value) * (PANEL - 16)

    yield _words(left, 16, panel.heading, "start", "heading")
    yield _words(left, 33, panel.note, "start")
    for tick in panel.axis.ticks:
        yield element("path", d=f"M{across(tick):.1f},{TOP:g}V{foot:.1f}", class_="grid")
    for tick in _labelled(panel):
        yield _words(across(tick), foot + 16, panel.axis.text(tick), "middle")
    if panel.level is not None:
        yield element("path", d=f"M{across(panel.level):.1f},{TOP:g}V{foot:.1f}", class_="axis")
    for row, marks in enumerate(panel.rows):
        for mark in marks:
            yield from _mark(mark, across, TOP + row * high + 4.5 + (mark.slot + 0.5) * STEP)


def _labelled(panel: Panel) -> Iterator[float]:
    """Yield ticks with room for their labels between them, the one at the level among them."""
    ticks = panel.axis.ticks
    step = 1 + len(ticks) // 6
    level = ticks[0] if panel.level is None else min(ticks, key=lambda tick: abs(tick - (panel.level or 0.0)))
    yield from ticks[ticks.index(level) % step :: step]


def _mark(mark: Mark, across: Callable[[float], float], down: float) -> Iterator[Markup]:
    if mark.interval is not None:
        low, high = (across(end) for end in mark.interval)
        caps = f"M{low:.1f},{down - 3:.1f}v6M{high:.1f},{down - 3:.1f}v6"
        yield element("path", d=f"M{low:.1f},{down:.1f}H{high:.1f}{caps}", class_=f"bar c{mark.slot % COLOURS}")
    yield marker(mark.slot, across(mark.value), down, mark.hollow)


def _words(x: float, y: float, text: str, anchor: str, class_: str = "tick") -> Markup:
    return element("text", Markup.escape(text), x=x, y=y, text_anchor=anchor, class_=class_)
