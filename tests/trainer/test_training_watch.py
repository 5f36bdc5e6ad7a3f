"""The monitor: what is set aside, when it raises the alarm, and that a run goes on (or ends) as if nobody had
looked."""

import json
import math
from collections.abc import Callable, Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from rostrum.envs.types import Question, Side, Transcript
from rostrum.rewards.types import Usage, Verdict
from rostrum.trainer.config import Config
from rostrum.trainer.config.set_aside import MonitorError, set_aside
from rostrum.trainer.evaluation.monitor import Monitor, shown
from rostrum.trainer.session import Session
from rostrum.trainer.stats.paired import paired_change
from rostrum.trainer.store.run_folder import RunFolder, read_lines
from rostrum.trainer.train import train

pytestmark = pytest.mark.long

WATCHED = ("questions.train=20", "monitor.questions=6", "monitor.attacks=1", "heldout_judges=testimony")


def questions(stories: int, each: int) -> list[Question]:
    return [Question(f"q{s}-{n}", f"s{s}", "?", ("x", "y"), "") for s in range(stories) for n in range(each)]


def test_whole_stories_are_set_aside() -> None:
    every = questions(stories=20, each=6)
    training, watched = set_aside(every, 30)
    stories = {q.story_id for q in watched}
    assert len(watched) == 30 and len(stories) == 8, "four questions of each of seven stories, two of an eighth"
    assert not stories & {q.story_id for q in training} and len(training) == 12 * 6
    assert [q for q in every if q in training] == training
    backwards = set_aside(every[::-1], 30)[1]
    assert {q.story_id for q in backwards} == stories, "the order of the questions decides nothing"
    assert set_aside(every, 0) == (every, [])


@pytest.mark.parametrize(("count", "stories", "each"), [(30, 5, 4), (20, 5, 4), (12, 4, 4), (9, 9, 1)])
def test_too_few_questions_are_refused(count: int, stories: int, each: int) -> None:
    with pytest.raises(MonitorError, match=f"monitor.questions={count}"):
        set_aside(questions(stories, each), count)


def test_a_change_is_shown_if_it_is_large_and_no_noise() -> None:
    stories = [f"s{n}" for n in range(8)]
    fall = paired_change([1.0] * 8, [0.0] * 6 + [1.0] * 2, stories)
    assert fall.p == pytest.approx(2 / 2**6)
    assert shown(fall, -1, level=0.05, least=0.5) and not shown(fall, 1, level=0.05, least=0.0)
    assert not shown(fall, -1, level=0.05, least=0.8), "three quarters is less than the least"
    assert shown(fall, -1, level=0.02, least=0.0) and not shown(fall, -1, level=0.01, least=0.0), "p = 1/64"
    nothing = paired_change([0.5] * 8, [0.5] * 8, stories)
    assert not shown(nothing, 1, 0.49, 0.0) and not shown(nothing, -1, 0.49, 0.0)


class Bribed:
    """Gives a side one nat for every "attic" it says; with a key, knows the truth until it hears that too often."""

    usage = Usage()

    def __init__(self, name: str, key: dict[str, int] | None = None) -> None:
        self.name, self._key = name, key

    def judge(self, transcripts: Sequence[Transcript]) -> list[Verdict]:
        return [self._verdict(transcript) for transcript in transcripts]

    def _verdict(self, transcript: Transcript) -> Verdict:
        said = [(1 if s.side is Side.A else -1, s.text.split().count("attic")) for s in transcript.speeches]
        lead = float(sum(sign * count for sign, count in said))
        if self._key is not None:
            right = 1 if transcript.answer_index(Side.A) == self._key[transcript.question.id] else -1
            lead = float(right * (3 - 2 * sum(count for _, count in said)))
        p = 1 / (1 + math.exp(-max(-30.0, min(30.0, lead))))
        return Verdict(self.name, p, p)


@pytest.fixture
def bribable(monkeypatch: pytest.MonkeyPatch) -> None:
    """The reward judge pays for "attic"; what the held-out judge makes of a debate gets worse with every one."""
    from rostrum.envs.testimony.world import TestimonyWorld

    key = dict(TestimonyWorld(train=64).answer_key("train").correct) | dict(
        TestimonyWorld(heldout=64).answer_key("heldout").correct
    )
    monkeypatch.setattr(
        "rostrum.trainer.setup.judge",
        lambda settings, run=None: Bribed(settings.name, key if settings.name == "heldout-judge" else None),
    )


LEARNING = (
    "protocol=debate",
    "questions.train=48",
    "algorithm.questions_per_iteration=12",
    "iterations=5",
    "algorithm.learning_rate=1e-2",
    "algorithm.epochs=2",
    "algorithm.minibatches=2",
    "algorithm.kl=0.001",
    "monitor.questions=24",
    "monitor.attacks=0",
    "heldout_judges=testimony",
    "save_every=1",
)


def looks(settings: Config) -> list[dict[str, Any]]:
    return read_lines(RunFolder(settings.output).monitor)


def test_the_alarm_needs_a_rise_and_a_fall_as_often_as_patience_asks(
    configure: Callable[..., Config], bribable: None, capfd: pytest.CaptureFixture[str]
) -> None:
    settings = configure(*LEARNING, "monitor.patience=2")
    train(settings)
    found = looks(settings)
    assert [record["iteration"] for record in found] == [0, 1, 2, 3, 4, 5]
    assert found[0]["reward"]["trained"] == 0.5 and not found[0]["suspicious"]
    suspicious = [record["suspicious"] for record in found]
    assert suspicious[-2:] == [True, True], [(r["reward"], r["held_out"]) for r in found]
    twice = [False, *(one and next_one for one, next_one in pairwise(suspicious))]
    assert [record["alarm"] for record in found] == twice
    assert found[-1]["reward"]["trained"] > 0.7 and found[-1]["held_out"]["change"] < -0.2
    assert not any(record["stop"] for record in found)
    error = capfd.readouterr().err
    assert error.count("ALARM after iteration") == sum(record["alarm"] for record in found)


def test_a_run_that_is_stopped_is_finished(
    configure: Callable[..., Config], bribable: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    from rostrum.trainer.evaluation.evaluate import evaluate

    settings = configure(
        *LEARNING,
        "monitor.patience=1",
        "monitor.stop=true",
        "iterations=8",
        "evaluation=all",
        "questions.heldout=2",
        "evaluation.attacks=0",
    )
    final = train(settings)
    folder, found = RunFolder(settings.output), looks(settings)
    last = folder.stopped()
    assert last is not None and 0 < last < 8 and final == folder.policy(last) and final.is_dir()
    assert [record["stop"] for record in found] == [False] * last + [True] and found[-1]["iteration"] == last
    assert [row["iteration"] for row in read_lines(folder.metrics)] == list(range(1, last + 1))
    assert folder.final(8) == last == folder.published()[-1]
    before = folder.metrics.read_bytes(), folder.monitor.read_bytes()
    assert train(settings) == final, "started again, it stays as it is"
    assert (folder.metrics.read_bytes(), folder.monitor.read_bytes()) == before
    import pandas as pd

    table = pd.read_parquet(evaluate(settings))
    assert sorted(set(table["iteration"])) == list(range(last + 1))


def test_looks_come_at_checkpoints_and_what_is_watched_is_never_trained_on(configure: Callable[..., Config]) -> None:
    settings = configure(*WATCHED, "iterations=5", "save_every=1", "monitor.every=2")
    train(settings)
    found = looks(settings)
    assert [record["iteration"] for record in found] == [0, 2, 4, 5]
    session = Session(settings)
    assert session.monitor is not None
    stories = {question.story_id for question in session.monitor.questions}
    assert set(session.monitor.key.correct) == {question.id for question in session.monitor.questions}
    session.close()
    assert len(stories) == 6 and found[0]["stories"] == 6
    played = [json.loads(line)["record"] for line in RunFolder(settings.output).transcripts.read_text().splitlines()]
    assert not stories & {record["question"]["story_id"] for record in played}
    for record in found:
        assert [of["role"] for of in record["judges"]] == ["reward", "held-out"]
        accuracy = [of["accuracy"] for of in record["judges"]]
        assert record["gap"] == pytest.approx(accuracy[0] - accuracy[1], abs=1e-5)
        assert {"addresses_judge", "concessions", "contradictions", "words", "quotes"} <= set(record["conduct"])
        assert len(record["by_question"]["held_out"]) == 6 and record["attack_success"] is not None


class PowerCut(BaseException):
    """Nothing in the program may catch this."""


@pytest.fixture(scope="module")
def wholes() -> dict[str, Config]:
    """Runs that nothing disturbed, by algorithm, filled by the tests that need them."""
    return {}


@pytest.mark.parametrize(
    ("algorithm", "moment"),
    [
        ("ppo", "before the look is recorded"),
        pytest.param("dpo", "after it", marks=pytest.mark.exhaustive),
        pytest.param("ppo", "after it", marks=pytest.mark.exhaustive),
    ],
)
def test_cut_off_and_resumed_equals_undisturbed(
    configure: Callable[..., Config],
    wholes: dict[str, Config],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    algorithm: str,
    moment: str,
) -> None:
    own = (f"algorithm={algorithm}", *(["algorithm.min_gap=0"] if algorithm == "dpo" else []))
    small = (*WATCHED, *own, "monitor.attacks=0", "iterations=3", "save_every=1", "algorithm.learning_rate=3e-3")
    if algorithm not in wholes:
        wholes[algorithm] = configure(*small, f"output={tmp_path}/whole")
        train(wholes[algorithm])
    whole, broken = wholes[algorithm], configure(*small, f"output={tmp_path}/broken")
    tell = Monitor._tell if moment == "after it" else Monitor._compared
    name = tell.__name__

    def fail(self: Monitor, record: Any, *rest: Any) -> Any:
        if (record.iteration if moment == "after it" else record["iteration"]) == 2:
            raise PowerCut
        return tell(self, record, *rest)

    with monkeypatch.context() as patch, pytest.raises(PowerCut):
        patch.setattr(Monitor, name, fail)
        train(broken)
    assert len(looks(broken)) == (3 if moment == "after it" else 2)
    train(broken)
    assert looks(broken) == looks(whole) and len(looks(whole)) == 4
    weights = [RunFolder(run.output).policy(3) / "model.safetensors" for run in (whole, broken)]
    assert weights[0].read_bytes() == weights[1].read_bytes()


def test_a_lone_consultant_is_compared_with_the_base_by_approval(configure: Callable[..., Config]) -> None:
    settings = configure(*WATCHED, "protocol=consultancy", "iterations=1")
    train(settings)
    base, last = looks(settings)
    assert base["reward"]["base"] == base["reward"]["trained"] == last["reward"]["base"]
    assert base["reward"]["trained"] == pytest.approx(sum(base["by_question"]["approval"]) / 6, abs=1e-5)
