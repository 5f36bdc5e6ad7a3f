"""One schema, one writer and one reader for the verdicts of evaluations, comparisons and tournaments."""

from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow.parquet
import pytest

from rostrum.envs.types import AnswerKey, Protocol, Question, Transcript
from rostrum.rewards.types import Verdict
from rostrum.trainer.evaluation.verdict_rows import of_verdict, row
from rostrum.trainer.evaluation.verdict_table import (
    ALLOWED,
    DESCRIPTIONS,
    EVALUATION,
    KINDS,
    PLAYED,
    Schema,
    VerdictTableError,
    write_verdicts,
)
from rostrum.trainer.reading import DamagedError

STORED = Path(__file__).parents[2] / "fixtures" / "schema-1" / "verdicts.parquet"
QUESTION = Question("q", "s", "Where?", ("here", "there"), "A passage.")
MET = {"seat_a": "base", "seat_b": "run 2", "words_a": 3, "words_b": 4, "verified_a": 0, "verified_b": 1}


def _verdict(valid: bool = True) -> dict[str, object]:
    transcript = Transcript(QUESTION, Protocol("debate"), QUESTION.answers, swapped_seats=False)
    given = Verdict("small", 0.7, 0.5) if valid else Verdict("small", None, None, valid=False, reason="none")
    return of_verdict(transcript, given, AnswerKey({"q": 1}))


def test_every_column_is_described_and_of_a_kind() -> None:
    assert set(KINDS) == set(DESCRIPTIONS) and set(ALLOWED) <= set(KINDS)
    for schema in (EVALUATION, PLAYED):
        assert set(schema.needed) <= set(DESCRIPTIONS)
    transcript = Transcript(QUESTION, Protocol("debate"), QUESTION.answers, swapped_seats=False)
    assert set(row(transcript, Verdict("small", 0.7, 0.5), AnswerKey({"q": 1}))) <= set(DESCRIPTIONS)


def test_evaluations_and_tournaments_say_the_same_of_a_verdict(tmp_path: Path) -> None:
    tables = {"e.parquet": {}, "t.parquet": MET}
    for name, met in tables.items():
        write_verdicts(pd.DataFrame([_verdict() | met, _verdict(valid=False) | met]), tmp_path / name)
    of = Schema(tuple(_verdict()), "write it again")
    one, other = (of.read(tmp_path / name) for name in tables)
    assert one.equals(other[list(one)]) and list(one["p_mean"][:1]) == [0.6] and np.isnan(one["p_mean"][1])
    assert list(other.columns[-len(MET) :]) == list(MET) and PLAYED.read(tmp_path / "t.parquet").equals(other)
    described = pyarrow.parquet.read_schema(tmp_path / "t.parquet").field("seat_a").metadata
    assert described[b"description"].decode() == DESCRIPTIONS["seat_a"]


def test_a_tournament_of_an_earlier_release_is_read(tmp_path: Path) -> None:
    later = ("p_given", "p_swapped", "cause", "unreadable")
    write_verdicts(pd.DataFrame([_verdict() | MET]).drop(columns=list(later)), tmp_path / "old.parquet")
    write_verdicts(pd.DataFrame([_verdict() | MET]), tmp_path / "new.parquet")
    read = PLAYED.read(tmp_path / "old.parquet", tmp_path / "new.parquet")
    assert list(read["p_mean"]) == [0.6, 0.6] and read["p_given"].isna().tolist() == [True, False]


def test_what_the_first_edition_stored_is_read_and_is_no_tournament() -> None:
    assert len(EVALUATION.read(STORED)) == len(pd.read_parquet(STORED))
    with pytest.raises(DamagedError, match="lacks seat_a, .*: play the tournament again"):
        PLAYED.read(STORED)


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"p_mean": np.nan}, "1 verdicts are valid but have no probability"),
        ({"correct_seat": "C"}, "must hold 'A', 'B'"),
    ],
)
def test_a_tournament_is_checked_like_an_evaluation(change: dict[str, object], told: str) -> None:
    with pytest.raises(VerdictTableError, match=told):
        PLAYED.check(pd.DataFrame([_verdict() | MET | change]))
