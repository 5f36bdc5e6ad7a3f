"""SVG elements and axes: the bottom layer of the charts."""

import math
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

from markupsafe import Markup, escape

Unit = Literal["number", "percent", "integer"]
MARKERS = ("circle", "square", "triangle", "diamond", "wedge")
COLOURS = 6
"""Colour classes c0 … c5 of the style sheet."""


def element(name: str, *children: str, **attributes: str | float) -> Markup:
    """Return one SVG or HTML element. Text and attribute values are escaped; `class_` stands for class, `_` for a
    hyphen."""
    written = "".join(
        f' {key.rstrip("_").replace("_", "-")}="{escape(_short(value))}"' for key, value in attributes.items()
    )
    inside = Markup("").join(children)
    return Markup(f"<{name}{written}>{inside}</{name}>")


def _short(value: str | float) -> str:
    return value if isinstance(value, str) else f"{value:.2f}".rstrip("0").rstrip(".")


@dataclass(frozen=True, slots=True)
class Axis:
    """A linear axis from the first to the last tick."""

    label: str
    ticks: tuple[float, ...]
    unit: Unit = "number"

    def place(self, value: float) -> float:
        """Return where a value stands between the ends of the axis: 0 at the first tick, 1 at the last."""
        return (value - self.ticks[0]) / (self.ticks[-1] - self.ticks[0])

    def text(self, value: float) -> str:
        """Return a tick's number, with as many decimals as the distance of the ticks needs."""
        if self.unit == "percent":
            return f"{100 * value:.{_decimals(100 * (self.ticks[1] - self.ticks[0]))}f} %"
        text = f"{value:.{_decimals(self.ticks[1] - self.ticks[0])}f}"
        return text.replace("-", "\N{MINUS SIGN}")


def _decimals(step: float) -> int:
    for decimals in range(6):
        if math.isclose(round(step, decimals), step, rel_tol=1e-6):
            return decimals
    return 6


def axis(label: str, values: Iterable[float], unit: Unit = "number", wanted: int = 5) -> Axis:
    """Return an axis with round ticks (1, 2, 2.5 or 5 times a power of ten) that holds all the values.

    Percentages stay within 0 and 100 %; no values at all give the axis from 0 to 1.
    """
    known = list(values) or [0.0, 1.0]
    low, high = min(known), max(known)
    if math.isclose(low, high):
        pad = 0.05 if unit == "percent" else max(abs(low) * 0.1, 1.0 if unit == "integer" else 0.1)
        low, high = low - (pad if low != 0 or unit == "percent" else 0), high + pad
    if unit == "percent":
        low, high = max(low, 0.0), min(high, 1.0)
    step = _round_step((high - low) / wanted, whole=unit == "integer")
    first, last = math.floor(low / step + 1e-9), math.ceil(high / step - 1e-9)
    return Axis(label, tuple(index * step for index in range(first, max(last, first + 1) + 1)), unit)


def _round_step(rough: float, whole: bool) -> float:
    power = 10.0 ** math.floor(math.log10(rough))
    step = next(factor * power for factor in (1, 2, 2.5, 5, 10) if factor * power >= rough * (1 - 1e-9))
    return float(max(1, math.ceil(step))) if whole else step


def marker(slot: int, x: float, y: float, hollow: bool = False, size: float = 4.5) -> Markup:
    """Return the mark of a series at pixel (x, y): its colour and its shape both follow from the slot."""
    shape = MARKERS[slot % len(MARKERS)]
    class_ = f"mark c{slot % COLOURS}" + (" hollow" if hollow else "")
    if shape == "circle":
        return element("circle", cx=x, cy=y, r=size, class_=class_)
    return element("path", d=_outline(shape, x, y, size), class_=class_)


def _outline(shape: str, x: float, y: float, size: float) -> str:
    corners = [(x + size * right, y + size * down) for right, down in _CORNERS[shape]]
    return "M" + "L".join(f"{right:.1f},{down:.1f}" for right, down in corners) + "Z"


_CORNERS = {
    "square": ((-1, -1), (1, -1), (1, 1), (-1, 1)),
    "triangle": ((0, -1.25), (1.2, 0.95), (-1.2, 0.95)),
    "diamond": ((0, -1.4), (1.4, 0), (0, 1.4), (-1.4, 0)),
    "wedge": ((0, 1.25), (1.2, -0.95), (-1.2, -0.95)),
}
