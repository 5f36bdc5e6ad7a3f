"""People as judges of the commands: held against models, teaching them; taught judges keep to other stories."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pandas as pd
import pytest
import yaml

from rostrum.envs.transcripts import from_json
from rostrum.launch.cli import main
from rostrum.rewards.people import database, places, verdicts
from rostrum.rewards.people.verdicts import Sent
from tests.launch.people.test_command import PEOPLE
from tests.trainer.evaluation.people.test_published import khan, stored

Refused = Callable[..., str]


def studied(evaluated: Path, folder: Path, *more: str) -> Path:
    """Make a study and rehearse it; return the rehearsal."""
    assert main(["people", "new", f"output={folder}", f"runs={evaluated}", *PEOPLE, *more]) == 0
    assert main(["people", "rehearse", str(folder), "judges=4"]) == 0
    return folder / "rehearsal"


@pytest.fixture(scope="module")
def study(evaluated: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return studied(evaluated, tmp_path_factory.mktemp("test") / "study")


@pytest.fixture(scope="module")
def teaching(evaluated: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("teach") / "study"
    return studied(evaluated, folder, "people.purpose=teach", "people.questions=6", "people.qualification=0")


@pytest.fixture(scope="module")
def judge(tiny: Path) -> list[str]:
    return [f"judge.model={tiny}/judge", "judge.min_mass=0", "heldout_judges=none", f"debater.model={tiny}/debater"]


@pytest.fixture(scope="module")
def taught(teaching: Path, judge: list[str], tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("taught") / "mine"
    few = ["judge_training.epochs=1", "judge_training.heldout_fraction=0.5"]
    assert main(["judge", "train", *judge, *few, f"people.study={teaching}", f"output={folder}"]) == 0
    return folder


def stories_of(study: Path) -> set[str]:
    return {row["story"] for row in database.connect(study).execute("SELECT story FROM debate WHERE phase = 'main'")}


def test_an_audit_holds_a_judge_against_people(study: Path, judge: list[str], tmp_path: Path) -> None:
    assert main(["audit", *judge, f"people.study={study}", f"output={tmp_path}/audit"]) == 0
    record = json.loads((tmp_path / "audit" / "audit.json").read_text("utf-8"))
    assert record["debates"]["n"] == 4 and "a study of people" in record["debates"]["source"]
    (arm,) = record["arms"]
    assert arm["found"]["agreement"]["n"] == 4 and sum(arm["found"]["agreement"]["human"]) == 4
    assert "Agreement with people" in (tmp_path / "audit" / "audit.html").read_text("utf-8")


def test_published_debates_stand_in_for_a_study(judge: list[str], tmp_path: Path, refused: Refused) -> None:
    rows = [khan(user, p, question=f"Where is {n}?") for n in range(4) for user, p in (("ann", 85), ("ben", 20))]
    file = stored(tmp_path / "khan.jsonl", *rows)
    assert main(["people", "import", f"output={tmp_path}/study", "format=khan", f"file={file}"]) == 0
    assert main(["audit", *judge, f"people.study={tmp_path}/study", f"output={tmp_path}/audit"]) == 0
    (arm,) = json.loads((tmp_path / "audit" / "audit.json").read_text("utf-8"))["arms"]
    assert arm["found"]["agreement"]["n"] == 4
    assert "Name folder and file" in refused("people", "import", f"output={tmp_path}/other")


def test_people_are_audited_as_any_judge(study: Path, judge: list[str], tmp_path: Path) -> None:
    words = ["judge=people", f"people.study={study}", "heldout_judges=none", judge[-1], f"output={tmp_path}/audit"]
    assert main(["audit", *words]) == 0
    (arm,) = json.loads((tmp_path / "audit" / "audit.json").read_text("utf-8"))["arms"]
    assert arm["name"] == "people" and arm["found"]["agreement"]["kappa"] == 1


def test_later_verdicts_are_heard(study: Path, tmp_path: Path, judge: list[str]) -> None:
    """What people said before is not kept for what they say today."""
    own = shutil.copytree(study, tmp_path / "study")
    words = ["audit", "judge=people", f"people.study={own}", "heldout_judges=none", judge[-1]]
    assert main([*words, f"output={tmp_path}/audit"]) == 0
    db = database.connect(own)
    db.execute("UPDATE verdict SET p = 1 - p")
    db.close()
    before = json.loads((tmp_path / "audit" / "audit.json").read_text("utf-8"))["arms"][0]["found"]["accuracy"]
    assert main([*words, f"output={tmp_path}/audit"]) == 0
    after = json.loads((tmp_path / "audit" / "audit.json").read_text("utf-8"))["arms"][0]["found"]["accuracy"]
    assert before != after


def test_a_judge_learns_from_people_and_says_so(taught: Path, teaching: Path) -> None:
    record = json.loads((taught / "training.json").read_text("utf-8"))
    (verdicts,) = (
        database.connect(teaching)
        .execute(
            "SELECT count(*) FROM verdict v JOIN place p ON p.id = v.place JOIN debate d ON d.id = p.debate "
            "WHERE d.phase = 'main' AND p.state = 'done'"
        )
        .fetchone()
    )
    counted = [record["debates"][part] for part in ("learned_from", "held_out")]
    assert sum(part["debates"] for part in counted) == sum(part["soft"] for part in counted) == verdicts > 8
    known = json.loads((taught / "taught_by_people.json").read_text("utf-8"))
    assert known["studies"] == [str(teaching)] and set(known["stories"]) == stories_of(teaching)


def test_a_calibrated_judge_says_so_too(
    teaching: Path, judge: list[str], tmp_path: Path, refused: Refused, capfd: pytest.CaptureFixture[str]
) -> None:
    from rostrum.launch.compose import load
    from rostrum.trainer import setup

    own, file = shutil.copytree(teaching, tmp_path / "study"), tmp_path / "calibrated.yaml"
    db = database.connect(own)
    for row in db.execute("SELECT id, transcript FROM debate").fetchall():  # people who say what the judge says
        (said,) = setup.judge(load(judge).judge).judge([from_json(json.loads(row["transcript"]))])
        db.execute(
            "UPDATE verdict SET p = ? WHERE place IN (SELECT id FROM place WHERE debate = ?)", (said.mean, row["id"])
        )
    db.close()
    assert main(["judge", "calibrate", *judge, f"people.study={own}", f"output={file}"]) == 0
    written = yaml.safe_load(file.read_text("utf-8"))
    assert set(json.loads(Path(written["taught_on"]).read_text("utf-8"))["stories"]) == stories_of(teaching)
    capfd.readouterr()
    said = refused("audit", f"judge={file}", *judge[2:], "questions.heldout=40", f"output={tmp_path}/audit")
    assert "People taught weak-judge-calibrated on 6 of these 40 stories" in said


def test_a_taught_judge_is_not_tested_on_its_teachers_stories(
    taught: Path, evaluated: Path, small: list[str], judge: list[str], tmp_path: Path, refused: Refused
) -> None:
    held_out = tmp_path / "heldout.yaml"
    held_out.write_text(yaml.safe_dump([yaml.safe_load((taught / "judge.yaml").read_text("utf-8"))]), "utf-8")
    run, of = shutil.copytree(evaluated, tmp_path / "run"), "questions.heldout=40"
    by = [f"heldout_judges={held_out}", of]
    told = "on 6 of these"
    assert told in refused("evaluate", f"run={run}", *by)
    assert told in refused("compare", f"run={run}", *by, f"output={tmp_path}/compared")
    assert told in refused("tournament", f"runs={run}", *by, f"output={tmp_path}/tournament")
    assert told in refused("audit", f"judge.model={taught}", *judge[1:], of, f"output={tmp_path}/audit")
    mine = [f"judge.model={taught}" if word.startswith("judge.model") else word for word in small]
    as_taught = [f"judge={taught}/judge.yaml", *(word for word in mine if not word.startswith("judge."))]
    assert told in refused("train", *as_taught, of, f"output={tmp_path}/new")
    others = ["questions.seed=7", "evaluation.attacks=0", "questions.heldout=4"]
    assert main(["evaluate", f"run={run}", f"heldout_judges={held_out}", *others]) == 0


def test_studies_teach_or_test(
    study: Path, teaching: Path, evaluated: Path, judge: list[str], tmp_path: Path, refused: Refused
) -> None:
    new = f"output={tmp_path}/mine"
    assert "is a study that tests: teach by one" in refused("judge", "train", *judge, f"people.study={study}", new)
    words = ["heldout_judges=people", f"people.study={teaching}", "questions.heldout=40"]
    assert "is a study that teaches judges" in refused("evaluate", f"run={evaluated}", *words)
    assert "both name what a judge learns from" in refused(
        "judge", "train", *judge, f"people.study={teaching}", "debates=FILE", new
    )


@pytest.mark.parametrize("command", ["compare", "tournament"])
def test_people_who_judged_nothing_of_it_are_pending(
    command: str, study: Path, evaluated: Path, tmp_path: Path
) -> None:
    """New debates are played, which nobody has judged: INVALID, no wait and no error."""
    people = tmp_path / "people.yaml"
    people.write_text(yaml.safe_dump([{"kind": "people", "name": "people", "study": str(study)}]), "utf-8")
    of = {"compare": [f"run={evaluated}", "arms=debate,consultancy"], "tournament": [f"runs={evaluated}"]}[command]
    words = [f"heldout_judges={people}", "questions.heldout=4", f"output={tmp_path}/out"]
    assert main([command, *of, *words]) == 0
    table = pd.read_parquet(tmp_path / "out" / "verdicts.parquet")
    own = table[table["judge"] == "people"]
    assert len(own) and not own["valid"].any() and set(own["reason"]) == {"no person has judged this debate yet"}


def test_unsure_debates_wait_in_a_queue_that_people_work_off(
    evaluated: Path, judge: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The last step of a cascade: what the model is unsure of is put to people, once, and read when they have
    judged. The study is made for that by one line, and has as many verdicts as it wants."""
    queue = tmp_path / "queue"
    assert main(["people", "new", f"output={queue}", "queue=true", "people.verdicts=3"]) == 0
    assert "an empty queue, 3 verdicts on each debate" in capsys.readouterr().out
    assert main(["people", "rehearse", str(queue)]) == 2 and "let a cascade fill it" in capsys.readouterr().err
    first = yaml.safe_load((Path(__file__).parents[3] / "configs" / "judge" / "testimony.yaml").read_text("utf-8"))
    settings = {
        "kind": "cascade",
        "name": "unsure",
        "margin": 0.5,
        "first": {**first, "model": judge[0].partition("=")[2], "min_mass": 0},
        "second": {"kind": "people", "name": "people", "study": str(queue), "queue": True},
    }
    (tmp_path / "heldout.yaml").write_text(yaml.safe_dump([settings]), "utf-8")
    run = shutil.copytree(evaluated, tmp_path / "run")
    words = ["evaluate", f"run={run}", f"heldout_judges={tmp_path}/heldout.yaml", "questions.heldout=4"]
    assert main([*words, "evaluation.attacks=0"]) == 0
    table = pd.read_parquet(run / "verdicts.parquet")
    of = table[(table["judge"] == "unsure") & (table["matchup"] == "self")]
    db = database.connect(queue)
    assert {wanted for (wanted,) in db.execute("SELECT wanted FROM debate")} == {3} and not of["valid"].all()
    added = [
        json.loads(row["transcript"])["record"] for row in db.execute("SELECT * FROM debate WHERE condition IS NULL")
    ]
    assert all(speech["policy"] == "" for record in added for speech in record["speeches"])
    assert all(record["speeches"] for record in added), "nobody reads a question without a debate"
    db.execute("INSERT INTO judge (id, number, state) VALUES ('ann', 0, 'main')")
    while (place := places.take(db, "ann", "main", 0, 60)) is not None:
        verdicts.submit(db, "ann", place.id, Sent(str(place.id), 0.8, "So it says.", 60), 60)
    judged = {shown for (shown,) in db.execute("SELECT d.shown FROM debate d JOIN place p ON p.debate = d.id")}
    assert main([*words, "evaluation.attacks=0"]) == 0
    again = pd.read_parquet(run / "verdicts.parquet")
    again = again[(again["judge"] == "unsure") & (again["matchup"] == "self")]
    assert judged and again["valid"].sum() == len(judged), "a judge meets a question once, in one seating"
    assert len(added) == db.execute("SELECT count(*) FROM debate").fetchone()[0], "nothing is put there twice"
    capsys.readouterr()
    assert main(["people", "results", str(queue)]) == 0
    told = " ".join(capsys.readouterr().out.split())
    assert f"In the queue: {len(added)} debates, of which 0 judged, {len(judged)} begun" in told
    assert "Not as declared" not in told and "Nobody has judged" not in told


def test_a_queue_knows_no_answers(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for word in ("people.gold=2", "people.live=true", "people.check=panel"):
        assert main(["people", "new", f"output={tmp_path}/queue", "queue=true", word]) == 2
        assert "needs debates whose answers are known" in " ".join(capsys.readouterr().err.split())
    for words in (["queue=true", "runs=runs/x"], ["queue=yes"], []):
        assert main(["people", "new", f"output={tmp_path}/queue", *words]) == 2
        assert "or queue=true" in " ".join(capsys.readouterr().err.split())
    assert not (tmp_path / "queue").exists()
