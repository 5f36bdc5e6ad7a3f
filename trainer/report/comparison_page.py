"""comparison.html: accuracy per arm as a picture and in tables, what each verdict took, and the open protocols."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from markupsafe import Markup

from rostrum.envs.files import write_atomically
from rostrum.trainer.report.ablation_page import STYLE
from rostrum.trainer.report.album import Album
from rostrum.trainer.report.drawing import Drawing
from rostrum.trainer.report.forest import Mark, Panel, forest
from rostrum.trainer.report.html import content_policy, environment, resource
from rostrum.trainer.report.svg import axis
from rostrum.trainer.report.wording import percent

Found = Mapping[str, Any]
NARROW = ".wide .chart { min-width: 0; max-width: 46rem; }\n"
"""Few panels need no more room than this for their words to be as large as the page's."""
BELIEFS = ("own_right", "own_wrong")
"""The slices of the open protocols."""


def write_comparison(folder: Path, title: str, found: Found) -> Path:
    """Write `folder/comparison.html` from what `trainer.evaluation.comparisons.contrasts.contrasts` found, and its
    figures beside it; the page loads nothing."""
    style, album = Markup(resource("report.css") + STYLE + NARROW), Album()
    page = (
        environment()
        .get_template("comparison.html.j2")
        .render(
            title=title,
            found=found,
            style=style,
            policy=content_policy(style, ""),
            uneven=uneven(found),
            accuracies=accuracies(found),
            opened=open_accuracies(found),
            figure=album.shown(),
        )
    )
    album.write(folder)
    path = folder / "comparison.html"
    write_atomically(path, page)
    return path


def uneven(found: Found) -> list[str]:
    """Return the arms that have another number of speeches per verdict than the first."""
    speeches = {arm: {took["speeches"] for took in by_player.values()} for arm, by_player in found["budget"].items()}
    return [arm for arm in found["arms"] if speeches.get(arm) != speeches.get(found["arms"][0])]


def accuracies(found: Found) -> Drawing:
    """Draw every judge's accuracy in every arm, a mark for each player, and below them alone and with the passage."""
    players, judges = found["players"], found["judges"]
    references = list(next(iter(judges.values()))["references"])
    panels = [
        _panel(
            name,
            judge,
            [
                *(
                    [_mark(one[player]["accuracy"], slot) for slot, player in enumerate(players)]
                    for one in judge["arms"].values()
                ),
                *([_mark(judge["references"][reference]["accuracy"], len(players))] for reference in references),
            ],
        )
        for name, judge in judges.items()
    ]
    words = "; ".join(
        f"{name}, {arm} {percent(one[players[-1]]['accuracy']['estimate'])}"
        for name, judge in judges.items()
        for arm, one in judge["arms"].items()
    )
    alone = ["no debaters"] if references else []
    return forest(f"Judge accuracy by arm. {words}.", [*found["arms"], *references], panels, [*players, *alone])


def open_accuracies(found: Found) -> Drawing:
    """Draw every judge's accuracy where the first side defends the last player's own answer, by whether that is
    right."""
    player = found["players"][-1]
    panels = [
        _panel(
            name,
            judge,
            [
                [_mark(one[player]["open"][kind], slot) for slot, kind in enumerate(BELIEFS)]
                for one in judge["arms"].values()
            ],
        )
        for name, judge in found["judges"].items()
    ]
    words = "Judge accuracy where the first seat defends the debater's own answer, given that it is right or wrong."
    return forest(words, found["arms"], panels, ["own answer right", "own answer wrong"])


def _panel(name: str, judge: Found, rows: Sequence[Sequence[Mark | None]]) -> Panel:
    marks = [[mark for mark in row if mark is not None] for row in rows]
    ends = [end for row in marks for mark in row for end in (*(mark.interval or ()), mark.value)]
    return Panel(name, f"{judge['role']} judge", axis("judge accuracy", [0.5, *ends], "percent"), marks, 0.5)


def _mark(interval: Found, slot: int) -> Mark | None:
    """Return a mark; None where there was nothing to take the mean of."""
    if interval["estimate"] is None:
        return None
    known = interval["low"] is not None and interval["high"] is not None
    return Mark(interval["estimate"], (interval["low"], interval["high"]) if known else None, slot)
