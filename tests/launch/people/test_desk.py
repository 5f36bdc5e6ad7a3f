"""What a researcher does from the command line, and what is refused."""

import io
import json
import re
import socket
from collections.abc import Callable
from pathlib import Path

import pytest

from rostrum.launch.cli import COMMANDS, main
from rostrum.launch.commands.people import DESK
from rostrum.launch.people import access, desk, password, serving
from rostrum.rewards.people import controls, database, mail, places, verdicts
from rostrum.rewards.people.verdicts import Sent
from rostrum.trainer.config.people import People
from tests.launch.people import pages

PASSWORD = "correct horse battery"


@pytest.fixture
def study(tmp_path: Path) -> Path:
    folder = tmp_path / "study"
    folder.mkdir()
    db = pages.make(folder)
    access.invite(db, "Zoë", "zoe@example.org")
    made = {"runs": ["runs/first"], "seed": 0, "people": People().model_dump(mode="json")}
    (folder / "study.json").write_text(json.dumps(made))
    return folder


def judge_of(study: Path) -> str:
    db = database.connect(study)
    db.execute("UPDATE judge SET state = 'main'")
    (judge,) = db.execute("SELECT id FROM judge").fetchone()
    return str(judge)


def test_the_password_comes_from_standard_input(
    study: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str], refused: Callable[..., str]
) -> None:
    monkeypatch.setattr("sys.stdin", io.StringIO("too short\n"))
    assert "has 9 characters: give one of 12" in refused("people", "password", str(study))
    monkeypatch.setattr("sys.stdin", io.StringIO(f"{PASSWORD}\n"))
    assert main(["people", "password", str(study)]) == 0
    assert password.is_right(database.connect(study), PASSWORD)
    assert PASSWORD not in capfd.readouterr().out
    assert "is not known here" in refused("people", "password", str(study), f"password={PASSWORD}")


def test_a_study_is_paused_written_to_and_changed(study: Path, tmp_path: Path) -> None:
    judge, name = judge_of(study), str(study)
    db = database.connect(study)
    assert main(["people", "pause", name]) == 0 and controls.is_paused(db)
    assert main(["people", "resume", name]) == 0 and not controls.is_paused(db)
    assert main(["people", "message", name, f"judge={judge}", "text=Hello."]) == 0
    assert main(["people", "message", name, "judge=all", "text=Hello all."]) == 0
    assert [message.text for message in mail.messages(db, judge)] == ["Hello.", "Hello all."]
    (tmp_path / "new.md").write_text("Read twice.")
    assert main(["people", "guidelines", name, f"file={tmp_path}/new.md"]) == 0
    assert db.execute("SELECT max(version) FROM guidelines").fetchone()[0] == 2


def test_a_study_is_exported_and_a_person_removed(
    study: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str], refused: Callable[..., str]
) -> None:
    judge, name = judge_of(study), str(study)
    assert main(["people", "export", name, f"output={tmp_path}/out"]) == 0
    assert "1 judges" in " ".join(capfd.readouterr().out.split())
    written = {path.suffix for path in (tmp_path / "out").iterdir() if path.name != ".lock"}
    assert written == {".parquet", ".csv", ".jsonl"}
    assert "is not empty" in refused("people", "export", name, f"output={tmp_path}/out")
    assert main(["people", "delete", name, f"judge={judge}", "keep=verdicts"]) == 0
    told = " ".join(capfd.readouterr().out.split())
    (new,) = database.connect(study).execute("SELECT id FROM judge").fetchone()
    assert new != judge and f"stay as those of {new}" in told and "backups" in told
    assert main(["people", "delete", name, f"judge={new}", "keep=nothing"]) == 0


def test_what_is_missing_is_told(study: Path, refused: Callable[..., str]) -> None:
    name = str(study)
    assert "Say to whom and what" in refused("people", "message", name, "judge=all")
    assert "Name a file" in refused("people", "guidelines", name, "file=nothing.md")
    assert "Name a folder" in refused("people", "export", name)
    assert "ids=kept" in refused("people", "export", name, "output=x", "ids=all")
    assert "keep=nothing" in refused("people", "delete", name, "judge=x")
    assert "There is no judge x" in refused("people", "delete", name, "judge=x", "keep=nothing")


def test_the_researchers_pages_are_served_with_a_password_alone(study: Path, refused: Callable[..., str]) -> None:
    name = str(study)
    assert "need a password: set one with" in refused("people", "serve", name, "researcher_port=8001")
    assert "is no port" in refused("people", "serve", name, "port=x")
    assert "is not known here" in refused("people", "serve", name, "prot=8000")
    db = database.connect(study)
    judges, researcher = serving.places(study, People(), db, [])
    assert str(judges) == "http://127.0.0.1:8000" and researcher is None
    password.keep(db, PASSWORD)
    judges, researcher = serving.places(study, People(), db, ["host=0.0.0.0", "port=80", "https=true"])
    assert str(judges) == "http://0.0.0.0:80" and judges.site.secure
    assert str(researcher) == "http://127.0.0.1:8001", "whatever the judges' pages listen on"
    assert researcher is not None and not researcher.site.secure
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        assert "choose another port=PORT" in refused("people", "serve", name, f"port={port}")
        told = refused("people", "serve", name, "port=18733", f"researcher_port={port}")
        assert "choose another researcher_port=PORT" in told


def test_decisions_stand_beside_the_results(study: Path, capfd: pytest.CaptureFixture[str]) -> None:
    db = database.connect(study)
    place = places.take(db, judge_of(study), "main", 1, 60)
    assert place is not None
    verdicts.submit(db, judge_of(study), place.id, Sent("k", 0.8, "So.", 9), 10)
    controls.adjudicate(db, place.debate, 0.1, "It is the other way round.", 11)
    assert main(["people", "results", str(study)]) == 0
    assert "A researcher decided about 1 debate: for the right answer on" in " ".join(capfd.readouterr().out.split())


def test_the_verbs_of_the_help_are_those_of_the_command(capfd: pytest.CaptureFixture[str]) -> None:
    assert main(["people"]) == 2
    told = re.search(r"rostrum people (\S+) KEY=VALUE", " ".join(capfd.readouterr().err.split()))
    (command,) = [each for each in COMMANDS if each.name == "people"]
    assert told is not None and command.words.startswith(told[1] + " ")
    assert all(callable(getattr(desk, verb)) for verb in DESK)
