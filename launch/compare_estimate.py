"""What a comparison's judges will cost where they are paid by the token, estimated before anything is asked."""

from collections.abc import Mapping, Sequence
from pathlib import Path

from rostrum.envs.questions.base import load_questions
from rostrum.launch.estimate import at_inference, debates_like, of_all_judges, references
from rostrum.rewards.types import Usage
from rostrum.trainer.config import Config
from rostrum.trainer.evaluation.comparisons.comparison import REFERENCES, Player, debates_file, verdicts_file


def comparison(config: Config, arms: Mapping[str, Config], iterations: Sequence[int]) -> Usage:
    """Return what is still to be asked: by all judges, and by those that ask or choose while debates are played.

    Speeches are taken to be of full length. What is finished in the folder is not asked again, and arms that play alike
    are played once.
    """
    folder, players = config.output, [Player(iteration, "") for iteration in iterations]
    debates = 2 * len(load_questions(config.test_questions, "heldout").questions("heldout"))
    total = Usage() if (folder / REFERENCES).exists() else references(config)
    said: set[Path] = set()
    for name, arm in arms.items():
        like, speeches = debates_like(arm, "heldout"), arm.protocol.speeches
        for player in players:
            if verdicts_file(folder, name, player).exists():
                continue
            total += of_all_judges(config, like, debates)
            file = debates_file(folder, arm, player)
            if file not in said and not file.exists():
                total += at_inference(arm, like, debates, debates * speeches)
            said.add(file)
    return total
