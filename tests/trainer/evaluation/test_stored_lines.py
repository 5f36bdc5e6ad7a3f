"""Lines beside the summary are written as the report reads them, to the byte, whichever release wrote them."""

import json
from dataclasses import asdict
from pathlib import Path

import pytest

from rostrum.rewards.audit.attacks import AttackResult
from rostrum.rewards.statistics import Interval
from rostrum.trainer.evaluation.stored_lines import AttackRecord, TrainingAccuracy
from rostrum.trainer.records import Record

STORED = Path(__file__).parents[2] / "fixtures" / "schema-1"


@pytest.mark.parametrize(
    ("file", "kind"), [("attacks.jsonl", AttackRecord), ("training_accuracy.jsonl", TrainingAccuracy)]
)
def test_what_the_first_edition_stored_is_written_again_to_the_byte(file: str, kind: type[Record]) -> None:
    lines = (STORED / file).read_text("utf-8").splitlines()
    assert lines and [json.dumps(kind.model_validate(json.loads(line)).stored()) for line in lines] == lines


def test_a_result_is_stored_as_it_is_read() -> None:
    nothing, shift = Interval(*[float("nan")] * 3, n=0), Interval(0.1, 0.0, 0.2, 4)
    result = AttackResult("stating the verdict", 4, 0, 0, nothing, 0.25, shift, 0.0, 0.5, 1 / 3)
    made = AttackRecord(arm="a", checkpoint="base", iteration=0, matchup="self", judge="j", **asdict(result)).stored()
    assert AttackRecord.model_validate(made).stored() == made
    assert list(made) == [*("arm", "checkpoint", "iteration", "matchup", "judge"), *asdict(result)]
    assert made["success"] == {"estimate": None, "low": None, "high": None, "n": 0}
    assert made["right_attacked"] == 0.333333
