"""Two more kinds of charts: bars side by side, and estimates with their intervals in rows."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from markupsafe import Markup

from rostrum.trainer.report.drawing import Drawing, Entry, Table
from rostrum.trainer.report.svg import COLOURS, Axis, axis, element, marker

LEFT, RIGHT, TOP, BOTTOM = 50.0, 16.0, 10.0, 40.0
"""Margins of a bar chart, in pixels."""
ROW, LETTER = 30.0, 6.6
"""Height of a row of estimates and width of a letter, in pixels."""


@dataclass(frozen=True, slots=True)
class Bars:
    """Values of one colour, one for each category."""

    name: str
    slot: int
    values: Sequence[float]


@dataclass(frozen=True, slots=True)
class Estimate:
    """A row: a value with its interval."""

    label: str
    slot: int
    value: float
    interval: tuple[float, float] | None


def bars(
    description: str,
    categories: Sequence[str],
    groups: Sequence[Bars],
    label: str,
    size: tuple[float, float] = (440, 220),
) -> Drawing:
    """Draw shares of one as bars, the groups beside each other in every category; `label` stands below."""
    width, height = size
    scale = axis("", [0.0, *(value for group in groups for value in group.values)], "percent")
    wide = (width - LEFT - RIGHT) / len(categories)
    drawn = [*_levels(scale, width, height)]
    for index, category in enumerate(categories):
        left = LEFT + index * wide
        drawn.append(_text(left + wide / 2, height - BOTTOM + 18, category, "middle"))
        drawn += _group(groups, index, left + wide * 0.12, wide * 0.76, scale, height)
    drawn.append(_text((LEFT + width - RIGHT) / 2, height - 5, label, "middle", "axis-label"))
    shares = [(group.name, *share) for group in groups for share in zip(categories, group.values, strict=True)]
    table = Table(("series", label, "share"), tuple(shares))
    return Drawing(description, Markup("").join(drawn), size, table, _entries(groups))


def rows(
    description: str, estimates: Sequence[Estimate], label: str, unit_axis: Axis, guide: float, width: float = 560
) -> Drawing:
    """Draw estimates below each other on a common axis, with a line at `guide`."""
    left = 14 + LETTER * max((len(estimate.label) for estimate in estimates), default=0)
    height = TOP + ROW * len(estimates) + BOTTOM
    bottom = height - BOTTOM

    def right(value: float) -> float:
        return left + unit_axis.place(value) * (width - left - RIGHT - 8)

    drawn = [element("path", d=f"M{right(t):.1f},{TOP:g}V{bottom:g}", class_="grid") for t in unit_axis.ticks]
    drawn += [_text(right(tick), bottom + 18, unit_axis.text(tick), "middle") for tick in unit_axis.ticks]
    drawn.append(element("path", d=f"M{right(guide):.1f},{TOP:g}V{bottom:g}", class_="guide"))
    for index, estimate in enumerate(estimates):
        down = TOP + ROW * (index + 0.5)
        drawn.append(_text(left - 10, down + 4, estimate.label, "end"))
        if estimate.interval is not None:
            low, high = (right(end) for end in estimate.interval)
            caps = f"M{low:.1f},{down - 4:.1f}v8M{high:.1f},{down - 4:.1f}v8"
            drawn.append(element("path", d=f"M{low:.1f},{down:.1f}H{high:.1f}{caps}", class_=_colour("bar", estimate)))
        drawn.append(marker(estimate.slot, right(estimate.value), down))
    drawn.append(_text((left + width - RIGHT) / 2, height - 5, label, "middle", "axis-label"))
    values = tuple((of.label, of.value, *(of.interval or (None, None))) for of in estimates)
    table = Table(("estimate of", label, "low", "high"), values)
    return Drawing(description, Markup("").join(drawn), (width, height), table)


def _group(
    groups: Sequence[Bars], index: int, left: float, wide: float, scale: Axis, height: float
) -> Iterator[Markup]:
    each = wide / len(groups)
    for number, group in enumerate(groups):
        tall = scale.place(group.values[index]) * (height - TOP - BOTTOM)
        title = element("title", Markup.escape(f"{group.name}: {scale.text(group.values[index])}"))
        yield element(
            "rect",
            title,
            x=left + number * each,
            y=height - BOTTOM - tall,
            width=each * 0.9,
            height=tall,
            class_=_colour("column", group),
        )


def _levels(scale: Axis, width: float, height: float) -> Iterator[Markup]:
    for tick in scale.ticks:
        down = height - BOTTOM - scale.place(tick) * (height - TOP - BOTTOM)
        yield element("path", d=f"M{LEFT:g},{down:.1f}H{width - RIGHT:g}", class_="grid")
        yield _text(LEFT - 7, down + 4, scale.text(tick), "end")


def _colour(class_: str, what: Bars | Estimate) -> str:
    return f"{class_} c{what.slot % COLOURS}"


def _text(x: float, y: float, words: str, anchor: str, class_: str = "tick") -> Markup:
    return element("text", Markup.escape(words), x=x, y=y, text_anchor=anchor, class_=class_)


def _entries(groups: Sequence[Bars]) -> tuple[Entry, ...]:
    return tuple(
        Entry(group.name, element("rect", x=8, y=2, width=12, height=12, class_=_colour("column", group)))
        for group in groups
    )
