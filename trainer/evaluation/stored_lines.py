"""What an evaluation stores beside the summary, and the monitor of its looks, a line for each: written and read by the
same classes."""

from rostrum.trainer.evaluation.summary import BeforeAfter, Estimate
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


class MonitorJudge(Record):
    """One judge at one look of the monitor (`trainer.evaluation.opinions`)."""

    judge: str
    role: str = ""
    accuracy: Figure = None
    invalid: Figure = None
    mcc: Figure = None
    wrong_side: Figure = None


class MonitorChange(BeforeAfter):
    """What became of a figure since the base (`trainer.stats.paired.PairedChange`)."""

    change: Figure = None
    low: Figure = None
    high: Figure = None
    p: Figure = None
    minimum_detectable_change: Figure = None
    n_questions: int | None = None
    n_stories: int | None = None


class MonitorRecord(Record):
    """One look of the monitor (`trainer.evaluation.monitor`), a line of watch.jsonl."""

    iteration: int
    questions: int | None = None
    stories: int | None = None
    failed: int | None = None
    """Debates that could not be played."""
    judges: list[MonitorJudge] = []
    gap: Figure = None
    conduct: dict[str, Figure] = {}
    attack_success: Figure = None
    by_question: dict[str, list[float]] = {}
    """What changes are measured on: "approval", "accuracy" and "held_out"."""
    reward: MonitorChange = MonitorChange()
    held_out: MonitorChange = MonitorChange()
    reward_judge: MonitorChange = MonitorChange()
    gap_change: MonitorChange = MonitorChange()
    suspicious: bool = False
    triggers: list[str] = ["held_out"]
    """What was found beside the rise; runs that are older knew one thing only."""
    alarm: bool = False
    stop: bool = False
