"""The report's table of what training cost."""

from pathlib import Path
from typing import Any

import pytest

from rostrum.trainer.report import write_report
from rostrum.trainer.report.costs import costs
from rostrum.trainer.report.inputs import read_run
from tests.trainer.report.made_runs import lines, make_run, summary

TIMES = {
    "iteration_seconds": 100.0,
    "playing_seconds": 40.0,
    "judging_seconds": 10.0,
    "learning_seconds": 30.0,
    "publishing_seconds": 5.0,
    "learned_tokens_per_second": 2000.0,
    "peak_memory_gb": 3.0,
    "debates": 32,
}


def timed(folder: Path, name: str, *extra: dict[str, Any]) -> None:
    """Give the iterations of an arm these figures besides."""
    path = folder / "arms" / name / "metrics.jsonl"
    path.write_text(lines([{"iteration": i, **TIMES, **of} for i, of in enumerate(extra, 1)]))


def test_totals_shares_and_rates(tmp_path: Path) -> None:
    """Two iterations, by hand; the second sampled 100 tokens a second for three times as long as the first 20."""
    run = make_run(tmp_path)
    name = summary()["arms"][0]["name"]
    timed(
        run, name,
        {"gpu_hours": 0.05, "sampled_tokens_per_second": 20.0, "peak_memory_gb": 4.0},
        {"gpu_hours": 0.05, "sampled_tokens_per_second": 100.0, "playing_seconds": 120.0, "mfu": 0.3},
    )  # fmt: skip
    (found,) = costs(read_run(run))
    assert (found.arm, found.debates, found.hours, found.memory) == (name, 64, pytest.approx(200 / 3600), 4.0)
    assert found.gpu_hours == pytest.approx(0.1) and found.mfu == 0.3
    assert found.shares == (0.8, 0.1, 0.3, 0.05)
    assert (found.sampled, found.judged, found.learned) == (pytest.approx(80), None, 2000)
    gained = 100 * summary()["arms"][0]["accuracy"][0]["change"]
    assert found.per_point == pytest.approx(0.1 / gained)


def test_a_point_costs_nothing_to_name_where_none_was_gained(tmp_path: Path) -> None:
    """Hours stand for GPU-hours without a GPU; a lowered accuracy, and one without a shown change, have no price."""
    run = make_run(tmp_path)
    names = [row["name"] for row in summary()["arms"]]
    for name in names:
        timed(run, name, {})
    found = {row.arm: row for row in costs(read_run(run))}
    headlines = {row["name"]: row["accuracy"][0]["headline"] for row in summary()["arms"]}
    for name in names:
        assert (found[name].per_point is None) is (headlines[name] != "raised"), name
        assert found[name].gpu_hours is None


def test_the_section_is_there_where_times_were_recorded(tmp_path: Path) -> None:
    plain = make_run(tmp_path / "plain")
    assert 'id="cost"' not in write_report(plain).read_text("utf-8")
    run = make_run(tmp_path / "timed")
    timed(run, summary()["arms"][0]["name"], {"sampled_tokens_per_second": 1234.5})
    page = write_report(run).read_text("utf-8")
    section = page[page.index('<section id="cost"') : page.index('<section id="reading"')]
    assert 'href="#cost"' in page and "1,234" in section and "40 %" in section
