"""Transcripts stored by earlier releases lack fields that have come since: they read as what they were."""

import json
from collections.abc import Sequence
from pathlib import Path

from rostrum.envs import transcripts
from rostrum.envs.types import Protocol, Question, Transcript

SINCE = ("debaters_hear_each_other", "judged_apart")


def test_protocols_without_the_newer_fields_are_debates_judged_together(
    questions: Sequence[Question], tmp_path: Path
) -> None:
    stored = transcripts.to_json(Transcript(questions[0], Protocol("debate"), questions[0].answers, False))
    for name in SINCE:
        del stored["record"]["protocol"][name]
    (tmp_path / "old.jsonl").write_text(json.dumps(stored) + "\n")
    (read,) = transcripts.read(tmp_path / "old.jsonl")
    assert isinstance(read, Transcript) and read.protocol == Protocol("debate")
    assert read.protocol.debaters_hear_each_other and not read.protocol.judged_apart


def test_the_newer_fields_come_back(questions: Sequence[Question], tmp_path: Path) -> None:
    apart = Protocol("ensembled", debaters_hear_each_other=False, judged_apart=True)
    record = Transcript(questions[0], apart, questions[0].answers, False)
    transcripts.write(tmp_path / "new.jsonl", [record])
    assert list(transcripts.read(tmp_path / "new.jsonl")) == [record]
