"""What a sweep over labels begins with: debates on offer, held-out debates, and what the sources say of the former."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from rostrum.envs.questions.base import load_questions
from rostrum.envs.types import AnswerKey, Transcript
from rostrum.rewards.judges import JudgeSettings
from rostrum.rewards.labelled import Labelled, LabelledError, with_key
from rostrum.rewards.labels import LabelError, LabelSource
from rostrum.rewards.types import Judge
from rostrum.trainer import setup
from rostrum.trainer.config import Config
from rostrum.trainer.evaluation.people.new_study import conditions_of
from rostrum.trainer.evaluation.people.study_file import settings_of
from rostrum.trainer.labels.grid_plan import Cell, trials
from rostrum.trainer.labels.label_folder import DEBATERS
from rostrum.trainer.labels.pool import Market, Sold
from rostrum.trainer.rollouts.arena import Plan, play
from rostrum.trainer.rollouts.schedule import alone, both_seatings, derive
from rostrum.trainer.types import Matchup, Policy

TRAIN, HELDOUT = "train", "heldout"


@dataclass(frozen=True, slots=True)
class LabellingRun:
    """What sources may ask (`rewards.labels.Labelling`), answered from a run's configuration."""

    config: Config

    def judge(self, settings: JudgeSettings) -> Judge:
        """Return a judge; what one behind an endpoint has said, and may cost, is kept in the sweep's folder."""
        return setup.judge(settings, self.config)

    def key(self) -> AnswerKey:
        """Return the right answers of the questions that teach, and of those that people judge debates about."""
        found: dict[str, int] = {}
        for source, split in ((self.config.questions, TRAIN), (self.config.test_questions, HELDOUT)):
            found |= load_questions(source, split).answer_key(split).correct
        return AnswerKey(found)

    def wage(self, study: Path) -> float:
        """Return what people of a study are paid an hour.

        Raises:
            LabelError: the study is one that tests.
        """
        people = settings_of(study)
        if people.purpose != "teach":
            raise LabelError(
                f"{study} is a study that tests, and labels teach: take one that was made with people.purpose=teach."
            )
        return people.wage


def sources(config: Config) -> tuple[LabelSource, LabelSource]:
    """Return the cheaper and the dearer source.

    Raises:
        LabelError: one is not named, or both have one name.
    """
    cheap, dear = config.labels.cheap, config.labels.dear
    if cheap is None or dear is None:
        raise LabelError("Name two sources of labels, the cheaper one first: sources=weak,gold.")
    if cheap.name == dear.name:
        raise LabelError(f"Both sources are called {cheap.name!r}: choose two, or give one another labels.dear.name.")
    return cheap, dear


def check_prices(config: Config, cheap: float, dear: float) -> None:
    """Refuse sources in the wrong order.

    Raises:
        LabelError: the cheaper labels cost more than the dearer ones.
    """
    if max(config.labels.prices or [cheap]) > dear:
        raise LabelError(
            f"A label of the first source costs up to ${max(config.labels.prices or [cheap]):g} and one of the second "
            f"${dear:g}: name the cheaper source first (sources=CHEAPER,DEARER), or lower labels.prices."
        )


def heldout(config: Config, run: Path, labelled_stories: set[str]) -> Mapping[str, list[Labelled]]:
    """Return the held-out debates of the base and of the last checkpoint of an evaluated run, with the right answers,
    by debaters; none about a story that a label is sold of.

    Raises:
        LabelledError: nothing is left.
        StudyError: the run has not been evaluated.
    """
    base, trained = _ends(config, run)
    key = load_questions(config.test_questions, HELDOUT).answer_key(HELDOUT)
    found = {}
    for name, condition in zip(DEBATERS, (base, trained), strict=True):
        played = [debate for question in sorted(condition) for debate in condition[question]]
        found[name] = with_key([d for d in played if d.question.story_id not in labelled_stories], key)
        if not found[name]:
            raise LabelledError(
                "All held-out stories have labels for sale, so there is nothing to test a judge on: evaluate the run "
                "on more questions (questions.heldout)."
            )
    return found


def _ends(config: Config, run: Path) -> tuple[Mapping[str, Sequence[Transcript]], ...]:
    conditions = conditions_of(run, config, "ends", run.name)
    if len(conditions) < 2:
        raise LabelledError(f"{run} was evaluated at one checkpoint alone: evaluate it with evaluation=final.")
    return conditions[0].debates, conditions[-1].debates


def check_questions(config: Config) -> int:
    """Return of how many training questions there will be a debate to label.

    Raises:
        LabelledError: there are fewer than two.
    """
    there = len(load_questions(config.questions, TRAIN).questions(TRAIN))
    if there < 2:
        raise LabelledError("There are no training questions to debate about: raise questions.train.")
    return min(there, config.labels.pool)


def play_pool(config: Config, trained: Path) -> list[Transcript]:
    """Play one debate about each training question, up to `labels.pool` of them: every other one by the base debater,
    the others by the trained one, each in both seatings equally often.

    Raises:
        LabelledError: no debate could be finished.
    """
    asked = load_questions(config.questions, TRAIN).questions(TRAIN)[: config.labels.pool]
    players = [
        Policy(name, 0, model) for name, model in zip(DEBATERS, (config.debater.model, str(trained)), strict=True)
    ]
    plan = Plan(
        _matchups(config, asked, players), players, config.cluster.shard_size, derive(config.seed, "labels", TRAIN)
    )
    workers = setup.rollout_workers(config)
    try:
        played = play(workers, plan, "playing debates to be labelled")
    finally:
        workers.close()
    if not played.finished:
        raise LabelledError(f"None of the {len(asked)} debates could be played: {played.failures[0].reason}.")
    return list(played.finished)


def _matchups(config: Config, asked: Sequence[object], players: Sequence[Policy]) -> list[Matchup]:
    """Return a matchup for each question: who plays changes with every question, the seating with every second."""
    casts = [alone(config.protocol, {player.name: player}) for player in players]
    both = both_seatings(asked, lambda i: casts[i % len(casts)](i))  # type: ignore[arg-type]
    return [both[2 * i + (i // len(casts)) % 2] for i in range(len(asked))]


def unlabelled(config: Config, debates: Sequence[Transcript]) -> Sold:
    """Return the pool before anything is bought: who sells labels of what."""
    cheap, dear = sources(config)
    draws = config.labels.repeats if "repeated" in config.labels.arms else 1
    by_cheap, by_dear = (np.array(source.can(debates), dtype=bool) for source in (cheap, dear))
    nothing = np.full(len(debates), np.nan)
    return Sold(debates, by_cheap, by_dear, np.tile(nothing, (draws, 1)), nothing.copy())


def buy(config: Config, empty: Sold, cells: Sequence[Cell]) -> Sold:
    """Return the pool with the labels that any of the cells buys: only these are asked for."""
    labelling, wanted = LabellingRun(config), _wanted(config, empty, cells)
    cheap, dear = sources(config)
    said = _ask(cheap, labelling, empty.debates, wanted[0], len(empty.cheap))
    (right,) = _ask(dear, labelling, empty.debates, wanted[1], 1)
    return Sold(empty.debates, empty.by_cheap, empty.by_dear, said, right)


def _wanted(config: Config, empty: Sold, cells: Sequence[Cell]) -> tuple[list[int], list[int]]:
    """Return of which debates a label is bought at all, by either source."""
    cheap, dear, markets = set[int](), set[int](), dict[int, Market]()
    for trial in trials(cells):
        market = markets.setdefault(trial.seed, Market(empty, trial.seed))
        labelled = trial.cheap // (config.labels.repeats if trial.arm == "repeated" else 1)
        cheap.update(market.cheap[:labelled])
        dear.update(market.left(labelled)[: None if trial.arm == "uncertain" and trial.dear else trial.dear])
    return sorted(cheap), sorted(dear)


def _ask(
    source: LabelSource, labelling: LabellingRun, debates: Sequence[Transcript], wanted: Sequence[int], times: int
) -> NDArray[np.float64]:
    """Return the source's labels of the wanted debates, bought so many times, (times, debates); NaN for the others."""
    found = np.full((times, len(debates)), np.nan)
    if wanted:
        said = source.again([debates[i] for i in wanted], labelling, times)
        found[:, list(wanted)] = [[np.nan if p is None else p for p in row] for row in said]
    return found
