"""Figures as files: an SVG that stands alone, a CSV with every number that was drawn, and names that do not collide."""

import csv
import io
import re
from pathlib import Path
from xml.etree import ElementTree

import pytest

from rostrum.trainer.judge_training import grid_page
from rostrum.trainer.report import write_report
from rostrum.trainer.report.album import Album, standalone
from rostrum.trainer.report.audit.drawings import Bars, Estimate, bars
from rostrum.trainer.report.audit.drawings import rows as estimate_rows
from rostrum.trainer.report.charts import Level, Point, Series, chart
from rostrum.trainer.report.drawing import Drawing
from rostrum.trainer.report.svg import axis
from tests.trainer.report.made_runs import make_run

HOSTILE = "</style><script>alert(1)</script>\"'&"
SVG = "{http://www.w3.org/2000/svg}"


def line(name: str = "weak-judge") -> Drawing:
    points = (Point(0, 0.5, hollow=True), Point(10, 0.75, None, (0.625, 0.8)))
    levels = [Level("judge alone", 0.55), Level("even", 5, vertical=True)]
    return chart("words", axis("iteration", [0, 10]), axis("accuracy", [0, 1]), [Series(name, 0, points)], levels)


def read(text: str) -> list[list[str]]:
    return list(csv.reader(io.StringIO(text)))


def test_a_chart_is_stored_with_every_number_that_was_drawn() -> None:
    assert read(line().table.csv()) == [
        ["series", "iteration", "accuracy", "accuracy, low", "accuracy, high"],
        ["weak-judge", "0", "0.5", "", ""],
        ["weak-judge", "10", "0.75", "0.625", "0.8"],
        ["judge alone", "", "0.55", "", ""],
        ["even", "5", "", "", ""],
    ]


def test_bars_estimates_and_cells_are_stored_too() -> None:
    drawn = bars("words", ["low", "high"], [Bars("one", 0, [0.25, 0.75])], "third")
    assert read(drawn.table.csv()) == [["series", "third", "share"], ["one", "low", "0.25"], ["one", "high", "0.75"]]
    found = estimate_rows(
        "words",
        [Estimate("one", 0, 0.5, (0.4, 0.6)), Estimate("two", 1, 0.1, None)],
        "accuracy",
        axis("accuracy", [0, 1]),
        0.5,
    )
    assert read(found.table.csv())[1:] == [["one", "0.5", "0.4", "0.6"], ["two", "0.1", "", ""]]
    known, unknown = {"estimate": 0.5, "low": 0.4, "high": 0.6}, dict.fromkeys(("estimate", "low", "high"))
    assert read(grid_page.draw([[known, unknown]]).table.csv())[1:] == [
        ["judge 0 the original", "debaters 0 before training", "0.5", "0.4", "0.6"],
        ["judge 0 the original", "debaters 1 against judge 0", "", "", ""],
    ]


@pytest.mark.parametrize("name", ["weak-judge", HOSTILE])
def test_a_stored_svg_needs_nothing_but_itself(name: str) -> None:
    text = standalone(name, line(name))
    root = ElementTree.fromstring(text)
    assert root.tag == f"{SVG}svg" and root.attrib["width"]
    assert "var(" not in text and "url(" not in text and "@" not in text
    assert not root.findall(f".//{SVG}script")
    words = ["".join(found.itertext()) for found in root.iter(f"{SVG}text")]
    assert words.count(name) == 2, "the title and the key"
    styled = "".join(found.text or "" for found in root.iter(f"{SVG}style"))
    classes = {word for found in root.iter() for word in found.attrib.get("class", "").split()}
    assert {word for word in classes if not re.search(rf"\.{word}(?![\w-])", styled)} == set()


def test_a_long_key_is_broken_into_lines_inside_the_figure() -> None:
    series = [Series(f"a judge with a rather long name {n}", n, (Point(0, n), Point(1, n))) for n in range(5)]
    drawing = chart("words", axis("x", [0, 1]), axis("y", [0, 5]), series)
    root = ElementTree.fromstring(standalone("title", drawing))
    names = [text for text in root.iter(f"{SVG}text") if text.attrib.get("class") == "key"]
    ends = [float(text.attrib["x"]) + 6 * len(text.text or "") for text in names]
    lines = {text.attrib["y"] for text in names}
    assert len(ends) == 5 and max(ends) <= float(root.attrib["width"]) and len(lines) > 2
    assert max(float(down) for down in lines) < float(root.attrib["height"])


def test_a_page_links_to_both_files_and_they_are_there(tmp_path: Path) -> None:
    album = Album()
    show = album.shown("../")
    shown = show(line(), "Training", "../é arm", "Accuracy")
    again = show(line(), "Training", "../É arm", "Accuracy")
    assert all(f'href="../figures/training-arm-accuracy.{kind}"' in shown for kind in ("svg", "csv"))
    assert 'href="../figures/training-arm-accuracy-2.svg"' in again, "two figures never share a file"
    album.write(tmp_path)
    stored = sorted(path.name for path in (tmp_path / "figures").iterdir())
    names = ("training-arm-accuracy", "training-arm-accuracy-2")
    assert stored == sorted(f"{name}.{kind}" for name in names for kind in ("csv", "svg"))
    assert show(None, "nothing") == "" and len(album.drawings) == 2


def test_every_checkpoint_is_named_beside_a_picture_that_labels_two(tmp_path: Path) -> None:
    write_report(make_run(tmp_path / "run"))
    found = [read(path.read_text("utf-8")) for path in (tmp_path / "run" / "figures").glob("accuracy-against-win*.csv")]
    assert found
    for columns, *rows in found:
        names = [row[columns.index("label")] for row in rows if row[columns.index("series")] == "truthful debate"]
        assert names == ["base", "iteration 5", "iteration 10", "iteration 15", "iteration 20"]
    page = (tmp_path / "run" / "report.html").read_text("utf-8")
    assert ">iteration 20<" in page and ">iteration 10<" not in page
