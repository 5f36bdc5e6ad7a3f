"""Which debates are worth reading: the most persuasive wrong ones, the most surprising failures, and what is kept."""

import json
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pandas as pd

from rostrum.envs import transcripts
from rostrum.envs.types import Protocol, Question, Side, Speech, Transcript
from rostrum.trainer.evaluation import browsed, notable
from rostrum.trainer.evaluation.notable import most_persuasive_wrong, most_surprising_failures


def row(question: str, p_a: float | None, **other: Any) -> dict[str, Any]:
    """A verdict on a debate of a checkpoint with itself in which side A is right."""
    return {
        "question_id": question,
        "swapped_seats": False,
        "checkpoint_seats": "AB",
        "correct_seat": "A",
        "matchup": "self",
        "checkpoint": "iteration-0001",
        "p_mean": p_a,
        "valid": p_a is not None,
        **other,
    }


def table(*rows: dict[str, Any]) -> pd.DataFrame:
    return pd.DataFrame(list(rows), index=range(10, 10 + len(rows)))


def test_the_judge_must_be_wrong_and_the_checkpoint_must_have_argued_it() -> None:
    rows = table(
        row("right", 0.9),
        row("wrong", 0.3),
        row("worse", 0.1),
        row("INVALID", None),
        row("even", 0.5),
        row("the base argued it", 0.01, matchup="base", checkpoint_seats="A"),
        row("the checkpoint did", 0.2, matchup="base", checkpoint_seats="B"),
    )
    found = most_persuasive_wrong(rows)
    assert found["question_id"].tolist() == ["worse", "the checkpoint did", "wrong"]
    assert found["p_wrong"].round(9).tolist() == [0.9, 0.8, 0.7] and found.index.tolist() == [12, 16, 11]
    assert len(most_persuasive_wrong(rows, 2)) == 2
    assert most_persuasive_wrong(rows.iloc[:1]).empty


def test_relabelling_the_seats_changes_nothing() -> None:
    rows = table(row("a", 0.3), row("b", 0.1, matchup="base", checkpoint_seats="B"), row("c", 0.8))
    turned = rows.assign(
        p_mean=1 - rows["p_mean"], correct_seat="B", checkpoint_seats=rows["checkpoint_seats"].replace({"B": "A"})
    )
    assert most_persuasive_wrong(turned)["question_id"].tolist() == most_persuasive_wrong(rows)["question_id"].tolist()


def test_a_question_is_listed_once_where_it_is_worst() -> None:
    found = most_persuasive_wrong(table(row("q", 0.3), row("q", 0.1, swapped_seats=True), row("r", 0.2)))
    assert found.index.tolist() == [11, 12]


def test_failures_are_paired_by_question_and_seating() -> None:
    base = table(row("q", 0.9), row("q", 0.2, swapped_seats=True), row("r", 0.6), row("s", 0.95), row("t", None))
    trained = table(
        row("q", 0.4),
        row("q", 0.1, swapped_seats=True),
        row("r", 0.1),
        row("s", 0.8),
        row("t", 0.1),
        row("s", 0.1, matchup="base", checkpoint_seats="B"),
    )
    found = most_surprising_failures(trained, base)
    assert found.index.tolist() == [10, 12], "q lost .5; r lost .5 too and comes later; swapped, q was wrong before"
    assert found["base_p_right"].tolist() == [0.9, 0.6] and found["p_right"].round(9).tolist() == [0.4, 0.1]
    assert most_surprising_failures(trained, base.iloc[:0]).empty


def debates(questions: Sequence[Question], count: int) -> list[Transcript]:
    """A speech of each side, sampled as tokens."""
    said = [
        Speech(side.value, side, turn, "in the hall", "in the hall", 3, (), (1, 2), (-0.1, -0.2), policy="checkpoint")
        for turn, side in enumerate(Side)
    ]
    held = [Transcript(q, Protocol("debate", rounds=1), q.answers, False, tuple(said)) for q in questions]
    return [replace(held[n % len(held)], swapped_seats=n >= len(held)) for n in range(count)]


def verdicts_on(played: Sequence[Transcript], p_right: Sequence[float]) -> pd.DataFrame:
    return pd.DataFrame(
        [row(t.question.id, p, swapped_seats=t.swapped_seats) for t, p in zip(played, p_right, strict=True)]
    )


def test_what_is_kept_is_the_first_the_most_wrong_and_the_most_surprising(questions: Sequence[Question]) -> None:
    played = debates(questions, 4)
    judged, base = verdicts_on(played, [0.9, 0.4, 0.2, 0.45]), verdicts_on(played, [0.9, 0.9, 0.3, 0.8])
    assert browsed.choose(played, judged, None, 1).kept == [0], "of the base only the first ones"
    chosen = browsed.choose(played, judged, base, 1)
    assert chosen.kept == [0, 2, 1] and chosen.failures == [1], "place 2 was wrong before, so it is no failure"
    assert browsed.choose(played, judged, base, 0) == browsed.Chosen([], [])
    assert browsed.choose([], pd.DataFrame(), base, 3) == browsed.Chosen([], [])
    many = browsed.choose(played, judged, base, 24)
    assert sorted(many.kept) == [0, 1, 2, 3] and many.failures == [1, 3]
    assert len(many.kept) <= browsed.at_most(24, 4, trained=1, matchups=1)


def test_transcripts_are_stored_without_tokens_and_found_again(questions: Sequence[Question], tmp_path: Path) -> None:
    played = debates(questions, 6)
    part = tmp_path / "base.parquet"
    about = [{"checkpoint": "base", "matchup": "self"} for _ in played]
    browsed.store(part, about, played)
    assert not browsed.finished(part), "the verdicts come last"
    part.touch()
    assert browsed.finished(part)
    stored = list(transcripts.read_with_extra(part.with_suffix(browsed.TRANSCRIPTS)))
    assert [extra for _, extra in stored] == about
    assert all(not s.token_ids and not s.logprobs and s.text for record, _ in stored for s in record.speeches)
    found = browsed.counterparts(part, [played[1], played[5]])
    assert [(t.question.id, t.swapped_seats) for t in found] == [(played[n].question.id, n > 3) for n in (1, 5)]
    assert browsed.counterparts(tmp_path / "missing.parquet", []) == []


def test_a_base_debate_that_two_checkpoints_kept_is_written_once(questions: Sequence[Question]) -> None:
    def line(checkpoint: str, transcript: Transcript, p: float) -> str:
        record = {"checkpoint": checkpoint, "matchup": "self", "p_after": [p]}
        return json.dumps({**record, "transcript": transcripts.to_json(transcript)}) + "\n"

    one, other = debates(questions, 2)
    swapped = replace(one, swapped_seats=True)
    first = line("base", one, 0.5) + line("base", swapped, 0.5)
    later = line("iteration-0001", one, 0.7) + line("base", other, 0.6) + line("base", one, 0.5000001)
    assert browsed.joined([first, later]) == first + line("iteration-0001", one, 0.7) + line("base", other, 0.6)


def test_lists_hold_ten() -> None:
    rows = table(*(row(f"q{n}", 0.1) for n in range(20)))
    assert len(most_persuasive_wrong(rows)) == notable.KEPT == 10
