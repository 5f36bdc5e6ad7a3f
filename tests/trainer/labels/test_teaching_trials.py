"""Judges that are really taught: from which labels, in which stages, and what early stopping looks at."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from rostrum.rewards.labelled import Labelled
from rostrum.trainer.config import Config
from rostrum.trainer.judge_training.training import Lesson
from rostrum.trainer.labels import teaching_trials
from rostrum.trainer.labels.grid_plan import Trial
from rostrum.trainer.labels.pool import Market, Sold
from rostrum.trainer.labels.teaching_trials import Trials
from tests.trainer.judge_training.test_judge_training import planted

POOL, HELD_OUT = planted(80)[:60], planted(80)[60:]
"""Whoever calls irma is right, which the embedded judge does not know."""
GOLD = np.array([debate.target for debate in POOL])
CHEAP, DEAR = 0.8, 1.0
"""How sure the labels of either source are, by which they are known again."""
Taught = Callable[..., dict[Trial, pd.DataFrame]]


def sold(cheap: Any = None, draws: int = 1) -> Sold:
    everything = np.ones(len(POOL), dtype=bool)
    soft = np.where(GOLD > 0.5, CHEAP, 1 - CHEAP) if cheap is None else cheap
    return Sold([d.transcript for d in POOL], everything, everything, np.tile(soft, (draws, 1)), GOLD)


class Spy:
    """What was given to every lesson."""

    def __init__(self) -> None:
        self.learned: list[list[Labelled]] = []
        self.held_back: list[list[Labelled]] = []
        self.judges: list[Any] = []
        self.lessons: list[Lesson] = []
        self.prompts: list[str] = []
        """What the judge of each lesson reads of the first debate."""

    def begin(self, settings: Any, student: Any, learned: Any, heldout: Any, *rest: Any) -> Lesson:
        self.learned.append(list(learned))
        self.held_back.append(list(heldout))
        self.judges.append(student.judge)
        self.prompts.append(student.judge.judge_prompts().judge(learned[0].transcript))
        self.lessons.append(Lesson(settings, student, learned, heldout, *rest))
        return self.lessons[-1]


@pytest.fixture
def spy() -> Spy:
    return Spy()


@pytest.fixture
def make(configure: Callable[..., Config], tmp_path: Path, spy: Spy) -> Callable[..., Trials]:
    def made(*more: str, of: Sold | None = None, seed: int = 0) -> Trials:
        few = ("labels.steps=2", "labels.evaluations=1", "judge_training.batch_rows=16", "labels.shots=2")
        config = configure("judge.model=embedded/judge", "judge_training.learning_rate=3e-3", *few, *more)
        tested = [teaching_trials.Tested("base", HELD_OUT)]
        return Trials(config, Market(of or sold(), seed), tested, tmp_path / "stages", spy.begin)

    return made


@pytest.fixture
def taught(make: Callable[..., Trials]) -> Taught:
    """Teaches a chain and returns its tables."""

    def teach(*chain: Trial, **made: Any) -> dict[Trial, pd.DataFrame]:
        return dict(make(*made.pop("words", ()), **made).results(chain))

    return teach


def sureness(of: Sequence[Labelled]) -> set[float]:
    return {round(max(debate.target, 1 - debate.target), 6) for debate in of}


def questions(of: Sequence[Labelled]) -> list[str]:
    return [debate.transcript.question.id for debate in of]


def test_each_stage_learns_and_stops_by_its_own_labels_alone(taught: Taught, spy: Spy) -> None:
    """And nothing about a held-out question reaches a lesson."""
    two = [Trial("finetune", 0, 10, 0), Trial("finetune", 0, 10, 6)]
    tables = taught(*two)
    assert [sureness(part) for part in spy.learned] == [{CHEAP}, {DEAR}] == [sureness(p) for p in spy.held_back]
    assert [len(part) for part in spy.learned] == [8, 4] and [len(part) for part in spy.held_back] == [2, 2]
    given = {question for part in [*spy.learned, *spy.held_back] for question in questions(part)}
    assert len(given) == 16 and not given & set(questions(HELD_OUT))
    assert len({id(one.trainer.optimizer) for one in spy.lessons}) == 2, (
        "a new optimizer for each stage, the first one shared"
    )
    assert spy.judges[0].model == "embedded/judge" != spy.judges[1].model
    assert all(len(table) == len(HELD_OUT) and set(table["dear"]) == {t.dear} for t, table in tables.items())


def test_the_table_says_how_likely_the_right_answer_is(taught: Taught) -> None:
    untaught = Trial("none", 0, 0, 0)
    (table,) = taught(untaught).values()
    assert list(table) == "arm cheap dear seed debaters question story swapped p".split()
    assert list(table["question"]) == questions(HELD_OUT) and set(table["debaters"]) == {"base"}
    assert table["p"].between(0, 1).all()


def test_too_few_labels_leave_the_judge_as_it_is(taught: Taught, spy: Spy) -> None:
    (before,) = taught(Trial("none", 0, 0, 0)).values()
    (after,) = taught(Trial("finetune", 0, 2, 2)).values()
    assert not spy.learned and list(before["p"]) == list(after["p"])


def test_one_seed_gives_one_table(taught: Taught) -> None:
    trial = Trial("finetune", 0, 10, 0)
    (first,), (again,) = taught(trial).values(), taught(trial).values()
    (other,) = taught(Trial("finetune", 1, 10, 0), seed=1).values()
    pd.testing.assert_frame_equal(first, again)
    assert list(first["p"]) != list(other["p"])


def test_the_least_sure_debates_are_labelled(make: Callable[..., Trials], taught: Taught, spy: Spy) -> None:
    from rostrum.trainer import setup

    trial, market = Trial("uncertain", 0, 0, 6), Market(sold(), 0)
    taught(trial)
    offered = [market.sold.debates[i] for i in market.left(0)]
    verdicts = setup.judge(spy.judges[0]).judge(offered)
    far = {d.question.id: abs((v.mean or 0) - 0.5) for d, v in zip(offered, verdicts, strict=True)}
    bought = questions([*spy.learned[0], *spy.held_back[0]])
    assert set(bought) == set(sorted(far, key=lambda question: far[question])[:6])


def test_repeated_labels_are_averaged_before_they_teach(taught: Taught, spy: Spy) -> None:
    of = sold(np.ones(len(POOL)), draws=3)
    of.cheap[1] = 0.0
    taught(Trial("repeated", 0, 18, 0), of=of, words=["labels.repeats=3"])
    (learned,), (held,) = spy.learned, spy.held_back
    assert len(learned) + len(held) == 6 and {round(d.target, 6) for d in learned} == {round(2 / 3, 6)}


def test_confidence_weighs_and_both_sources_teach_and_stop(taught: Taught, spy: Spy) -> None:
    """Twenty cheaper labels and four dearer ones: were the last fifth of all held back, no dearer one would teach."""
    taught(Trial("confidence", 0, 20, 4))
    (learned,), (held,) = spy.learned, spy.held_back
    assert {(max(sureness([d])), round(d.weight, 6)) for d in learned} == {(CHEAP, 0.6), (DEAR, 1.0)}
    assert sureness(held) == {CHEAP, DEAR} and len(learned) == 18


def test_shots_are_shown_and_none_is_about_the_story_that_is_judged(taught: Taught, spy: Spy) -> None:
    (plain,) = taught(Trial("none", 0, 0, 0)).values()
    (shown,) = taught(Trial("shots", 0, 3, 0)).values()
    assert not spy.learned and list(plain["p"]) != list(shown["p"]), "shots alone teach nothing and are read"
    (few,) = taught(Trial("shots", 0, 2, 0)).values()
    assert list(few["p"]) == list(plain["p"]), "too few for examples about other stories"


def test_a_judge_with_shots_is_taught_with_the_prompt_that_it_is_used_with(taught: Taught, spy: Spy) -> None:
    taught(Trial("shots+finetune", 0, 10, 0))
    (lesson,), (prompt,) = spy.lessons, spy.prompts
    read = lesson.tokenizer.decode(lesson.trainer.train_dataset[0]["prompt_ids"])
    assert spy.judges[0].examples is not None and prompt.split() == read.removeprefix("<bos>").split()
    (learned,) = spy.learned
    market = Market(sold(), 0)
    assert set(questions(learned)).isdisjoint(questions(market.buy_cheap(3))), "what is shown is not learned from"


def test_noise_is_not_learned_and_a_rule_is(taught: Taught) -> None:
    """Labels by coin toss and steps much too large: early stopping keeps the judge exactly as it was."""
    toss = np.random.default_rng(5).random(len(POOL)).round()
    words = ["labels.steps=12", "labels.evaluations=6", "judge_training.learning_rate=0.05"]
    longer = ["labels.steps=60", "labels.evaluations=6", "judge_training.epochs=20", "judge_training.patience=6"]
    (before,) = taught(Trial("none", 0, 0, 0)).values()
    (noisy,) = taught(Trial("finetune", 0, 60, 0), of=sold(toss), words=words).values()
    (told,) = taught(Trial("finetune", 0, 0, 60), words=longer).values()
    assert list(noisy["p"]) == list(before["p"])
    assert (told["p"] > 0.5).mean() > (before["p"] > 0.5).mean() + 0.1
    assert ((1 - told["p"]) ** 2).mean() < ((1 - before["p"]) ** 2).mean()
