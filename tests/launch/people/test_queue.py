"""The queue of a cascade: what a model is unsure of is judged by people at the pages, and read as a verdict then."""

from pathlib import Path

import pandas as pd
import pytest

from rostrum.launch.people.scripted import WHY
from rostrum.rewards.judges.people import PENDING, People
from rostrum.rewards.people import database
from rostrum.trainer.config import people
from rostrum.trainer.evaluation.people import results
from rostrum.trainer.evaluation.people.exporting import export
from tests.launch.people import pages
from tests.launch.people.pages import Judge, forms
from tests.rewards.people.study import transcript


@pytest.mark.parametrize("feedback", ["never", "always"])
def test_people_work_off_what_is_queued(tmp_path: Path, feedback: str) -> None:
    """Two judges: each gives 80 % to the answer that it is shown first, which is another for the second judge. Where a
    study tells judges if they were right, it has nothing to tell of a debate whose answer nobody knows."""
    pages.make(tmp_path).close()
    unsure = transcript(99, 0)
    (waiting,) = People("people", tmp_path, queue=True).judge([unsure])
    assert not waiting.valid and waiting.reason == PENDING
    settings = people.People(
        words=3, training=0, qualification=0, qualify_accuracy=0, qualify_brier=1, reading="whole", feedback=feedback
    )
    for _ in range(2):
        judge = Judge(tmp_path, settings, [1_000_000.0])
        page = judge.join()
        while "/survey" not in forms(page):
            asked = "/judge" in forms(page)
            page = judge.send(page, "/judge", p="80", explanation=WHY) if asked else judge.get()
            assert page.status_code == 200
    (verdict,) = People("people", tmp_path, queue=True).judge([unsure])
    assert verdict.valid and verdict.readings >= 1
    db = database.connect(tmp_path)
    ps = [
        p
        for (p,) in db.execute(
            "SELECT v.p FROM verdict v JOIN place p ON p.id = v.place JOIN debate d ON d.id = p.debate "
            "WHERE d.condition IS NULL"
        )
    ]
    assert verdict.given == pytest.approx(sum(ps) / len(ps))
    assert all(each.question != unsure.question.id for each in results.read(db)), "of no checkpoint, so in no result"
    export(db, tmp_path / "export")
    table = pd.read_parquet(tmp_path / "export" / "verdicts.parquet")
    queued = table[table["correct"].isna()]
    assert sorted(queued["p_a"]) == sorted(ps) and queued["p_right"].isna().all()
    assert table["p_right"].notna().sum() == len(table) - len(ps)
