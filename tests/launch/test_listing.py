"""`rostrum runs` and `rostrum config show`: what is there, and what a command line would run."""

import json
import shutil
from pathlib import Path
from typing import Any

import pytest

from rostrum.launch import compose
from rostrum.launch.cli import main


def shown(words: list[str], capsys: pytest.CaptureFixture[str]) -> dict[str, tuple[str, str]]:
    """Value and source of every key that `rostrum config show` prints."""
    capsys.readouterr()
    assert main(["config", "show", *words]) == 0
    lines = [line.partition("  # ") for line in capsys.readouterr().out.splitlines()]
    pairs = [(*text.partition(": ")[::2], source) for text, _, source in lines]
    return {key: (value, source) for key, value, source in pairs}


def test_every_value_is_shown_with_where_it_comes_from(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    mine = tmp_path / "mine.yaml"
    mine.write_text("- {kind: likelihood, name: other, model: some/model, prompts: testimony}", "utf-8")
    found = shown(
        [
            "experiment=demo",
            "judge=panel",
            "algorithm.kl=0.1",
            f"heldout_judges={mine}",
            "decoding=best_of",
            "decoding.judge=rating",
        ],
        capsys,
    )
    assert found["algorithm.kl"] == ("0.1", "command line")
    assert found["iterations"] == ("10", "configs/experiment/demo.yaml")
    assert found["seed"] == ("0", "configs/config.yaml")
    assert found["judge.rule"] == ("mean", "configs/judge/panel.yaml")
    assert found["judge.members.second.model"] == ("embedded/judge-heldout", "configs/judge/testimony-heldout.yaml")
    assert found["decoding.judge.kind"] == ("rating", "configs/judge/rating.yaml")
    assert found["decoding.candidates"] == ("4", "configs/decoding/best_of.yaml")
    assert found["heldout_judges.0.name"] == ("other", str(mine))
    assert found["debater.lora"] == ("null", "default")
    assert found["questions.heldout"] == ("400", "configs/experiment/demo.yaml")


def test_a_runs_own_values_are_shown(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    saved = tmp_path / "config.yaml"
    compose.save(compose.load(["algorithm.kl=0.25"]), saved)
    found = shown([f"run={tmp_path}", "seed=7"], capsys)
    assert found["algorithm.kl"] == ("0.25", str(saved)) and found["seed"] == ("7", "command line")


def test_keys_that_are_shown_can_be_given_again(capsys: pytest.CaptureFixture[str]) -> None:
    found = shown(["protocol=consultancy"], capsys)
    keys = (
        "protocol.rounds",
        "algorithm.epochs",
        "cluster.judge_timeout",
        "monitor.level",
        "protocol.turns",
        "protocol.speakers.A.side",
    )
    again = [f"{key}={found[key][0]}" for key in keys]
    assert compose.load(["protocol=consultancy", *again]) == compose.load(["protocol=consultancy"])


@pytest.mark.parametrize(
    "words", [["config"], ["config", "sow"], ["config", "show", "seed=x"], ["runs", "no/such"], ["runs", "a=b"]]
)
def test_what_cannot_be_shown_is_refused(words: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert main(words) == 2
    assert capsys.readouterr().err.startswith("rostrum: ")


def listed(folder: Path, capsys: pytest.CaptureFixture[str]) -> dict[str, dict[str, Any]]:
    capsys.readouterr()
    assert main(["runs", str(folder), "--json"]) == 0
    rows = json.loads(capsys.readouterr().out)["runs"]
    return {str(Path(row["folder"]).relative_to(folder)): row for row in rows}


def test_runs_are_listed_with_their_state(trained: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    shutil.copytree(trained, tmp_path / "arms" / "one")
    half = shutil.copytree(trained, tmp_path / "arms" / "two")
    manifest = json.loads((half / "manifest.json").read_text("utf-8"))
    manifest.pop("finished")
    (half / "manifest.json").write_text(json.dumps(manifest), "utf-8")
    broken = shutil.copytree(trained, tmp_path / "arms" / "three")
    (broken / "config.yaml").write_bytes(b"\xff")
    done = tmp_path / "arms" / "four"
    shutil.copytree(trained, done)
    manifest = json.loads((done / "manifest.json").read_text("utf-8")) | {"evaluated": {"at": "today"}}
    (done / "manifest.json").write_text(json.dumps(manifest), "utf-8")
    (done / "summary.json").write_text(
        json.dumps({"schema_version": 1, "arms": [{"name": "four", "headline": "raised"}]}), "utf-8"
    )
    (tmp_path / "elsewhere" / "c").mkdir(parents=True)
    (tmp_path / "elsewhere" / "c" / "comparison.json").write_text("{}", "utf-8")
    found = listed(tmp_path, capsys)
    iterations = len((trained / "metrics.jsonl").read_text("utf-8").splitlines())
    assert found["."]["state"] == "1 of 4 arms evaluated"
    assert found["arms/one"]["state"] == f"trained, {iterations} iterations"
    assert found["arms/two"]["state"].startswith(f"iteration {iterations} of ")
    assert found["arms/three"]["kind"] == "unreadable" and "config.yaml" in found["arms/three"]["state"]
    assert (found["arms/four"]["state"], found["arms/four"]["headline"]) == ("evaluated", "raised")
    assert found["elsewhere/c"]["kind"] == "comparison"
    assert main(["runs", str(tmp_path)]) == 0
    assert "1 of 4 arms evaluated" in capsys.readouterr().out


@pytest.mark.parametrize(
    "file, text",
    [
        ("summary.json", '{"schema_version": 1, "arms": "all"}'),
        ("summary.json", '{"schema_version": 1, "arms": [3]}'),
        ("summary.json", '{"schema_version": 1, "arms": {}}'),
        ("summary.json", '{"arms": []}'),
        ("manifest.json", "[]"),
        ("config.yaml", "iterations: [1]"),
        ("metrics.jsonl", '"none"\n'),
        ("config.yaml", "- 1"),
    ],
)
def test_a_damaged_file_is_named_and_the_others_are_listed(
    file: str, text: str, trained: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run = shutil.copytree(trained, tmp_path / "one")
    shutil.copytree(trained, tmp_path / "two")
    (run / file).write_text(text, "utf-8")
    if file in ("config.yaml", "metrics.jsonl"):
        (run / "manifest.json").unlink()
    found = listed(tmp_path, capsys)
    assert found["one"]["kind"] == "unreadable" and file in found["one"]["state"]
    assert found["two"]["kind"] == "run"


def test_an_experiments_damaged_plan_of_arms_is_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "arms" / "one").mkdir(parents=True)
    (tmp_path / "config.yaml").write_text("arms: 3", "utf-8")
    assert "config.yaml" in listed(tmp_path, capsys)["."]["state"]
