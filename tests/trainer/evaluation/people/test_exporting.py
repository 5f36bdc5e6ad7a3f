"""What is exported: all figures, in three formats, and nobody's name."""

import csv
import io
import json
import sqlite3
from pathlib import Path

import pandas as pd
import pytest

from rostrum.rewards.people import controls, mail, places, verdicts
from rostrum.rewards.people.verdicts import Sent
from rostrum.trainer.evaluation.people.exporting import export, harmless
from tests.rewards.people import study

FORMULA = '=HYPERLINK("http://evil.example","x")'


@pytest.fixture
def db(tmp_path: Path) -> sqlite3.Connection:
    db = study.make(tmp_path, questions=2, conditions=1, wanted=2, judges=2)
    db.execute("INSERT INTO answer SELECT id, 'B' FROM debate")
    for who, name, contact, outside in (
        ("j0", "Zoë Planted", "zoe@example.org", "5f9outside"),
        ("j1", None, None, None),
    ):
        db.execute(
            "INSERT INTO person (judge, name, contact, outside_id) VALUES (?, ?, ?, ?)", (who, name, contact, outside)
        )
    for who, p, why in (("j0", 0.8, FORMULA), ("j1", 0.3, "I asked zoë planted, and j0 said\nso.")):
        place = places.take(db, who, "main", 1, 60)
        assert place is not None
        verdicts.step(db, who, place.id, 0, 0.5, 5, 9, 4.5)
        verdicts.submit(db, who, place.id, Sent(who, p, why, 10, None), 10)
    mail.send(db, "j0", "judge", "Write to ZOE@example.org, 5f9outside.", 11)
    db.execute("INSERT INTO survey VALUES ('j0', ?, 1)", (json.dumps({"text": "Zoë Planted was here"}),))
    controls.adjudicate(db, 0, 0.25, "-2 is what it says.", 12)
    return db


def test_three_formats_hold_the_same(db: sqlite3.Connection, tmp_path: Path) -> None:
    out = tmp_path / "out"
    out.mkdir()
    rows = export(db, out)
    assert rows == {"verdicts": 2, "steps": 2, "judges": 2, "debates": 2, "messages": 1}
    for name, count in rows.items():
        lines = [json.loads(line) for line in (out / f"{name}.jsonl").read_text("utf-8").splitlines()]
        parquet = pd.read_parquet(out / f"{name}.parquet")
        table = list(csv.DictReader(io.StringIO((out / f"{name}.csv").read_text("utf-8"))))
        assert len(lines) == len(parquet) == len(table) == count
        assert list(lines[0]) == list(parquet.columns) == list(table[0])
    found = {row["p_a"]: row for row in map(json.loads, (out / "verdicts.jsonl").read_text("utf-8").splitlines())}
    assert found[0.8]["p_right"] == pytest.approx(0.2) and found[0.8]["explanation"] == FORMULA
    assert found[0.8]["active_seconds"] is None and found[0.8]["seconds_with_rounds"] == 14.5
    assert found[0.8]["checkpoint"] == "it0" and found[0.8]["counts"] == 1
    decided = pd.read_parquet(out / "debates.parquet").set_index("debate").loc[0]
    assert decided["decided_p_a"] == 0.25 and decided["correct"] == "B"


def test_nobody_is_named(db: sqlite3.Connection, tmp_path: Path) -> None:
    out = tmp_path / "out"
    out.mkdir()
    export(db, out)
    for path in out.iterdir():
        if path.suffix == ".parquet":
            text = pd.read_parquet(path).to_json(force_ascii=False).lower()
        else:
            text = path.read_text("utf-8").lower()
        for secret in ("planted", "example.org", "5f9outside", '"j0"', '"j1"', " j0 "):
            assert secret not in text, (path, secret)
    judges = {row["judge"] for row in map(json.loads, (out / "verdicts.jsonl").read_text().splitlines())}
    assert len(judges) == 2 and all(judge.startswith("person-") for judge in judges)
    text = (out / "verdicts.jsonl").read_text("utf-8")
    assert "I asked [removed], and person-" in text and "said\\nso." in text


def test_pseudonyms_are_of_this_export_alone_unless_ids_are_kept(db: sqlite3.Connection, tmp_path: Path) -> None:
    found = []
    for number, keep in enumerate((False, False, True)):
        out = tmp_path / f"out{number}"
        out.mkdir()
        export(db, out, keep)
        found.append({row["judge"] for row in map(json.loads, (out / "judges.jsonl").read_text().splitlines())})
    assert not found[0] & found[1] and found[2] == {"j0", "j1"}


def test_no_cell_is_a_formula(db: sqlite3.Connection, tmp_path: Path) -> None:
    for text in (FORMULA, "+1", "-1", "@x", " =1", "\t=1", "\r=1", "＝1", "\n=1", "\tx"):
        assert harmless(text) == f"'{text}"
    for cell in ("a=1", "", 0.5, -1, None):
        assert harmless(cell) == cell
    out = tmp_path / "out"
    out.mkdir()
    export(db, out)
    for path in out.glob("*.csv"):
        for row in csv.reader(io.StringIO(path.read_text("utf-8"))):
            assert not [cell for cell in row if cell.startswith(("=", "+", "-", "@"))], path


def test_an_empty_study_is_exported(tmp_path: Path) -> None:
    db = study.make(tmp_path, questions=0, conditions=1, wanted=1, judges=0)
    out = tmp_path / "out"
    out.mkdir()
    assert set(export(db, out).values()) == {0}
    assert len(list(out.iterdir())) == 15
    assert list(pd.read_parquet(out / "messages.parquet")) == ["judge", "sender", "debate", "text", "at", "read"]
    assert (out / "messages.csv").read_text().startswith('"judge","sender"')
