"""The power table against published figures, laws, and experiments played with dice."""

import math

import numpy as np
import pytest

from rostrum.trainer.stats.paired import headline, paired_change
from rostrum.trainer.stats.power import DISCORDANT, Assumptions, power_table, smallest_change
from rostrum.trainer.stats.seeds import pooled_change

INDEPENDENT = Assumptions(story_correlation=0.0, seed_correlation=0.5, seed_sd=0.02)


@pytest.mark.parametrize(
    ("questions", "discordant", "change"), [(730, 0.15, 0.04), (980, 0.20, 0.04), (300, 0.25, 0.08)]
)
def test_the_figures_that_studies_are_planned_by(questions: int, discordant: float, change: float) -> None:
    assert smallest_change(questions, questions, discordant) == pytest.approx(change, rel=0.015)


def test_more_questions_stories_and_seeds_show_smaller_changes() -> None:
    assert smallest_change(800, 800, 0.2) < smallest_change(400, 400, 0.2) < smallest_change(400, 100, 0.2)
    assert smallest_change(400, 400, 0.1) < smallest_change(400, 400, 0.3)
    three, eight = (smallest_change(400, 400, 0.2, seeds) for seeds in (3, 8))
    assert eight < three
    alike = Assumptions(seed_correlation=1.0, seed_sd=0.0)
    assert smallest_change(400, 400, 0.2, 5, alike) == pytest.approx(smallest_change(400, 400, 0.2, 1, alike))


def test_a_story_whose_questions_move_together_is_one_question() -> None:
    together = Assumptions(story_correlation=1.0)
    assert smallest_change(400, 100, 0.2, assumed=together) == pytest.approx(smallest_change(100, 100, 0.2))


def test_what_cannot_be_shown_is_unknown() -> None:
    assert math.isnan(smallest_change(50, 5, 0.2))
    assert math.isnan(smallest_change(12, 12, 0.1))
    table = power_table(50, 5, (1, 3))
    assert [row["smallest_change"] for row in table["rows"]] == [{"1": None, "3": None}] * len(DISCORDANT)


def drawn(
    rng: np.random.Generator, questions: int, change: float, share: float, seeds: int, assumed: Assumptions
) -> tuple[np.ndarray, np.ndarray]:
    """Verdicts (S, N) before and after training; a question turns out alike in all seeds as often as assumed."""
    alike = rng.uniform(size=(1, questions)) < assumed.seed_correlation
    luck = np.where(alike, rng.uniform(size=(1, questions)), rng.uniform(size=(seeds, questions)))
    true = change + (rng.normal(0, assumed.seed_sd, size=(seeds, 1)) if seeds > 1 else 0.0)
    better, worse = luck < (share + true) / 2, luck > 1 - (share - true) / 2
    before = np.where(better, 0.0, np.where(worse, 1.0, rng.integers(0, 2, size=(seeds, questions))))
    return before, before + better - worse


@pytest.mark.parametrize(("share", "seeds"), [(0.10, 1), (0.20, 1), (0.30, 1), (0.15, 3), (0.20, 8)])
def test_a_change_of_the_tables_size_is_shown_four_times_in_five(share: float, seeds: int) -> None:
    questions, runs = 300, 200
    change = smallest_change(questions, questions, share, seeds, INDEPENDENT)
    story, of = (axis.ravel() for axis in np.meshgrid(np.arange(questions), np.arange(seeds)))
    found = []
    for run in range(runs):
        before, after = drawn(np.random.default_rng(run), questions, change, share, seeds, INDEPENDENT)
        found.append(headline(pooled_change(before.ravel(), after.ravel(), story, of, resamples=499).change))
    assert found.count("raised") / runs == pytest.approx(0.8, abs=0.08)


def test_stories_of_several_questions_as_assumed() -> None:
    """Four questions a story; with probability .2 they are one and the same question, else four."""
    stories, runs, share, assumed = 100, 250, 0.2, Assumptions(story_correlation=0.2)
    change = smallest_change(4 * stories, stories, share, assumed=assumed)
    clusters, found = np.repeat(np.arange(stories), 4), []
    for run in range(runs):
        rng = np.random.default_rng(run)
        alike = rng.uniform(size=(stories, 1)) < 0.2
        luck = np.where(alike, rng.uniform(size=(stories, 1)), rng.uniform(size=(stories, 4))).ravel()
        better, worse = luck < (share + change) / 2, luck > 1 - (share - change) / 2
        before = np.where(better, 0.0, np.where(worse, 1.0, 0.5))
        found.append(headline(paired_change(before, before + better - worse, clusters, resamples=499)))
    assert found.count("raised") / runs == pytest.approx(0.8, abs=0.08)
