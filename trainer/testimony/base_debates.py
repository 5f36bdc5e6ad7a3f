"""Base debates in bulk, by the real game and the real engine, for teaching and checking the judges."""

import random
from pathlib import Path

from envs.testimony.world import question_at
from envs.types import Protocol
from trainer.engines.base import Sampling
from trainer.engines.transformers import Settings
from trainer.engines.transformers.causal import TransformersEngine
from trainer.play import play
from trainer.testimony.corpora import Case, prompts
from trainer.types import Episode, Match, Policy

SPEECH_TOKENS = 14
BATCH = 256


def base_debates(debater: Path, protocol: Protocol, indices: range, seed: int) -> list[Case]:
    """Plays the debater against itself on questions of the teaching split.

    Which answer side A defends is drawn at random; the same arguments give the same debates. A debate that failed is
    left out.
    """
    engine, policy = TransformersEngine(str(debater), Settings(batch_size=BATCH)), Policy("base", 0, str(debater))
    cases: list[Case] = []
    for start in indices[::BATCH]:
        rng = random.Random(f"seats {seed} {start}")
        asked = [question_at("teaching", index, seed) for index in range(start, min(start + BATCH, indices.stop))]
        matches = [
            Match(question.id, question, rng.random() < 0.5, dict.fromkeys(protocol.speakers, policy.name))
            for question, _ in asked
        ]
        sampling = Sampling(SPEECH_TOKENS, seed=seed + start)
        episodes = play(matches, protocol, prompts(), {policy.name: engine}, sampling, {policy.name: policy})
        cases += [
            (episode.transcript, correct)
            for episode, (_, correct) in zip(episodes, asked, strict=True)
            if isinstance(episode, Episode)
        ]
    return cases
