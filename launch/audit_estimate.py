"""What an audit's judges will cost where they are paid by the token, reckoned before anything is asked."""

from collections.abc import Sequence
from pathlib import Path
from tempfile import TemporaryDirectory

from envs.attacks import ATTACKS, attacked
from envs.types import Transcript
from launch.estimate import SAMPLE, debates_like, judged
from rewards import labelled
from rewards.judges import JudgeSettings, cascade
from rewards.labelled import Labelled
from rewards.types import Usage
from trainer import setup
from trainer.config import Config
from trainer.judge_audit.arms import arms

CHANGED_MARKS = 3
"""Times that the section on verification tags asks about every debate again."""


def audit(config: Config) -> Usage:
    """What all judges are asked by `rostrum audit`, were none of their verdicts stored yet.

    Debates that are still to be played are taken to be of full length, and the examples of few_shot to be like them.
    """
    read, number = _debates(config)
    with TemporaryDirectory() as folder:
        with_examples = _with_examples(config, Path(folder) / "examples.jsonl")
        judges = [judge for _, judge in arms(with_examples)]
        return sum((_asked(config, judge, read, number) for judge in judges), Usage())


def _debates(config: Config) -> tuple[Sequence[Transcript], int]:
    """Debates to reckon with, and how many are audited."""
    stored = config.output / "debates.jsonl"
    source = config.audit.debates or (stored if stored.exists() else None)
    if source is not None:
        found = [debate.transcript for debate in labelled.read(source, lambda _: 1.0)]
        return found[:SAMPLE], len(found)
    questions = setup.question_set(config.questions).questions("heldout")
    return debates_like(config, "heldout"), 2 * min(config.audit.questions, len(questions))


def _with_examples(config: Config, path: Path) -> Config:
    """The configuration with a file of examples, so that none are played."""
    if config.audit.examples is not None or "few_shot" not in config.audit.variants:
        return config
    labelled.write(path, [Labelled(debate, 1.0) for debate in debates_like(config, "train")])
    return config.model_copy(update={"audit": config.audit.model_copy(update={"examples": path})})


def _asked(config: Config, judge: JudgeSettings, read: Sequence[Transcript], number: int) -> Usage:
    """What one judge is asked: the debates, the debates with other marks, and each attack from each seat."""
    skipped, orders = config.audit.skip, 1 + any(model.order != "both" for model in judge.needs())
    times = orders * (1 if "tags" in skipped else 1 + CHANGED_MARKS)
    total = judged(judge, read, times * number)
    if isinstance(judge, cascade.Settings):
        total += judged(judge.first, read, number) + judged(judge.second, read, number)
    if "attacks" not in skipped:
        under = [attacked(debate, seat, name) for debate in read for seat in debate.protocol.seats for name in ATTACKS]
        share = min(config.audit.attacked, number) / len(read)
        total += judged(judge, under, round(share * len(under)))
    return total
