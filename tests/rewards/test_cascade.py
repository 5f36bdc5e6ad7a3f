"""Who decides in a cascade, what each judge is asked, and what it costs."""

from collections.abc import Sequence
from pathlib import Path

import pytest

from rostrum.envs.types import Protocol, Question, Transcript
from rostrum.rewards.judges import JudgeError
from rostrum.rewards.judges.cascade import Cascade, Settings
from rostrum.rewards.types import Usage, Verdict


def debate(number: int) -> Transcript:
    question = Question(f"q{number}", "s", "where ?", ("kitchen", "garden"), "")
    return Transcript(question, Protocol("debate"), question.answers, False)


class Planted:
    """Gives each question the probability that it was planted with, None for INVALID."""

    def __init__(self, name: str, opinions: Sequence[float | None]) -> None:
        self.name, self.opinions, self.asked = name, opinions, []

    @property
    def usage(self) -> Usage:
        return Usage(requests=len(self.asked))

    def judge(self, transcripts: Sequence[Transcript]) -> list[Verdict]:
        self.asked += [transcript.question.id for transcript in transcripts]
        found = [self.opinions[int(transcript.question.id[1:])] for transcript in transcripts]
        return [
            Verdict(self.name, p, p, valid=p is not None, reason="" if p is not None else "planted", readings=1)
            for p in found
        ]


def test_the_second_judge_decides_what_is_unclear_invalid_or_at_stake() -> None:
    cheap, dear = Planted("cheap", [0.9, 0.55, None, 0.99, 0.3]), Planted("dear", [0.1, 0.8, 0.7, 0.2, 0.6])
    cascade = Cascade("cascade", cheap, dear, margin=0.2, high_stakes=frozenset({"q3"}))
    verdicts = cascade.judge([debate(i) for i in range(5)])
    assert [v.mean for v in verdicts] == pytest.approx([0.9, 0.8, 0.7, 0.2, 0.3])
    assert [v.decided_by for v in verdicts] == ["cheap", "dear", "dear", "dear", "cheap"]
    assert [v.readings for v in verdicts] == [1, 2, 2, 1, 1]
    assert {v.judge for v in verdicts} == {"cascade"}
    assert cheap.asked == ["q0", "q1", "q2", "q4"] and dear.asked == ["q1", "q2", "q3"]
    assert cascade.usage == Usage(requests=7)


def test_a_margin_of_zero_asks_the_second_judge_only_where_the_first_has_no_opinion() -> None:
    cheap, dear = Planted("cheap", [0.5, None]), Planted("dear", [0.9, 0.9])
    Cascade("cascade", cheap, dear, margin=0).judge([debate(0), debate(1)])
    assert dear.asked == ["q1"]


def test_what_is_exactly_at_the_margin_is_the_first_judges() -> None:
    cheap, dear = Planted("cheap", [0.75, 0.25, 0.7499]), Planted("dear", [0.9] * 3)
    Cascade("cascade", cheap, dear, margin=0.25).judge([debate(i) for i in range(3)])
    assert dear.asked == ["q2"]


def test_the_file_of_high_stakes(tmp_path: Path) -> None:
    (tmp_path / "ids.txt").write_text("q1\n\n q2 \n")
    settings = Settings.model_construct(kind="cascade", name="c", high_stakes=tmp_path / "ids.txt")
    assert settings._stakes() == {"q1", "q2"}
    missing = settings.model_copy(update={"high_stakes": tmp_path / "nothing.txt"})
    with pytest.raises(JudgeError, match="one question id a line"):
        missing._stakes()


def test_the_second_judges_invalid_verdict_stays_invalid() -> None:
    cascade = Cascade("cascade", Planted("cheap", [0.5]), Planted("dear", [None]), margin=0.1)
    (verdict,) = cascade.judge([debate(0)])
    assert not verdict.valid and verdict.decided_by == "dear"
