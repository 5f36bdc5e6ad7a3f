"""Labelled debates: what is stored comes back, and a debate without a label is told."""

import json
from pathlib import Path

import pytest

from rostrum.envs.types import AnswerKey, Protocol, Question, Side, Transcript
from rostrum.rewards.labelled import Labelled, LabelledError, read, with_key, write

QUESTION = Question("q", "s", "where ?", ("kitchen", "garden"), "")
DEBATE = Transcript(QUESTION, Protocol("debate"), QUESTION.answers, False)


def test_the_label_follows_the_seat_that_holds_the_right_answer() -> None:
    (kept, turned) = with_key([DEBATE, DEBATE.swapped()], AnswerKey({"q": 0}))
    assert (kept.target, kept.correct) == (1.0, Side.A)
    assert (turned.target, turned.correct) == (0.0, Side.B)
    assert kept.swapped() == turned


@pytest.mark.parametrize("target", [0.0, 1.0, 0.8])
def test_what_was_written_is_read_back(tmp_path: Path, target: float) -> None:
    write(tmp_path / "debates.jsonl", [Labelled(DEBATE, target)])
    assert read(tmp_path / "debates.jsonl") == [Labelled(DEBATE, target)]


def test_gold_labels_are_stored_by_seat(tmp_path: Path) -> None:
    write(tmp_path / "debates.jsonl", [Labelled(DEBATE, 0.0)])
    assert json.loads((tmp_path / "debates.jsonl").read_text())["extra"] == {"correct_seat": "B"}


@pytest.mark.parametrize("extra", [{}, {"correct_seat": "C"}, {"target": 1.5}, {"target": "A"}])
def test_a_debate_without_a_label_is_named(tmp_path: Path, extra: dict[str, object]) -> None:
    from rostrum.envs import transcripts

    transcripts.write(tmp_path / "debates.jsonl", [DEBATE], extra=[extra])
    with pytest.raises(LabelledError, match="record 1"):
        read(tmp_path / "debates.jsonl")
    with pytest.raises(LabelledError, match="no file"):
        read(tmp_path / "other.jsonl")
