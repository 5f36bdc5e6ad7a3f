"""`rostrum compare`: end to end with the embedded models and with a run, what is kept, and mistakes in one sentence."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pandas as pd
import pytest

from rostrum.launch.cli import main
from rostrum.trainer.evaluation.verdict_table import COLUMNS, NONE

FEW = ["questions.heldout=4", "heldout_judges=none"]


def not_again(*_: object) -> None:
    raise AssertionError("something was played twice")


def test_the_base_alone_in_every_kind_of_arm(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, refused: Callable[..., str], capfd: pytest.CaptureFixture[str]
) -> None:
    folder = tmp_path / "c"
    words = ["compare", "arms=debate,consultancy,ensembled_consultancy,exchanged_speakers", f"output={folder}", *FEW]
    assert main(words) == 0
    table = pd.read_parquet(folder / "verdicts.parquet")
    assert set(COLUMNS) <= set(table) and len(table) == 4 * 8 + 2 * 4
    found = json.loads((folder / "comparison.json").read_text())
    assert found["players"] == ["base"] and found["arms"][3] == "exchanged_speakers"
    assert {took["base"]["speeches"] for took in found["budget"].values()} == {4.0}
    judge = found["judges"]["weak-judge"]
    assert set(judge["references"]) == {"naive", "expert"}
    assert "p_holm" in judge["arms"]["exchanged_speakers"]["base"]["difference"]
    page = (folder / "comparison.html").read_text()
    assert page.count("<svg") >= 2 and "http" not in page.replace("http-equiv", "")

    monkeypatch.setattr("rostrum.trainer.evaluation.comparisons.comparison._play", not_again)
    monkeypatch.setattr("rostrum.trainer.evaluation.comparisons.comparison.own_answers", not_again)
    assert main([*words[:1], "arms=debate,exchanged_speakers,shuffled_speakers", *words[2:]]) == 0
    added = json.loads((folder / "comparison.json").read_text())
    assert added["judges"]["weak-judge"]["arms"]["debate"] == judge["arms"]["debate"]
    capfd.readouterr()
    assert "another questions.heldout" in refused(*words[:3], "questions.heldout=5", "heldout_judges=none")
    assert "another protocol.rounds" in refused(*words, "comparison.arms.debate=[protocol=debate,protocol.rounds=1]")


def test_a_run_is_compared_with_its_base(
    trained: Path, tmp_path: Path, refused: Callable[..., str], capfd: pytest.CaptureFixture[str]
) -> None:
    run, folder = tmp_path / "run", tmp_path / "c"
    shutil.copytree(trained, run)
    words = [
        "compare",
        f"run={run}",
        "questions.heldout=2",
        f"output={folder}",
        "arms=debate,cool",
        "comparison.arms.cool=[protocol=debate,debater.temperature=0.5]",
    ]
    assert main(words) == 0
    table = pd.read_parquet(folder / "verdicts.parquet")
    played = table[table["matchup"] != NONE]
    assert set(played["checkpoint"]) == {"base", "iteration-0001"} and len(played) == 2 * 2 * 4
    found = json.loads((folder / "comparison.json").read_text())["judges"]["weak-judge"]["arms"]
    assert found["cool"]["training"]["questions"] == 2 and "difference" in found["cool"]["iteration-0001"]
    capfd.readouterr()
    assert "compares other policies" in refused(*words, "iteration=0")
    assert "has no policy of iteration 9" in refused(*words[:3], "iteration=9", f"output={tmp_path}/d")


@pytest.mark.parametrize(
    ("words", "told"),
    [
        ([], "Name a folder"),
        (["output=c", "iteration=2"], "iteration=N is a whole number"),
        (["output=c", "arms=debate,nobody"], "There is no arm 'nobody': choose among debate, consultancy"),
        (["output=c", "arms=debate"], "at least two arms"),
        (["output=c", "arms=debate,debate"], "at least two arms"),
        (["output=c", "comparison.arms.x=[judge.order=given]", "arms=debate,x"], "The arm x changes judge.order"),
        (["output=c", "comparison.arms.x=[debater.model=m]", "arms=debate,x"], "The arm x changes debater.model"),
        (["output=c", "comparison.arms.x=[protocol=naive]", "arms=debate,x"], "Nobody speaks in the arm x"),
        (["output=c", "comparison.arms.x=[protocol=none]", "arms=debate,x"], "There is no protocol=none"),
        (["output=c", "comparison=nowhere"], "nowhere"),
        (["output=c", "comparison.speakers=silent"], "comparison.speakers cannot be 'silent'"),
    ],
)
def test_mistakes_are_told_before_anything_is_played(
    refused: Callable[..., str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, words: list[str], told: str
) -> None:
    monkeypatch.chdir(tmp_path)
    assert told in refused("compare", *words)
    assert not (tmp_path / "c").exists()
