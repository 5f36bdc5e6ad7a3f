"""One chart: series of points with interval bars over two linear axes."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from itertools import pairwise

from markupsafe import Markup

from rostrum.trainer.report.drawing import Cell, Drawing, Entry, Table
from rostrum.trainer.report.svg import COLOURS, Axis, element, marker

LEFT, RIGHT, TOP, BOTTOM = 50.0, 22.0, 12.0, 40.0
"""Margins around the plotting area, in pixels."""
NEAR = 12
"""Places for a label at one distance from its point; every further distance costs as much as covering a line."""
LETTER, LINE = 6.6, 14.0
"""Width of a letter and height of a line of a label, in pixels; labels are placed by this estimate."""


@dataclass(frozen=True, slots=True)
class Point:
    """A point with optional intervals along both axes."""

    x: float
    y: float
    x_interval: tuple[float, float] | None = None
    y_interval: tuple[float, float] | None = None
    label: str = ""
    hollow: bool = False
    name: str = ""
    """What the numbers beside the picture call it, if that is more than its label."""


@dataclass(frozen=True, slots=True)
class Series:
    """Points of one colour and shape, in order; `dashed` and `marks` tell series apart without colour."""

    name: str
    slot: int
    points: tuple[Point, ...]
    marks: bool = True
    dashed: bool = False


@dataclass(frozen=True, slots=True)
class Level:
    """A labelled reference line across the plot; vertical at an x, horizontal at a y."""

    label: str
    value: float
    vertical: bool = False


Box = tuple[float, float, float, float]
"""Left, top, right and bottom, in pixels."""


@dataclass(slots=True)
class _Frame:
    """The plotting area in pixels, and the boxes that labels should not cover, each with what covering it costs."""

    x: Axis
    y: Axis
    width: float
    height: float
    taken: list[tuple[Box, int]] = field(default_factory=list)

    def right(self, x: float) -> float:
        return LEFT + self.x.place(x) * (self.width - LEFT - RIGHT)

    def down(self, y: float) -> float:
        return self.height - BOTTOM - self.y.place(y) * (self.height - TOP - BOTTOM)

    def cost(self, box: Box) -> int:
        """Return what a label in this box would cover; leaving the plotting area costs 10."""
        left, top, right, bottom = box
        inside = left >= LEFT and right <= self.width - 2 and top >= 0 and bottom <= self.height - BOTTOM
        covered = sum(cost for (a, b, c, d), cost in self.taken if a < right and left < c and b < bottom and top < d)
        return covered + (0 if inside else 10)

    def text(self, words: str, starts: Sequence[tuple[float, float]], class_: str) -> Markup:
        """Return a label at the start, among those offered (nearest first), where it covers least; the first of
        equals."""
        wide = len(words) * LETTER
        boxes = [(x, y - LINE + 3, x + wide, y + 3) for x, y in starts]
        best = min(range(len(boxes)), key=lambda index: self.cost(boxes[index]) + index // NEAR)
        self.taken.append((boxes[best], 5))
        return _text(*starts[best], words, "start", class_)


def chart(
    description: str,
    x: Axis,
    y: Axis,
    series: Sequence[Series],
    levels: Sequence[Level] = (),
    size: tuple[float, float] = (340, 210),
) -> Drawing:
    """Draw the series. `description` is what a screen reader says in place of the picture; size is in pixels."""
    frame = _Frame(x, y, *size)
    frame.taken += [box for line in series for box in _boxes(frame, line)]
    drawn = [*_grid(frame), *(_level(frame, level) for level in levels)]
    drawn += [part for line in series for part in _bars(frame, line)]
    drawn += [part for line in series for part in _line(frame, line)]
    drawn += [part for line in series for part in _labels(frame, line)]
    drawn += [_level_label(frame, level) for level in levels]
    return Drawing(description, Markup("").join(drawn), size, _table(x, y, series, levels), _entries(series))


def _entries(series: Sequence[Series]) -> tuple[Entry, ...]:
    return tuple(Entry(line.name, _swatch(line)) for line in series if line.name)


def _swatch(line: Series) -> Markup:
    stroke = element("path", d="M1,8H27", class_=_stroke(line))
    return stroke + marker(line.slot, 14, 8) if line.marks else stroke


def _table(x: Axis, y: Axis, series: Sequence[Series], levels: Sequence[Level]) -> Table:
    """Return one row per point, then the reference lines."""
    across, up = x.label or "x", y.label or "y"
    columns = ("series", "label", across, f"{across}, low", f"{across}, high", up, f"{up}, low", f"{up}, high")
    rows: list[tuple[Cell, ...]] = [
        (line.name, p.name or p.label, p.x, *(p.x_interval or (None, None)), p.y, *(p.y_interval or (None, None)))
        for line in series
        for p in line.points
    ]
    rows += [
        (level.label, "", *((level.value, *[None] * 5) if level.vertical else (*[None] * 3, level.value, None, None)))
        for level in levels
    ]
    return Table(columns, tuple(rows))


def _stroke(line: Series) -> str:
    return f"line c{line.slot % COLOURS}" + (" dashed" if line.dashed else "")


def _grid(frame: _Frame) -> Iterator[Markup]:
    left, right = frame.right(frame.x.ticks[0]), frame.right(frame.x.ticks[-1])
    bottom, top = frame.down(frame.y.ticks[0]), frame.down(frame.y.ticks[-1])
    for tick in frame.y.ticks:
        down = frame.down(tick)
        yield element("path", d=f"M{left:.1f},{down:.1f}H{right:.1f}", class_="grid")
        yield _text(left - 7, down + 4, frame.y.text(tick), "end")
    for tick in frame.x.ticks:
        across = frame.right(tick)
        yield element("path", d=f"M{across:.1f},{bottom:.1f}v5", class_="axis")
        yield _text(across, bottom + 18, frame.x.text(tick), "middle")
    yield element("path", d=f"M{left:.1f},{top:.1f}V{bottom:.1f}H{right:.1f}", class_="axis")
    yield _text((left + right) / 2, frame.height - 5, frame.x.label, "middle", "axis-label")


def _text(x: float, y: float, words: str, anchor: str, class_: str = "tick") -> Markup:
    return element("text", Markup.escape(words), x=x, y=y, text_anchor=anchor, class_=class_)


def _level(frame: _Frame, level: Level) -> Markup:
    if level.vertical:
        path = f"M{frame.right(level.value):.1f},{frame.down(frame.y.ticks[-1]):.1f}V{frame.down(frame.y.ticks[0]):.1f}"
    else:
        path = (
            f"M{frame.right(frame.x.ticks[0]):.1f},{frame.down(level.value):.1f}H{frame.right(frame.x.ticks[-1]):.1f}"
        )
    return element("path", d=path, class_="guide")


def _level_label(frame: _Frame, level: Level) -> Markup:
    if level.vertical:
        bottom, top = frame.down(frame.y.ticks[0]), frame.down(frame.y.ticks[-1])
        starts = [(frame.right(level.value) + 4, down) for down in (bottom - 6, top + 12)]
    else:
        ends = LEFT + 6, frame.width - RIGHT - len(level.label) * LETTER - 2
        starts = [(across, frame.down(level.value) + shift) for shift in (-5, 13) for across in ends[::-1]]
    return frame.text(level.label, starts, "guide-label")


def _boxes(frame: _Frame, line: Series) -> Iterator[tuple[Box, int]]:
    """Yield what labels should not cover, with its cost: the marks, the interval bars, and the line in short steps."""
    places = [(frame.right(point.x), frame.down(point.y)) for point in line.points]
    for point, (across, down) in zip(line.points, places, strict=True):
        yield (across - 5, down - 5, across + 5, down + 5), 3
        if point.y_interval:
            yield (across - 3, frame.down(point.y_interval[1]), across + 3, frame.down(point.y_interval[0])), 1
        if point.x_interval:
            yield (frame.right(point.x_interval[0]), down - 3, frame.right(point.x_interval[1]), down + 3), 1
    for (x, y), (next_x, next_y) in pairwise(places):
        for step in range(1, 12):
            across, down = x + (next_x - x) * step / 12, y + (next_y - y) * step / 12
            yield (across - 1, down - 1, across + 1, down + 1), 1


def _bars(frame: _Frame, line: Series) -> Iterator[Markup]:
    class_ = f"bar c{line.slot % COLOURS}"
    for point in line.points:
        across, down = frame.right(point.x), frame.down(point.y)
        if point.y_interval:
            low, high = (frame.down(y) for y in point.y_interval)
            caps = f"M{across - 3:.1f},{low:.1f}h6M{across - 3:.1f},{high:.1f}h6"
            yield element("path", d=f"M{across:.1f},{low:.1f}V{high:.1f}{caps}", class_=class_)
        if point.x_interval:
            low, high = (frame.right(x) for x in point.x_interval)
            caps = f"M{low:.1f},{down - 3:.1f}v6M{high:.1f},{down - 3:.1f}v6"
            yield element("path", d=f"M{low:.1f},{down:.1f}H{high:.1f}{caps}", class_=class_)


def _line(frame: _Frame, line: Series) -> Iterator[Markup]:
    places = [(frame.right(point.x), frame.down(point.y)) for point in line.points]
    if len(places) > 1:
        path = "M" + "L".join(f"{across:.1f},{down:.1f}" for across, down in places)
        yield element("path", d=path, class_=_stroke(line))
    if line.marks or len(places) == 1:
        for point, (across, down) in zip(line.points, places, strict=True):
            yield marker(line.slot, across, down, point.hollow)


def _labels(frame: _Frame, line: Series) -> Iterator[Markup]:
    for point in line.points:
        if not point.label:
            continue
        across, down, wide = frame.right(point.x), frame.down(point.y), len(point.label) * LETTER
        starts = [
            (x, y)
            for far in (1, 2, 3)
            for y in (down - 6 * far, down + 12 * far, down - 16 * far, down + 20 * far)
            for x in (across + 7 * far, across - 7 * far - wide, across - wide / 2)
        ]
        yield frame.text(point.label, starts, f"label c{line.slot % COLOURS}")
