"""Sources of labels: gold in both seatings, verdicts soft and drawn, people at what their time cost."""

import sqlite3
from collections.abc import Sequence
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from pydantic import TypeAdapter

from rostrum.envs.types import AnswerKey, Transcript
from rostrum.rewards.judges import JudgeSettings
from rostrum.rewards.labels import AnyLabelSource, LabelError, LabelSource, settings_by_kind
from rostrum.rewards.labels.gold import Settings as Gold
from rostrum.rewards.labels.judged import Settings as Judged
from rostrum.rewards.labels.study import Settings as Study
from rostrum.rewards.people import places, verdicts
from rostrum.rewards.people.verdicts import Sent
from rostrum.rewards.types import Judge, Usage, Verdict
from tests.rewards.people import study

WAGE = 18.0
MANY = [study.transcript(question, 0) for question in range(400)]


class Scripted:
    """Says of each debate what is written down for its question, or one half more or less by who sits where."""

    name, usage = "scripted", Usage()

    def __init__(self, said: dict[str, float | None], otherwise: float = 0.7) -> None:
        self._said, self._otherwise = said, otherwise

    def judge(self, transcripts: Sequence[Transcript]) -> list[Verdict]:
        said = [self._said.get(transcript.question.id, self._otherwise) for transcript in transcripts]
        return [Verdict("scripted", p, p) if p is not None else Verdict("scripted", None, None, False) for p in said]


@dataclass
class Run:
    """What a source may ask; studies in `tests` do not teach."""

    said: dict[str, float | None] = field(default_factory=dict)
    tests: tuple[Path, ...] = ()
    asked: list[JudgeSettings] = field(default_factory=list)

    def judge(self, settings: JudgeSettings) -> Judge:
        self.asked.append(settings)
        return Scripted(self.said)

    def key(self) -> AnswerKey:
        return AnswerKey({"q0": 0, "q1": 1})

    def wage(self, folder: Path) -> float:
        if folder in self.tests:
            raise LabelError(f"{folder} is a study that tests")
        return WAGE


def judged(drawn: bool = False) -> Judged:
    judge = {"kind": "likelihood", "name": "weak", "model": "nowhere", "prompts": "testimony"}
    return Judged.model_validate({"kind": "judged", "name": "weak", "price": 0.1, "judge": judge, "drawn": drawn})


def test_gold_is_the_right_answer_in_both_seatings() -> None:
    gold, debates = Gold(kind="gold", name="gold", price=1), [study.transcript(0, 0), study.transcript(1, 0)]
    assert gold.label(debates, Run()) == [1.0, 0.0]
    assert gold.label([debate.swapped() for debate in debates], Run()) == [0.0, 1.0]
    assert gold.priced(Run()) == 1 and gold.can(debates) == [True, True] and not gold.own()


def test_gold_is_not_known_of_every_question() -> None:
    """People may have judged debates about questions of another set."""
    with pytest.raises(LabelError, match="q7"):
        Gold(kind="gold", name="gold", price=1).label([study.transcript(7, 0)], Run())


def test_a_source_without_a_price_is_refused() -> None:
    with pytest.raises(LabelError, match="set its price in dollars"):
        Gold(kind="gold", name="gold").priced(Run())


def test_verdicts_are_soft_labels_and_an_invalid_one_says_nothing() -> None:
    run, source = Run({"q0": 0.9, "q1": None}), judged()
    assert source.label(MANY[:3], run) == [0.9, None, 0.7]
    assert source.again(MANY[:3], run, 2) == [[0.9, None, 0.7]] * 2, "soft labels do not vary"
    assert run.asked == [source.judge] * 2, "the judge is asked once for both"


def test_drawn_labels_are_answers_by_the_judges_probability() -> None:
    run, source = Run({"q0": None, "q1": 1.0, "q2": 0.0}), judged(drawn=True)
    labels = source.label(MANY, run)
    assert labels[:3] == [None, 1.0, 0.0] and set(labels[3:]) == {0.0, 1.0}
    assert sum(labels[3:]) / 397 == pytest.approx(0.7, abs=0.07)  # type: ignore[arg-type]


def test_a_drawn_label_depends_on_debate_and_draw_alone() -> None:
    run, source = Run(), judged(drawn=True)
    first, again = source.label(MANY, run), source.label(MANY[::-1], run)[::-1]
    assert first == again == source.label(MANY[:7], run) + source.label(MANY[7:], run)
    same, other = source.again(MANY, run, 2)
    assert same == first
    apart = sum(a != b for a, b in zip(first, other, strict=True)) / len(MANY)
    assert apart == pytest.approx(2 * 0.7 * 0.3, abs=0.08), "two draws are independent"


@pytest.fixture
def people(tmp_path: Path) -> Path:
    """Four debates: two people judged the first for 20 s and 40 s, one the second for 30 s after a step of 6 s, and one
    has a page of the third open."""
    folder = tmp_path / "study"
    with closing(study.make(folder, questions=4, conditions=1, wanted=2, judges=4)) as db:
        for judge, question, p, active in (("j0", "q0", 0.9, 20.0), ("j1", "q0", 0.6, 40.0)):
            verdicts.submit(db, judge, given(db, judge, question), Sent(judge, p, "", 99.0, active=active), now=5)
        stepped = given(db, "j2", "q1")
        verdicts.step(db, "j2", stepped, 0, 0.3, on_page=9.0, now=1, active=6.0)
        verdicts.submit(db, "j2", stepped, Sent("j2", 0.2, "", 50.0, active=30.0), now=5)
        given(db, "j3", "q2")
    return folder


def given(db: sqlite3.Connection, judge: str, question: str) -> int:
    """Return the place that a judge is given where only the debate about this question is wanted."""
    db.execute("UPDATE debate SET wanted = CASE question WHEN ? THEN 2 ELSE 0 END", (question,))
    place = places.take(db, judge, "main", now=0, seconds=600)
    assert place is not None
    return place.id


def bought_of(folder: Path, price: float | None = None) -> Study:
    return Study(kind="study", name="people", study=folder, price=price)


def test_people_say_a_mean_of_what_they_judged_alone(people: Path) -> None:
    source, debates = bought_of(people), [study.transcript(question, 0) for question in range(4)]
    assert source.can(debates) == [True, True, False, False]
    assert source.label(debates, Run()) == [pytest.approx(0.75), pytest.approx(0.2), None, None]
    assert source.label([debates[0].swapped()], Run()) == [pytest.approx(0.25)]
    assert [debate.question.id for debate in source.own()] == ["q0", "q1"], "what nobody judged is not on offer"


def test_a_label_of_people_costs_what_their_time_did(people: Path) -> None:
    """(20 + 40 + 30 + 6) s at $18 an hour are $.48, for two debates."""
    assert bought_of(people).priced(Run()) == pytest.approx(0.24)
    assert bought_of(people, price=2).priced(Run()) == 2


def test_a_study_that_tests_does_not_teach(people: Path) -> None:
    for price in (None, 2.0):
        with pytest.raises(LabelError, match="tests"):
            bought_of(people, price).priced(Run(tests=(people,)))


def test_nobody_has_judged(tmp_path: Path) -> None:
    study.make(tmp_path / "study", questions=2, conditions=1, wanted=1, judges=1).close()
    with pytest.raises(LabelError, match="Nobody has judged"):
        bought_of(tmp_path / "study").priced(Run())
    assert not bought_of(tmp_path / "study").own()


def test_a_kind_is_found_by_its_name() -> None:
    assert {"gold", "judged", "study"} <= set(settings_by_kind())
    read: LabelSource = TypeAdapter(AnyLabelSource).validate_python({"kind": "gold", "name": "expert", "price": 3})
    assert isinstance(read, Gold) and read.priced(Run()) == 3
