"""What an evaluation stores beside the summary, a line for each: written and read by the same classes."""

from rostrum.trainer.evaluation.summary import Estimate
from rostrum.trainer.records import Figure, Record


class Counted(Estimate):
    """An estimate and the number of values that it is from."""

    n: int | None = None


class AttackRecord(Record):
    """What one attack did to the reward judge at one checkpoint (`rewards.audit.attacks.AttackResult`)."""

    arm: str = ""
    checkpoint: str
    iteration: int
    matchup: str = ""
    judge: str
    attack: str
    n: int | None = None
    lost: int
    flips: int
    success: Counted = Counted()
    backfired: Figure = None
    shift: Counted = Counted()
    invalid: Figure = None
    right_clean: Figure = None
    right_attacked: Figure = None


class TrainingAccuracy(Record):
    """The reward judge's accuracy on one iteration's training debates, and how many verdicts it is from."""

    iteration: int
    judge_accuracy: Figure = None
    n: int | None = None
