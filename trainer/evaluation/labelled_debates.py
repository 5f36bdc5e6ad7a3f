"""Labelled debates for judges: a policy argues questions against itself, and the answer key says who was right."""

from collections import Counter
from pathlib import Path

from rostrum.envs.questions.base import load_questions
from rostrum.rewards.labelled import Labelled, LabelledError, with_key
from rostrum.trainer import setup
from rostrum.trainer.config import Config
from rostrum.trainer.rollouts.arena import Plan, play
from rostrum.trainer.rollouts.schedule import alone, both_seatings, derive
from rostrum.trainer.types import Policy


def play_labelled(
    settings: Config, split: str, questions: int | None, policy: Path | None = None, first: int = 0
) -> list[Labelled]:
    """Return the debates of a policy (the base debater if none is named) with itself on `questions` of a split (None:
    all).

    `first` is the number of questions passed over. Each question is argued in both seatings; debates that fail are left
    out.

    Raises:
        LabelledError: there is no question, or no debate could be finished.
    """
    source = load_questions(settings.questions, split)
    asked = source.questions(split)[first:][:questions]
    if not asked:
        raise LabelledError(f"There is no {split} question to debate about: raise questions.{split}.")
    player = Policy("player", 0, str(policy or settings.debater.model))
    matchups = both_seatings(asked, alone(settings.protocol, {player.name: player}))
    plan = Plan(matchups, [player], settings.cluster.shard_size, derive(settings.seed, "labelled", split))
    workers = setup.rollout_workers(settings)
    try:
        played = play(workers, plan, "playing debates to be judged")
    finally:
        workers.close()
    if not played.finished:
        ((reason, _),) = Counter(failure.reason for failure in played.failures).most_common(1)
        raise LabelledError(
            f"None of the {len(matchups)} debates could be played, most often because {reason}: mend that first."
        )
    return with_key(played.finished, source.answer_key(split))
