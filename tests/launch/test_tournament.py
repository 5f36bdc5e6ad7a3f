"""`rostrum tournament` with tiny models: everybody plays once, stopping costs nothing, mistakes are one sentence."""

import json
import shutil
from collections.abc import Callable, Sequence
from pathlib import Path

import pandas as pd
import pytest

from rostrum.launch import compose
from rostrum.launch.commands.tournament import names_of, tournament
from rostrum.launch.errors import LaunchError
from rostrum.trainer.config import Config
from rostrum.trainer.evaluation.comparisons.tournament import Player, Tournament, _neighbours
from rostrum.trainer.store.run_folder import RunFolder


@pytest.fixture
def publish(configure: Callable[..., Config], tiny: Path, tmp_path: Path) -> Callable[..., Config]:
    """A run with policies in its folder that nobody has trained."""

    def make(name: str, *overrides: str, policies: int = 2) -> Config:
        settings = configure("questions.heldout=4", f"output={tmp_path}/{name}", *overrides)
        compose.save(settings, settings.output / "config.yaml")
        for iteration in range(policies + 1):
            shutil.copytree(tiny / "debater", RunFolder(settings.output).policy(iteration))
        return settings

    return make


@pytest.fixture
def run(publish: Callable[..., Config]) -> Config:
    return publish("run")


def test_every_pair_plays_every_question_in_both_seatings(
    run: Config, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert tournament([f"runs={run.output}", f"output={tmp_path}/t"]) == 0
    table = pd.read_parquet(tmp_path / "t/verdicts.parquet")
    assert len(table) == 6 * 8 and set(table["seat_a"]) == {"base", "run 1", "run 2"}
    met = table[(table["seat_a"] == "base") & (table["seat_b"] == "run 2")]
    turned = table[(table["seat_a"] == "run 2") & (table["seat_b"] == "base")]
    assert len(met) == len(turned) == 4 and met["swapped_seats"].mean() == 0.5
    found = json.loads((tmp_path / "t/tournament.json").read_text())["groups"]["debate"]
    assert found["judges"]["weak-judge"]["slope"] is None, "all say the same to this judge"
    page = (tmp_path / "t/tournament.html").read_text()
    assert "run 2" in page and "<svg" in page and "http://" not in page.replace("http://www.w3.org", "")
    won, low, high = found["judges"]["weak-judge"]["grid"]["run 2"]["base"]
    assert f"run iteration 2 against base before training: {100 * won:.1f} %" in page, "the grid is a picture"
    both = pd.concat([met, turned])
    own = both["p_mean"].where(both["seat_a"] == "run 2", 1 - both["p_mean"])
    assert won == pytest.approx((own > 0.5).mean() + (own == 0.5).mean() / 2) and low <= won <= high

    def not_again(*_: object) -> None:
        raise AssertionError("a pair was played twice")

    monkeypatch.setattr(Tournament, "_debates", not_again)
    assert tournament([f"runs={run.output}", f"output={tmp_path}/t"]) == 0


def test_players_are_folders_that_workers_elsewhere_can_see(
    publish: Callable[..., Config], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = publish("run", "debater.model=embedded/debater", policies=1)
    paths: list[str] = []

    def take_down(self: Tournament, settings: Config, players: Sequence[Player], *_: object) -> None:
        paths.extend(player.path for player in players)
        raise LaunchError("enough is known")

    monkeypatch.setattr(Tournament, "__init__", take_down)
    with pytest.raises(LaunchError, match="enough"):
        tournament([f"runs={run.output}", f"output={tmp_path}/t"])
    assert len(paths) == 2 and all((Path(path) / "config.json").is_file() for path in paths), paths


def test_runs_are_grouped_by_protocol(publish: Callable[..., Config], tmp_path: Path) -> None:
    """A debate and a consultancy: those meet, these are judged alone."""
    runs = [publish("a", policies=1), publish("lone", "protocol=consultancy", policies=1)]
    assert tournament([f"runs={','.join(str(r.output) for r in runs)}", f"output={tmp_path}/t"]) == 0
    found = json.loads((tmp_path / "t/tournament.json").read_text())["groups"]
    players = {name: set(group["players"]) for name, group in found.items()}
    assert players == {"debate": {"base", "a 1"}, "consultancy": {"base", "lone 1"}}
    table = pd.read_parquet(tmp_path / "t/verdicts.parquet")
    assert table.groupby("protocol").size().to_dict() == {"consultancy": 2 * 8, "debate": 3 * 8}
    played = sorted(path.stem for path in (tmp_path / "t/consultancy/games").iterdir())
    assert played == ["000-000", "001-001"]
    assert tournament([f"runs={runs[1].output}", f"output={tmp_path}/t"]) == 0, "what is there may be shown alone"


def test_swiss_pairs_neighbours_who_have_not_met(run: Config, tmp_path: Path) -> None:
    assert tournament([f"runs={run.output}", f"output={tmp_path}/t", "swiss=1"]) == 0
    played = sorted(path.stem for path in (tmp_path / "t/debate/games").iterdir())
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


def test_consultants_have_no_swiss_rounds(publish: Callable[..., Config], tmp_path: Path) -> None:
    lone = publish("lone", "protocol=consultancy")
    with pytest.raises(LaunchError, match="consultants meet nobody"):
        tournament([f"runs={lone.output}", f"output={tmp_path}/t", "swiss=2"])


def test_runs_of_the_same_name_are_told_apart() -> None:
    assert names_of([Path("x/arms/debate"), Path("y/arms/debate")]) == ["x/arms/debate", "y/arms/debate"]
    assert names_of([Path("runs/a"), Path("runs/b")]) == ["a", "b"]
    with pytest.raises(LaunchError, match="named twice"):
        names_of([Path("runs/a"), Path("runs/a")])


def test_protocols_of_one_name_that_differ_are_groups_apart(publish: Callable[..., Config], tmp_path: Path) -> None:
    from rostrum.launch.commands.tournament import _groups

    runs = [publish("short").output, publish("long", "protocol.rounds=3").output, publish("again").output]
    found = {group.name: group.runs for group in _groups(runs, [])}
    assert found == {"debate": (runs[0], runs[2]), "debate-2": (runs[1],)}
    runs = [publish("named", "protocol.name=debate-2").output, *runs]
    assert [group.name for group in _groups(runs, [])] == ["debate-2", "debate", "debate-3"]
