"""Base debates in bulk, by the real game and the real engine, for teaching and checking the judges."""

import random
from pathlib import Path

from rostrum.envs.testimony.world import question_at
from rostrum.envs.types import Protocol
from rostrum.trainer.engines.base import Sampling
from rostrum.trainer.engines.transformers import Settings
from rostrum.trainer.engines.transformers.causal import TransformersEngine
from rostrum.trainer.rollouts.play import play
from rostrum.trainer.testimony_models.corpora import Case, prompts
from rostrum.trainer.types import Matchup, Policy, Rollout

SPEECH_TOKENS = 14
BATCH = 256


def base_debates(debater: Path, protocol: Protocol, indices: range, seed: int) -> list[Case]:
    """Play the debater against itself on questions of the teaching split.

    Which answer side A defends is drawn at random; the same arguments give the same debates. A debate that failed is
    left out.
    """
    engine, policy = TransformersEngine(str(debater), Settings(batch_size=BATCH)), Policy("base", 0, str(debater))
    cases: list[Case] = []
    for start in indices[::BATCH]:
        rng = random.Random(f"seats {seed} {start}")
        asked = [question_at("teaching", index, seed) for index in range(start, min(start + BATCH, indices.stop))]
        matchups = [
            Matchup(question.id, question, rng.random() < 0.5, dict.fromkeys(protocol.speakers, policy.name))
            for question, _ in asked
        ]
        sampling = Sampling(SPEECH_TOKENS, seed=seed + start)
        rollouts = play(matchups, protocol, prompts(), {policy.name: engine}, sampling, {policy.name: policy})
        cases += [
            (rollout.transcript, correct)
            for rollout, (_, correct) in zip(rollouts, asked, strict=True)
            if isinstance(rollout, Rollout)
        ]
    return cases
