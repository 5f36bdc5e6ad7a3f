"""`rostrum tournament` with tiny models: everybody plays once, stopping costs nothing, mistakes are one sentence."""

import json
from collections.abc import Callable
from pathlib import Path

import pandas as pd
import pytest

from launch import compose
from launch.errors import LaunchError
from launch.tournament import tournament
from trainer.config import Config
from trainer.tournament import Tournament, _neighbours
from trainer.train import train


@pytest.fixture
def run(configure: Callable[..., Config]) -> Config:
    settings = configure("iterations=2", "questions.heldout=6")
    train(settings)
    compose.save(settings, settings.output / "config.yaml")
    return settings


def test_every_pair_plays_every_question_in_both_seatings(
    run: Config, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert tournament([f"runs={run.output}", f"output={tmp_path}/t"]) == 0
    table = pd.read_parquet(tmp_path / "t/verdicts.parquet")
    assert len(table) == 6 * 12 and set(table["seat_a"]) == {"base", "run 1", "run 2"}
    met = table[(table["seat_a"] == "base") & (table["seat_b"] == "run 2")]
    turned = table[(table["seat_a"] == "run 2") & (table["seat_b"] == "base")]
    assert len(met) == len(turned) == 6 and met["swapped_seats"].mean() == 0.5
    found = json.loads((tmp_path / "t/tournament.json").read_text())
    assert found["judges"]["weak-judge"]["slope"] is not None
    page = (tmp_path / "t/tournament.html").read_text()
    assert "run 2" in page and "<svg" in page and "http://" not in page.replace("http://www.w3.org", "")

    def not_again(*_: object) -> None:
        raise AssertionError("a pair was played twice")

    monkeypatch.setattr(Tournament, "_debates", not_again)
    assert tournament([f"runs={run.output}", f"output={tmp_path}/t"]) == 0


def test_swiss_pairs_neighbours_who_have_not_met(run: Config, tmp_path: Path) -> None:
    assert tournament([f"runs={run.output}", f"output={tmp_path}/t", "swiss=1"]) == 0
    played = sorted(path.stem for path in (tmp_path / "t/games").iterdir())
    assert played == ["000-000", "000-001", "000-002", "001-001", "001-002", "002-002"]
    assert list(_neighbours("abcd", [("a", "b")])) == [("a", "c"), ("b", "d")]
    assert list(_neighbours("ab", [("b", "a")])) == []


@pytest.mark.parametrize(
    ("words", "told"),
    [
        ([], "Name the runs"),
        (["swiss=x"], "no number of rounds"),
        (["algorithm.kl=1"], "cannot be changed"),
    ],
)
def test_mistakes_are_told(run: Config, tmp_path: Path, words: list[str], told: str) -> None:
    given = [f"runs={run.output}", f"output={tmp_path}/t", *words] if words else []
    with pytest.raises(LaunchError, match=told):
        tournament(given)


def test_runs_with_other_judges_cannot_meet(run: Config, tmp_path: Path) -> None:
    other = run.model_copy(update={"judge": run.judge.model_copy(update={"name": "another"})})
    compose.save(other, tmp_path / "other/config.yaml")
    with pytest.raises(LaunchError, match="another judge.name"):
        tournament([f"runs={run.output},{tmp_path}/other", f"output={tmp_path}/t"])
