"""`rostrum people` from an evaluated run to the results of a rehearsal, and what is refused on the way."""

import json
import os
import shutil
import stat
from collections.abc import Callable
from pathlib import Path

import pandas as pd
import pytest

from rostrum.launch.cli import main
from rostrum.rewards.people import database
from rostrum.trainer.evaluation.people import new_study, people_and_models, results
from rostrum.trainer.evaluation.people.study_file import settings_of

PEOPLE = [
    "people.questions=2",
    "people.training=1",
    "people.qualification=1",
    "people.verdicts=2",
    "people.judges=3",
    "people.qualify_accuracy=0",
    "people.qualify_brier=1",
]


def test_a_study_is_made_and_rehearsed(evaluated: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    study = tmp_path / "study"
    assert main(["people", "new", f"output={study}", f"runs={evaluated}", *PEOPLE]) == 0
    told = " ".join(capsys.readouterr().out.split())
    assert "4 debates on 2 questions under 2 conditions, 2 verdicts each." in told
    assert "14 verdicts, about 1.4 hours and $28" in told
    assert "With 80% power" in told and "simulated studies of this design" in told
    assert "3 people can give 6 of these 8 verdicts of the main phase: people.judges=4 can give all." in told
    db = database.connect(study)
    stories = db.execute("SELECT phase, story FROM debate").fetchall()
    phases = {phase: {story for p, story in stories if p == phase} for phase in ("training", "qualification", "main")}
    assert all(phases.values())
    assert not (phases["training"] & phases["main"] or phases["qualification"] & phases["main"])
    assert {new_study.part_of(story) for _, story in stories} == {"test"}

    assert main(["people", "rehearse", str(study), "judges=4"]) == 0
    told = capsys.readouterr().out
    assert "people gave 8 verdicts" in told and "Krippendorff's alpha" in told
    judged = results.read(database.connect(study / "rehearsal"))
    counts = [sum(each.debate == debate for each in judged) for debate in {each.debate for each in judged}]
    assert counts == [2, 2, 2, 2]
    assert not results.read(db), "the study itself is as it was"
    assert settings_of(study).judges == 3
    for private in (study / "study.sqlite", study / "rehearsal" / "study.sqlite", study / "rehearsal" / "secret"):
        assert stat.S_IMODE(os.stat(private).st_mode) == 0o600

    assert main(["people", "results", str(study / "rehearsal")]) == 0
    told = capsys.readouterr().out
    assert "people gave 8 verdicts" in told and "Not as declared" not in told
    assert main(["people", "results", str(study)]) == 0
    assert "Nobody has judged a debate of the main phase yet." in capsys.readouterr().out

    assert main(["people", "invite", str(study), "judges=2", "address=https://judging.example/"]) == 0
    links = capsys.readouterr().out.split()
    assert len(set(links)) == 2 and all(link.startswith("https://judging.example/join/") for link in links)


def test_a_study_with_every_check_is_made_and_rehearsed(
    evaluated: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    study = tmp_path / "study"
    checks = [
        "people.gold=1",
        "people.gold_every=1",
        "people.attention_every=1",
        "people.least_seconds=20",
        "people.comprehension=true",
        "people.scales=[probability,choice,rating]",
        "people.profile=[native speaker]",
        "people.requires=[native speaker]",
        "people.outside.open=true",
    ]
    assert main(["people", "new", f"output={study}", f"runs={evaluated}", *PEOPLE, *checks]) == 0
    assert main(["people", "rehearse", str(study), "judges=4"]) == 0
    told = capsys.readouterr().out
    assert "By choice: right in" in told and "By rating: right in" in told and "Tag 'native speaker' (4 of" in told
    db = database.connect(study / "rehearsal")
    kinds = {(kind, passed) for kind, passed in db.execute("SELECT DISTINCT kind, passed FROM checked")}
    assert ("comprehension", 1) in kinds and ("comprehension", 0) not in kinds and "gold" in {kind for kind, _ in kinds}
    assert (
        main(["people", "invite", str(study), "judges=1", "address=https://a.example", "tags=native speaker, old"]) == 0
    )
    (tags,) = database.connect(study).execute("SELECT tags FROM judge").fetchone()
    assert tags == '["native speaker", "old"]'
    text = tmp_path / "questions.yaml"
    text.write_text("[]")
    refused = tmp_path / "other"
    assert (
        main(["people", "new", f"output={refused}", f"runs={evaluated}", *PEOPLE, f"people.comprehension={text}"]) == 2
    )
    assert "the list is empty" in capsys.readouterr().err and not refused.exists()


def test_people_check_a_model_without_seeing_what_it_said(
    evaluated: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    study = tmp_path / "study"
    words = ["people", "new", f"output={study}", f"runs={evaluated}", *PEOPLE[1:], "people.questions=5"]
    assert main([*words, "people.check=nobody"]) == 2
    assert "people.check names one of" in capsys.readouterr().err and not (study / database.NAME).exists()
    assert main([*words, "people.check=weak-judge"]) == 0
    told = " ".join(capsys.readouterr().out.split())
    assert "5 debates by which people check weak-judge, half of them at random, 2 verdicts each." in told
    assert "With 80% power" not in told, "no conditions are compared"
    db = database.connect(study)
    chosen = db.execute(
        "SELECT c.checkpoint, d.question, d.transcript, m.p, m.part FROM model_verdict m "
        "JOIN debate d ON d.id = m.debate JOIN condition c ON c.id = d.condition WHERE d.phase = 'main'"
    ).fetchall()
    assert sorted(row["part"] for row in chosen) == ["disagreed"] * 2 + ["random"] * 3
    table = pd.read_parquet(evaluated / "verdicts.parquet")
    table = table[(table["judge"] == "weak-judge") & (table["matchup"] == "self")]
    stored = {(r.checkpoint, r.question_id, bool(r.swapped_seats)): r.p_mean for r in table.itertuples()}
    for row in chosen:
        swapped = json.loads(row["transcript"])["record"]["swapped_seats"]
        assert row["p"] == stored[row["checkpoint"], row["question"], swapped]
    assert main(["people", "rehearse", str(study), "judges=8"]) == 0
    capsys.readouterr()
    assert main(["people", "results", str(study / "rehearsal")]) == 0
    told = " ".join(capsys.readouterr().out.split())
    assert "people agree with weak-judge in" in told and "of 6 verdicts. They overrule it on" in told
    assert "chosen for disagreement" in told and "Not as declared" not in told
    run = shutil.copytree(evaluated, tmp_path / "run")
    assert main(["report", f"run={run}", f"people.study={study}/rehearsal"]) == 0
    shown = (run / "report.html").read_text("utf-8")
    assert "people agree with weak-judge in" in shown and "they do not speak for all debates" in shown
    database.connect(study / "rehearsal").execute("UPDATE model_verdict SET p = 0.5")
    shutil.copy(study / "protocol.lock", study / "rehearsal")
    assert main(["people", "results", str(study / "rehearsal")]) == 0
    assert "The model's verdicts are not those that were declared." in " ".join(capsys.readouterr().out.split())


def test_people_are_a_judge_of_the_run_that_was_judged(evaluated: Path, tmp_path: Path) -> None:
    """Their verdicts stand in the table of verdicts beside those of the models; what nobody judged is INVALID."""
    import yaml

    study, run = tmp_path / "study", tmp_path / "run"
    assert main(["people", "new", f"output={study}", f"runs={evaluated}", *PEOPLE]) == 0
    assert main(["people", "rehearse", str(study), "judges=4"]) == 0
    judges = [{"kind": "people", "name": "people", "study": str(study / "rehearsal")}]
    (tmp_path / "judges.yaml").write_text(yaml.safe_dump(judges))
    shutil.copytree(evaluated, run, ignore=shutil.ignore_patterns("evaluation", "judging", "verdicts.parquet"))
    more = ["questions.heldout=40", "evaluation.attacks=0", f"heldout_judges={tmp_path}/judges.yaml"]
    assert main(["evaluate", f"run={run}", *more]) == 0
    table = pd.read_parquet(run / "verdicts.parquet")
    people = table[table["judge"] == "people"]
    assert int(people["valid"].sum()) >= 4 and not people["valid"].all()


def test_a_report_shows_people_beside_the_model_judges(evaluated: Path, tmp_path: Path) -> None:
    """Three commands, and nothing to type between them."""
    study, run = tmp_path / "study", shutil.copytree(evaluated, tmp_path / "moved")
    assert main(["people", "new", f"output={study}", f"runs={evaluated}", *PEOPLE]) == 0
    assert main(["people", "rehearse", str(study), "judges=4"]) == 0
    before = pd.read_parquet(run / "verdicts.parquet")
    assert main(["report", f"run={run}", f"people.study={study}/rehearsal"]) == 0
    assert main(["verify", f"run={run}"]) == 0
    found = people_and_models.read(run)
    assert found is not None and found.rehearsal and (found.verdicts, found.debates, found.people) == (8, 4, 4)
    assert {(of.checkpoint, of.judge, of.n) for of in found.judges} == {
        ("base", "people", 4),
        ("base", "weak-judge", 2),
        ("iteration-0001", "people", 4),
        ("iteration-0001", "weak-judge", 2),
    }
    judged = results.read(database.connect(study / "rehearsal"))
    told = results.results(judged)
    for of, name in zip((found.judges[0], found.judges[2]), told.by_condition, strict=True):
        assert of.accuracy.estimate == pytest.approx(told.by_condition[name].accuracy.estimate), name
    page = (run / "report.html").read_text("utf-8")
    assert "People beside the model judges" in page and "A rehearsal: scripts judged here" in page
    assert "The quotes that were found in the passage decided it for me." in page
    assert pd.read_parquet(run / "verdicts.parquet").equals(before), "people are no part of the run's own verdicts"
    assert main(["report", f"run={run}"]) == 0
    assert "People beside the model judges" in (run / "report.html").read_text("utf-8"), "as they were asked before"


def test_mistakes_are_told(evaluated: Path, trained: Path, tmp_path: Path, refused: Callable[..., str]) -> None:
    new = ["people", "new", f"output={tmp_path}/study"]
    assert "Say what to do with a study" in refused("people", "frobnicate")
    assert "Name a folder and evaluated runs" in refused(*new)
    assert "holds no evaluated debates: evaluate it first" in refused(*new, f"runs={trained}")
    assert "questions are left for the main phase and 500 are wanted" in refused(
        *new, f"runs={evaluated}", "people.questions=500"
    )
    assert "people.step must lead" in refused(*new, f"runs={evaluated}", "people.step=7")
    assert "says nothing about a study" in refused(*new, f"runs={evaluated}", "judge=panel")
    assert "holds no study" in refused("people", "serve", str(tmp_path))
    assert "Say how many and where" in refused("people", "invite", str(tmp_path))
    assert not (tmp_path / "study" / database.NAME).exists()
