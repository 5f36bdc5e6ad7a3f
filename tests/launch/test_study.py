"""`rostrum study`: its parts in their order, once each, and the page made of what they leave. No model is run: runs and
tournaments are stood in for by the files that they write."""

import json
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from rostrum.envs.files import write_atomically
from rostrum.launch import compose, manifest, ray_cells
from rostrum.launch.arms import Arm
from rostrum.launch.cli import main
from rostrum.launch.commands import study
from rostrum.trainer.evaluation.comparisons.standings import standings
from rostrum.trainer.store.run_folder import RunFolder
from tests.trainer.evaluation.comparisons.test_ablation import verdicts

ENDS = {"debate": 12, "consultancy": 7}
FEWER = [f"~arms.{name}" for name in ("debate-s3", "consultancy-s3", "debate-penalty-only-s3")]
FEWER += [f"~arms.consultancy-penalty-only-s{seed}" for seed in (1, 2, 3)]


class Parts(list[str]):
    """What was done, in order; `failures` are those of the runs, and `stopped` says whether the user stops them."""

    failures: Mapping[str, str] | None = None
    stopped = False

    def finish(self, arms: Sequence[Arm], *_: object) -> Mapping[str, str]:
        if self.stopped:
            raise KeyboardInterrupt
        if self.failures is not None:
            return self.failures
        for arm in arms:
            if not arm.evaluated:
                self.append(arm.name)
                _write_run(arm)
        return {}


@pytest.fixture
def parts(monkeypatch: pytest.MonkeyPatch) -> Parts:
    done = Parts()

    def tournament(words: Sequence[str]) -> int:
        runs, output, _ = (word.partition("=")[2] for word in words)
        done.append(f"tournament of {', '.join(Path(run).name for run in runs.split(','))}")
        groups = {name: standings(_games([f"{name}-s1", f"{name}-s2"]), "base", resamples=20) for name in ENDS}
        write_atomically(Path(output) / "tournament.json", json.dumps({"anchor": "base", "groups": groups}))
        return 0

    monkeypatch.setattr(ray_cells, "finish", done.finish)
    monkeypatch.setattr(study, "tournament", tournament)
    monkeypatch.setattr(study, "check", lambda arms: done.append(f"check of {len(arms)}"))
    return done


def _write_run(arm: Arm) -> None:
    """What training and evaluation leave: final accuracy by protocol, a question more for every seed."""
    run, protocol = RunFolder(arm.folder), arm.config.protocol.name
    compose.save(arm.config, run.config)
    manifest.write(run.manifest, arm.config, arm.name)
    end = ENDS[protocol] + arm.config.seed - (3 if "penalty-only" in arm.name else 0)
    table = verdicts({"weak-judge": (8, end), "heldout-judge": (8, end)})
    table.assign(arm=arm.name, protocol=protocol).to_parquet(arm.folder / "verdicts.parquet")
    (arm.folder / "debates.jsonl").write_text("")
    manifest.finish(run.manifest, arm.config.iterations)
    manifest.evaluated(arm.config, arm.folder)


def _games(names: Sequence[str]) -> pd.DataFrame:
    """Three players, the later one of two the more persuasive."""
    players = ["base", *(f"{name} 4" for name in names)]
    rows = [
        {
            "seat_a": a,
            "seat_b": b,
            "question_id": f"q{q}",
            "story_id": f"s{q}",
            "swapped_seats": swapped,
            "valid": True,
            "judge": "weak-judge",
            "p_mean": 0.8 if (7 * q + 3 * i - 2 * j) % 5 < 2 + i - j else 0.3,
            "correct_seat": "AB"[swapped],
            "words_a": 5,
            "words_b": 6,
            "verified_a": 1,
            "verified_b": q % 2,
        }
        for i, a in enumerate(players)
        for j, b in enumerate(players)
        for q in range(6)
        for swapped in (False, True)
    ]
    return pd.DataFrame(rows)


@pytest.fixture
def arguments(tmp_path: Path) -> list[str]:
    small = ["questions.train=4", "questions.heldout=16", *FEWER]
    return ["study", *small, "ablation.at_once=1", f"output={tmp_path}/study"]


def test_a_study_does_its_parts_once_and_says_what_it_found(
    parts: Parts,
    arguments: list[str],
    tmp_path: Path,
    capfd: pytest.CaptureFixture[str],
) -> None:
    assert main(arguments) == 0
    runs = ["debate-s1", "debate-s2", "consultancy-s1", "consultancy-s2"]
    controls = ["debate-penalty-only-s1", "debate-penalty-only-s2"]
    assert parts == ["check of 6", *runs, *controls, f"tournament of {', '.join(runs)}"]
    shown = capfd.readouterr().out
    for said in ("Primary comparison: heldout-judge on debate.", "debate: Training", "Plan: as planned."):
        assert said in shown

    folder = tmp_path / "study"
    lock = json.loads((folder / "protocol.lock").read_text("utf-8"))
    assert len(lock["entries"]) == 1
    page = (folder / "study.html").read_text("utf-8")
    assert "What was run is what was planned." in page and page.count("points of accuracy per 100 Elo") == 2
    assert page.index("<h2>debate") < page.index("<h2>consultancy")
    assert page.count("training on the penalties alone (debate-penalty-only") == 1, "beside the headline of the debate"
    assert page.count("No arm was trained on the penalties alone") == 1, "nor is that of the consultancy left alone"
    stored: dict[str, Any] = json.loads((folder / "study.json").read_text("utf-8"))
    first, second, third = stored["cells"]["pooled"]
    assert [first["name"], second["name"]] == ["debate", "consultancy"] and first["seeds"] == [1, 2]
    assert third["name"] == "debate-penalty-only"
    assert second["judges"][0]["difference"]["estimate"] == pytest.approx(-5 / 16, abs=1e-6)
    for name in ("report.html", "ablation.html", "cells.csv"):
        assert (folder / name).exists()

    assert main(arguments) == 0
    assert parts[len(runs) + 4 :] == ["check of 6"], "something was done twice"


def test_a_failed_run_keeps_the_study_from_its_tournament(
    parts: Parts, arguments: list[str], capfd: pytest.CaptureFixture[str]
) -> None:
    parts.failures = {"debate-s2": "It was lost."}
    assert main(arguments) == 1
    assert parts == ["check of 6"]
    assert "debate-s2 failed: It was lost." in capfd.readouterr().err


def test_an_interruption_names_the_study(
    parts: Parts,
    arguments: list[str],
    refused: Callable[..., str],
    capfd: pytest.CaptureFixture[str],
) -> None:
    parts.stopped = True
    assert main(arguments) == 130
    assert f"continue with `rostrum {' '.join(arguments)}`" in capfd.readouterr().err
    assert "declares another" in refused(*arguments, "iterations=3")
