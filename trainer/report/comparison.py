"""comparison.html: accuracy per arm as a picture and in tables, what each verdict took, and the open protocols."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from markupsafe import Markup

from trainer.report.charts import Level, Series, legend
from trainer.report.forest import Mark, Row, forest
from trainer.report.page import content_policy, environment, resource
from trainer.report.svg import Axis, axis
from trainer.report.wording import percent

Found = Mapping[str, Any]
BELIEFS = ("own_right", "own_wrong")
"""The slices of the open protocols."""


def write_comparison(folder: Path, title: str, found: Found) -> Path:
    """Writes `folder/comparison.html` from what `trainer.contrasts.contrasts` found; one file that loads nothing."""
    style = Markup(resource("report.css"))
    players: Sequence[str] = found["players"]
    page = (
        environment()
        .get_template("comparison.html.j2")
        .render(
            title=title, found=found, style=style, policy=content_policy(style, ""), uneven=uneven(found),
            pictures={name: accuracies(name, judge, players) for name, judge in found["judges"].items()},
            opened={name: open_accuracies(name, judge, players[-1]) for name, judge in found["judges"].items()},
            key=legend([Series(player, slot, ()) for slot, player in enumerate(players)]),
            open_key=legend([Series("own answer right", 2, ()), Series("own answer wrong", 1, ())]),
        )
    )  # fmt: skip
    path = folder / "comparison.html"
    path.write_text(page, encoding="utf-8", newline="\n")
    return path


def uneven(found: Found) -> list[str]:
    """Arms that have another number of speeches per verdict than the first."""
    speeches = {arm: {took["speeches"] for took in by_player.values()} for arm, by_player in found["budget"].items()}
    return [arm for arm in found["arms"] if speeches.get(arm) != speeches.get(found["arms"][0])]


def accuracies(name: str, judge: Found, players: Sequence[str]) -> Markup:
    """One judge's accuracy in every arm, a mark for each player, with the judge alone and with the passage."""
    rows = [
        Row(arm, [mark for slot, player in enumerate(players) for mark in _marks(slot, one[player]["accuracy"])])
        for arm, one in judge["arms"].items()
    ]
    words = f"Accuracy of judge {name} by arm: " + "; ".join(
        f"{arm} {percent(one[players[-1]]['accuracy']['estimate'])}" for arm, one in judge["arms"].items()
    )
    return forest(words, _axis(rows, _levels(judge)), rows, _levels(judge))


def open_accuracies(name: str, judge: Found, player: str) -> Markup:
    """One judge's accuracy where the first seat defends the player's own answer, by whether that is right."""
    rows = [
        Row(arm, [mark for slot, kind in zip((2, 1), BELIEFS, strict=True) for mark in _marks(slot, one[kind])])
        for arm, one in ((arm, cells[player]["open"]) for arm, cells in judge["arms"].items())
    ]
    words = f"Accuracy of judge {name} where the first seat defends its own answer, given that it is right or wrong."
    return forest(words, _axis(rows, _levels(judge)), rows, _levels(judge))


def _marks(slot: int, interval: Found) -> list[Mark]:
    """None where there was nothing to take the mean of."""
    if interval["estimate"] is None:
        return []
    known = interval["low"] is not None and interval["high"] is not None
    return [Mark(slot, interval["estimate"], (interval["low"], interval["high"]) if known else None)]


def _levels(judge: Found) -> list[Level]:
    references = {name: one["accuracy"]["estimate"] for name, one in judge["references"].items()}
    return [Level(name, value, vertical=True) for name, value in references.items() if value is not None]


def _axis(rows: Sequence[Row], levels: Sequence[Level]) -> Axis:
    ends = [end for row in rows for mark in row.marks for end in (*(mark.interval or ()), mark.value)]
    return axis("judge accuracy", [0.5, *ends, *(level.value for level in levels)], "percent", wanted=7)
