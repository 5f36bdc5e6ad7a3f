"""The debates that labels are bought of, and in which order they are bought."""

import random
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from rostrum.envs.types import Transcript
from rostrum.rewards.examples import TIED
from rostrum.rewards.labelled import Labelled
from rostrum.trainer.labels.grid_plan import Offer

FEWEST_HELD_BACK, MOST_HELD_BACK = 2, 128
"""Labels of a stage that are not learned from, at least and at most."""


@dataclass(frozen=True, slots=True)
class Sold:
    """Debates of which labels are for sale, and the labels: P(answer of side A), NaN where one says nothing or was
    never bought."""

    debates: Sequence[Transcript]
    by_cheap: NDArray[np.bool_]
    """Whether the cheaper source sells a label of it (debates,)."""
    by_dear: NDArray[np.bool_]
    cheap: NDArray[np.float64]
    """(draws, debates): several draws where labels are bought again."""
    dear: NDArray[np.float64]


class Market:
    """Sells the labels of a pool, one source from the front of the stories, the other from the back.

    So whoever buys more has what who buys less has, and no story is labelled by both, as long as the pool lasts.
    """

    def __init__(self, sold: Sold, seed: int) -> None:
        self.sold, self._stories = sold, [debate.question.story_id for debate in sold.debates]
        order = self._order(seed)
        self.cheap = [i for i in order if sold.by_cheap[i]]
        """The debates in the order in which their cheaper labels are bought."""
        self.dear = [i for i in reversed(order) if sold.by_dear[i]]

    def _order(self, seed: int) -> list[int]:
        """Return the debates story by story: first those that only the cheaper source labels, last those that only the
        dearer one does."""
        rng, of_story = random.Random(f"labels:{seed}"), dict[str, list[int]]()
        for index, story in enumerate(self._stories):
            of_story.setdefault(story, []).append(index)
        stories = sorted(of_story)
        rng.shuffle(stories)

        def place(story: str) -> int:
            cheap = any(self.sold.by_cheap[i] for i in of_story[story])
            return 2 if not cheap else int(any(self.sold.by_dear[i] for i in of_story[story]))

        return [i for story in sorted(stories, key=place) for i in of_story[story]]

    @cached_property
    def offer(self) -> Offer:
        """Return how many labels there are to be bought."""
        either = self.sold.by_cheap | self.sold.by_dear
        return Offer(len(self.cheap), len(self.dear), int(either.sum()))

    def buy_cheap(self, count: int, repeats: int = 1) -> list[Labelled]:
        """Return the debates that so many cheaper labels are of; with `repeats` each label is the mean of so many."""
        chosen = self.cheap[: count // repeats]
        return self._labelled(chosen, self.sold.cheap[:repeats].mean(axis=0))

    def left(self, cheap: int) -> list[int]:
        """Return the debates on offer for a dearer label once so many cheaper ones are bought: none about their
        stories, unless there are no others."""
        taken = {self._stories[i] for i in self.cheap[:cheap]}
        others = [i for i in self.dear if self._stories[i] not in taken]
        return others + [i for i in self.dear if self._stories[i] in taken and i not in set(self.cheap[:cheap])]

    def buy_dear(self, chosen: Sequence[int]) -> list[Labelled]:
        """Return these debates with their dearer labels."""
        return self._labelled(chosen, self.sold.dear)

    def _labelled(self, chosen: Sequence[int], labels: NDArray[np.float64]) -> list[Labelled]:
        """Return debates with labels; those whose label says nothing were paid for and teach nothing."""
        return [Labelled(self.sold.debates[i], float(labels[i])) for i in chosen if not np.isnan(labels[i])]


def hold_back(bought: Sequence[Labelled], share: float) -> tuple[list[Labelled], list[Labelled]]:
    """Return the labels to learn from and those that say when to stop: whole stories, the last that were bought, until
    they are this share of all, within bounds."""
    wanted = min(max(FEWEST_HELD_BACK, round(share * len(bought))), MOST_HELD_BACK)
    held: set[str] = set()
    for count, debate in enumerate(reversed(bought)):
        if count >= wanted and debate.transcript.question.story_id not in held:
            break
        held.add(debate.transcript.question.story_id)
    parts: tuple[list[Labelled], list[Labelled]] = ([], [])
    for debate in bought:
        parts[debate.transcript.question.story_id in held].append(debate)
    return parts


def by_confidence(bought: Sequence[Labelled]) -> list[Labelled]:
    """Return the labels weighted by how far each is from one half, from 0 to 1; those of weight 0 are left out."""
    weighted = [replace(debate, weight=abs(2 * debate.target - 1)) for debate in bought]
    return [debate for debate in weighted if debate.weight > 0]


def one_per_story(bought: Sequence[Labelled]) -> list[Labelled]:
    """Return the first label of each story that says who won: what examples can be chosen from."""
    found: dict[str, Labelled] = {}
    for debate in bought:
        if debate.target != TIED:
            found.setdefault(debate.transcript.question.story_id, debate)
    return list(found.values())
