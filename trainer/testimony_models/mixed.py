"""Debates of many kinds of debaters, for a judge that has seen more than the base debater."""

import random
from collections.abc import Sequence

from rostrum.envs.debate import Debate
from rostrum.envs.testimony.world import Statement, question_at
from rostrum.trainer.testimony_models.checks import Strategy, invented, played, strongest
from rostrum.trainer.testimony_models.corpora import PROTOCOLS, Advocate, Case, prompts


def mixed_debates(indices: range, seed: int) -> list[Case]:
    """Play debates under every protocol on the teaching split, each side by a debater drawn for it.

    A third each quotes its strongest statements, invents statements by credible witnesses, or is an advocate with
    habits of its own (`drawn_advocate`). Who argues how does not depend on which answer is right.
    """
    cases: list[Case] = []
    for index in indices:
        question, correct = question_at("teaching", index, seed)
        for protocol in PROTOCOLS:
            rng = random.Random(f"mixed {seed} {index} {protocol.name}")
            debate = Debate(question, protocol, rng.random() < 0.5, prompts())
            strategies = {answer: _drawn(rng) for answer in question.answers}
            cases.append((played(rng, debate, strategies), correct))
    return cases


def drawn_advocate(rng: random.Random) -> Advocate:
    """Return an advocate whose shares of supporting, any and invented statements are drawn evenly from the simplex."""
    low, high = sorted((rng.random(), rng.random()))
    return Advocate(low, high - low)


def _drawn(rng: random.Random) -> Strategy:
    advocate = drawn_advocate(rng)

    def speak(rng: random.Random, story: Sequence[Statement], own: str, turn: int) -> Statement:
        return advocate.speak(rng, story, own)

    return rng.choice([strongest, invented, speak])
