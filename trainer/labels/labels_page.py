"""labels.html and figures/: where the next dollar for labels should go, as a page that explains itself."""

from collections.abc import Sequence
from dataclasses import replace
from importlib.resources import files
from math import ceil, floor, log10
from pathlib import Path

from jinja2 import Environment, StrictUndefined
from markupsafe import Markup

from rostrum.envs.files import write_atomically
from rostrum.trainer.evaluation.summary import Estimate
from rostrum.trainer.labels import labels_wording
from rostrum.trainer.labels.labels_summary import CellSummary, LabelsSummary, PriceSummary
from rostrum.trainer.report import wording
from rostrum.trainer.report.album import Album
from rostrum.trainer.report.charts import Level, Point, Series, chart
from rostrum.trainer.report.drawing import Drawing, Table
from rostrum.trainer.report.html import hash_source
from rostrum.trainer.report.svg import Axis, axis

NAME = "labels.html"
FIGURES = {
    "accuracy": "Accuracy, by share spent on dearer labels",
    "hackability": "Accuracy against trained debaters (hackability), by share spent on dearer labels",
}
REGIMES = {"quantity": "quantity", "mixed": "mixed", "quality": "quality", "none": "none shown"}
ARMS = {
    "finetune": "fine-tuning",
    "shots": "shots alone",
    "shots+finetune": "shots, then fine-tuning",
    "uncertain": "dearer labels where the judge is unsure",
    "repeated": "several cheaper labels of each debate",
    "confidence": "all labels at once, by confidence",
    "none": "the judge as it was",
}


def write(folder: Path, summary: LabelsSummary) -> None:
    """Write labels.html, and its figures as SVG and CSV."""
    album = Album()
    write_atomically(folder / NAME, page(summary, album))
    album.write(folder)


def page(summary: LabelsSummary, album: Album) -> str:
    """Return the page; its figures join the album."""
    environment = Environment(autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True)
    filters = wording.percent, wording.points, wording.p_value, wording.decimal, labels_wording.dollars
    environment.filters.update({f.__name__: f for f in (*filters, labels_wording.part, labels_wording.parts)})
    ranges = wording.points_range, wording.percent_range, labels_wording.parts
    environment.globals.update({f.__name__: f for f in ranges})
    style = Markup((files("rostrum.trainer.report") / "report.css").read_text("utf-8"))
    template = environment.from_string((files("rostrum.trainer.labels") / "labels.html.j2").read_text("utf-8"))
    policy = f"default-src 'none'; style-src {hash_source(style)}; base-uri 'none'; form-action 'none'"
    return template.render(
        summary=summary,
        about=summary.about,
        curves={name: [(price, curves(summary, price, name)) for price in summary.prices] for name in FIGURES},
        fronts=[(price, front(price)) for price in summary.prices],
        titles=FIGURES,
        regimes=REGIMES,
        arms=ARMS,
        style=style,
        policy=policy,
        figure=album.shown(),
    )


def curves(summary: LabelsSummary, price: PriceSummary, measure: str) -> Drawing | None:
    """Draw a measure by share, a curve for each budget; all prices have one axis. Cells that exhausted the pool are
    hollow."""
    lines = [
        Series(labels_wording.dollars(budget.budget), slot, _points(budget.cells, measure))
        for slot, budget in enumerate(price.budgets)
    ]
    if not any(line.points for line in lines):
        return None
    before = summary.untaught[measure].estimate if measure in summary.untaught else None
    levels = [] if before is None else [Level("the judge as it was", before)]
    said = "; ".join(
        f"{line.name}: " + ", ".join(f"{wording.percent(p.y)} with {p.name}" for p in line.points) for line in lines
    )
    words = f"{FIGURES[measure]}, cheaper labels at {labels_wording.dollars(price.price)}. {said}."
    across = Axis(f"share spent on {summary.about.dear.name} labels", (0, 0.25, 0.5, 0.75, 1), "percent")
    return chart(words, across, _scale(summary, measure), lines, levels, size=(530, 340))


def _points(cells: Sequence[CellSummary], measure: str) -> tuple[Point, ...]:
    return tuple(
        Point(
            cell.share,
            figure.estimate,
            y_interval=_ends(figure),
            hollow=cell.exhausted,
            name=labels_wording.part(cell.share),
        )
        for cell in cells
        if (figure := cell.figures[measure]).estimate is not None
    )


def _scale(summary: LabelsSummary, measure: str) -> Axis:
    figures = [cell.figures[measure] for price in summary.prices for b in price.budgets for cell in b.cells]
    ends = [end for one in [*figures, summary.untaught.get(measure, Estimate())] for end in _all(one)]
    return axis("accuracy", ends, "percent")


def _all(figure: Estimate) -> list[float]:
    return [end for end in (figure.estimate, figure.low, figure.high) if end is not None]


def _ends(figure: Estimate) -> tuple[float, float] | None:
    return None if figure.low is None or figure.high is None else (figure.low, figure.high)


def front(price: PriceSummary) -> Drawing | None:
    """Draw the front, accuracy by dollars on a logarithmic axis; points whose lead is not shown are hollow."""
    known = [point for point in price.front if point.spent > 0 and point.accuracy.estimate is not None]
    if not known:
        return None
    points = tuple(
        Point(
            log10(point.spent),
            point.accuracy.estimate or 0.0,
            y_interval=_ends(point.accuracy),
            hollow=not (point.lead and point.lead.shown == "better"),
            name=f"{ARMS.get(point.arm, point.arm)}, {labels_wording.part(point.share)}",
        )
        for point in known
    )
    free = [point.accuracy.estimate for point in price.front if not point.spent and point.accuracy.estimate is not None]
    levels = [Level("the judge as it was", before) for before in free]
    ends = [end for point in known for end in _all(point.accuracy)] + free
    words = f"Pareto front, cheaper labels at {labels_wording.dollars(price.price)}. {price.front_sentence}"
    across = Dollars("dollars spent", _ticks([b.budget for b in price.budgets], known[0].spent, known[-1].spent))
    line = Series("best for the money", 0, points)
    drawn = chart(words, across, axis("accuracy", ends, "percent"), [line], levels, size=(530, 340))
    return replace(drawn, table=_amounts(price))


def _amounts(price: PriceSummary) -> Table:
    """Return the numbers of the front, in dollars as they are."""
    columns = "way of teaching", "budget", "share", "dollars spent", "accuracy", "low", "high", "lead shown"
    rows = [
        (ARMS.get(point.arm, point.arm), point.budget, point.share, point.spent)
        + (point.accuracy.estimate, point.accuracy.low, point.accuracy.high, point.lead.shown if point.lead else "")
        for point in price.front
    ]
    return Table(columns, tuple(rows))


class Dollars(Axis):
    """A logarithmic axis: places are powers of ten."""

    def text(self, value: float) -> str:
        """Return a tick as an amount."""
        return labels_wording.dollars(round(10**value, 6))


def _ticks(budgets: Sequence[float], least: float, most: float) -> tuple[float, ...]:
    """Return the budgets as powers of ten, and such powers below and above them as far as money was spent."""
    ticks = [log10(budget) for budget in budgets]
    while log10(least) < ticks[0]:
        ticks.insert(0, float(ceil(ticks[0] - 0.3) - 1))
    while log10(most) > ticks[-1] or len(ticks) < 2:
        ticks.append(float(floor(ticks[-1] + 0.3) + 1))
    return tuple(ticks)
