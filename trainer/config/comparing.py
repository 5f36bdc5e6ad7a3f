"""What is compared with what: plans, ablations, studies and the arms of a comparison (configs/comparison/)."""

from typing import Annotated, Literal

from pydantic import Field

from rostrum.trainer.section import Section


class Plan(Section):
    """What `rostrum plan` declares besides the experiment itself, and what its power table takes for granted."""

    arm: str | None = None
    """The arm of the primary comparison, or the name that its seeds are pooled under. None: the first debate."""
    judge: str | None = None
    """Whose accuracy the primary comparison is about. None: the first held-out judge, or the only one there is."""
    invalid: Literal["dropped", "half", "wrong"] = "dropped"
    """What INVALID verdicts count for in the figures that are shown: nothing at all, half right, or not right. A
    headline needs all three to agree."""
    story_correlation: float = Field(0.2, ge=0, le=1)
    """Of the changes of two questions about one story."""
    seed_correlation: float = Field(0.5, ge=0, le=1)
    """Of the changes of one question under two training seeds."""
    seed_sd: float = Field(0.02, ge=0, lt=1)
    """Standard deviation, over training seeds, of the true change, as a share of one."""


class Ablation(Section):
    """How the cells of `rostrum ablate` share a machine or a cluster."""

    cpus: float = Field(1, gt=0)
    """CPUs that a cell asks Ray for; Ray runs as many cells side by side as fit."""
    gpus: float = Field(0, ge=0)
    """GPUs that a cell asks Ray for; a share of one is possible, and 0 hides all of them from it."""
    at_once: int | None = Field(None, ge=1)
    """Cells side by side at the most; none: as many as there is room for."""


class Study(Section):
    """What `rostrum study` does beyond training and evaluating its arms (configs/experiment/study.yaml)."""

    tournament_questions: int = Field(80, ge=1)
    """Held-out questions that the checkpoints argue against each other, in both seatings."""


class Comparison(Section):
    """The arms of `rostrum compare` (configs/comparison/), and how an arm's debates are shown to judges."""

    arms: dict[Annotated[str, Field(pattern=r"^\w[\w-]*$")], list[str]] = {}
    """Each a list of overrides on the configuration; what is compared is compared with the first."""
    speakers: Literal["own", "exchanged", "shuffled"] = "own"
    """In whose mouth judges are shown a speech: that of its own speaker, of the other side, or of a side drawn for it,
    as a control. What is said, and which answer each side defends, stays as it was."""
    own_answer: Literal["auto", "answer", "letter"] = "auto"
    """What is scored when a debater is asked for its own answer: the answers' words or the letters A and B; auto: the
    letters where prompts are turns of a chat template."""
