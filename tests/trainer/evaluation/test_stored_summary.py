"""summary.json is written and read by the same classes, to the byte, whichever release wrote it."""

import json
from pathlib import Path

import pandas as pd
import pytest

from rostrum.trainer.evaluation.family import Comparison
from rostrum.trainer.evaluation.preregistration.experiment import summary_of
from rostrum.trainer.evaluation.summarise import summarise
from rostrum.trainer.evaluation.summary import Summary
from rostrum.trainer.reading import DamagedError
from tests.trainer.evaluation.test_family import SEEDS, TABLE
from tests.trainer.evaluation.test_summary import _consultancy, _debate, _references

STORED = Path(__file__).parents[2] / "fixtures" / "schema-1"
ACCURACY = "judge role base trained change low high p n_questions n_stories n_invalid invalid".split()
SCORES = "brier log_score".split()
TESTED = "primary p_adjusted headline".split()


def test_what_the_first_edition_stored_is_written_again_to_the_byte(tmp_path: Path) -> None:
    stored = (STORED / "summary.json").read_bytes()
    for summary in (Summary.read(STORED / "summary.json"), summary_of(STORED)):
        summary.write(tmp_path / "summary.json")
        assert (tmp_path / "summary.json").read_bytes() == stored


def test_what_is_written_is_read_as_it_was(tmp_path: Path) -> None:
    table = pd.DataFrame([*_debate(), *_consultancy(), *_references()])
    controls = {"debate-s1": "other", "debate-s2": "other", "debate": None}
    for made in (summarise(table, controls=controls), summarise(TABLE, [SEEDS], "half", Comparison("other", "small"))):
        made.write(tmp_path / "summary.json")
        assert Summary.read(tmp_path / "summary.json") == made


def test_keys_stand_in_their_order_and_only_where_they_mean_something() -> None:
    summary = summarise(TABLE, [SEEDS], controls={"debate-s1": "other", "debate-s2": "other"}).stored()
    (pooled,), alone = summary["pooled"], summary["arms"][2]
    intervals = ["base_interval", "trained_interval"]
    assert list(alone["accuracy"][0]) == [*ACCURACY, *intervals, *SCORES, *TESTED]
    seeds = ["seed_changes", "seeds_interval", "on_seeds"]
    assert list(pooled["accuracy"][0]) == [*ACCURACY, *seeds, *SCORES, *TESTED]
    difference = pooled["control"]["accuracy"][0]
    assert list(difference) == [name for name in ACCURACY if name != "n_invalid"] + TESTED[1:]
    assert list(difference["invalid"]["half"]) == [*ACCURACY[2:10], *TESTED[1:]]
    assert list(pooled["control"]) == ["name", "accuracy", "sentence"] and "control" not in alone
    assert list(pooled)[:5] == ["name", "protocol", "arms", "seeds", "minimum_detectable_change"]
    assert list(alone)[-3:] == ["checkpoints", "headline", "sentence"] and "checkpoints" not in pooled
    assert list(summary["family"]) == ["correction", "size", "primary"] and summary["family"]["primary"] is None


def test_a_null_is_as_good_as_a_missing_key_and_no_number_is_not_known(tmp_path: Path) -> None:
    path, arm = tmp_path / "summary.json", {"name": "a", "win_rate": None, "accuracy": [{"judge": "j", "p": None}]}
    path.write_text(json.dumps({"schema_version": 1, "pooled": None, "arms": [arm], "of tomorrow": 1}))
    (found,) = Summary.read(path).arms
    assert found.win_rate.estimate is None and found.accuracy[0].p is None and found.accuracy[0].headline is None
    path.write_text(path.read_text().replace('"p": null', '"p": NaN'))
    assert Summary.read(path).arms[0].accuracy[0].p is None


@pytest.mark.parametrize("text", ['{"arms": []}', '{"schema_version": 2}', "{", '{"schema_version": 1, "arms": [{}]}'])
def test_what_is_no_summary_is_refused(tmp_path: Path, text: str) -> None:
    (tmp_path / "summary.json").write_text(text)
    with pytest.raises(DamagedError, match="summary.json cannot be read .*: run `rostrum evaluate` again"):
        Summary.read(tmp_path / "summary.json")
