"""Labelled debates for judges: a policy argues questions against itself, and the answer key says who was right."""

from collections import Counter
from pathlib import Path

from rostrum.envs.questions.base import load_questions
from rostrum.envs.types import Failure
from rostrum.rewards.labelled import Labelled, LabelledError, with_key
from rostrum.trainer import setup
from rostrum.trainer.config import Config
from rostrum.trainer.progress import debates_bar
from rostrum.trainer.rollouts.local import Outcome
from rostrum.trainer.rollouts.schedule import derive, shards_of
from rostrum.trainer.types import Matchup, Policy


def play_labelled(
    settings: Config, split: str, questions: int | None, policy: Path | None = None, first: int = 0
) -> list[Labelled]:
    """The debates of a policy (the base debater if none is named) with itself on `questions` of a split (None: all).

    `first` is the number of questions passed over. Each question is argued in both seatings; debates that fail are left
    out.

    Raises:
        LabelledError: there is no question, or no debate could be finished.
    """
    source = load_questions(settings.questions, split)
    asked, speakers = source.questions(split)[first:][:questions], settings.protocol.speakers
    if not asked:
        raise LabelledError(f"There is no {split} question to debate about: raise questions.{split}.")
    matches = [
        Matchup(f"{i:05d}-{'ba' if swapped else 'ab'}", question, swapped, dict.fromkeys(speakers, "player"))
        for i, question in enumerate(asked)
        for swapped in (False, True)
    ]
    player = Policy("player", 0, str(policy or settings.debater.model))
    shards = shards_of(matches, settings.cluster.shard_size, derive(settings.seed, "labelled", split))
    rollouts, outcomes = setup.rollouts(settings), dict[int, list[Outcome]]()
    try:
        with debates_bar("playing debates to be judged", len(matches)) as bar:
            for shard, played in rollouts.play(shards, {"player": player}):
                outcomes[shard.index] = played
                bar.advance(len(played))
    finally:
        rollouts.close()
    finished = [o for index in sorted(outcomes) for o in outcomes[index] if not isinstance(o, Failure)]
    if not finished:
        failed = (o for index in sorted(outcomes) for o in outcomes[index] if isinstance(o, Failure))
        reasons = Counter(o.reason for o in failed)
        ((reason, _),) = reasons.most_common(1)
        raise LabelledError(
            f"None of the {len(matches)} debates could be played, most often because {reason}: mend that first."
        )
    return with_key([outcome.transcript for outcome in finished], source.answer_key(split))
