"""A run that the first edition stored (schema 1: seats and plies) is reported on, verified and exported."""

import json
import shutil
import zipfile
from pathlib import Path

import pytest

from rostrum.envs import transcripts
from rostrum.envs.types import Side, Transcript
from rostrum.launch import saved
from rostrum.launch.cli import main

STORED = Path(__file__).parents[1] / "fixtures" / "schema-1"


@pytest.fixture
def run(tmp_path: Path) -> Path:
    return Path(shutil.copytree(STORED, tmp_path / STORED.name))


def test_its_transcripts_are_read_as_those_of_today(run: Path) -> None:
    found = list(transcripts.read(run / "transcripts.jsonl"))
    assert len(found) == 8 and all(isinstance(record, Transcript) for record in found)
    for record in found:
        assert isinstance(record, Transcript)
        assert [(s.speaker, s.side, s.turn) for s in record.speeches] == [
            ("AB"[turn % 2], Side("AB"[turn % 2]), turn) for turn in range(4)
        ]
        assert record.protocol == saved.run_config(run).protocol
        assert transcripts.from_json(transcripts.to_json(record)) == record


def test_it_verifies(run: Path, capfd: pytest.CaptureFixture[str]) -> None:
    assert main(["verify", f"run={run}"]) == 0
    assert "10 checks match, 0 do not, 0 could not be made" in capfd.readouterr().out


def test_its_report_says_what_it_said(run: Path) -> None:
    before = json.loads((run / "summary.json").read_text("utf-8"))
    (run / "summary.json").unlink()
    assert main(["report", f"run={run}"]) == 0
    assert json.loads((run / "summary.json").read_text("utf-8")) == before


def test_its_debates_are_exported(run: Path, tmp_path: Path) -> None:
    assert main(["export-logs", f"run={run}", f"output={tmp_path}/logs"]) == 0
    logs = sorted((tmp_path / "logs").glob("*.eval"))
    assert len(logs) == 3
    with zipfile.ZipFile(logs[0]) as log:
        name = next(name for name in log.namelist() if name.startswith("samples/"))
        said = [message for message in json.loads(log.read(name))["messages"] if message["role"] == "assistant"]
    assert [message["metadata"]["speaker"] for message in said] == ["A", "B", "A", "B"]
