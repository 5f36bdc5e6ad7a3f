"""What is asked of a sweep over labels (`rostrum labels`): what they cost, who learns from them, how."""

from typing import Annotated, Literal

from pydantic import Field, model_validator

from rostrum.rewards.labels import AnyLabelSource
from rostrum.trainer.section import Section

Dollars = Annotated[float, Field(gt=0)]
Share = Annotated[float, Field(ge=0, le=1)]
ArmName = Literal["finetune", "shots", "shots+finetune", "uncertain", "repeated", "confidence"]
PLAIN: ArmName = "finetune"


class Labels(Section):
    """A grid of budget, share spent on the dearer source, arm and seed (`rostrum labels`)."""

    cheap: AnyLabelSource | None = None
    """The source of the cheaper labels (configs/label_source/); `sources=CHEAP,DEAR` on the command line sets both."""
    dear: AnyLabelSource | None = None
    """The source of the dearer labels."""
    budgets: list[Dollars] = Field([16, 64, 256, 1024], min_length=1)
    """Dollars to spend."""
    shares: list[Share] = Field([0, 0.2, 0.5, 0.8, 1], min_length=2)
    """Shares of a budget that are spent on the dearer labels."""
    prices: list[Dollars] = []
    """Prices of a cheaper label that are compared; none: what its source costs. No judge is taught twice for it."""
    seeds: int = Field(3, ge=1)
    """Teachings of each kind, which differ in the debates that are bought and in their order."""
    pool: int = Field(4096, ge=2)
    """Debates on offer at the most, one about each training question: half by the base debater, half by the trained
    one."""
    arms: list[ArmName] = [PLAIN]
    """How a judge learns: `finetune` on the cheaper labels, then on the dearer ones; `shots`, which are debates with
    cheaper labels in its prompt and nothing else; both; `uncertain`, with the dearer labels for debates on which the
    judge is least sure after the cheaper ones; `repeated`, with several cheaper labels of each debate; `confidence`,
    on all labels together, weighted by how far they are from one half."""
    arm_budgets: list[Dollars] = []
    """The budgets at which arms other than `finetune` are tried, at the source's own price; none: all."""
    arm_shares: list[Share] = []
    """The shares at which they are tried; none: all."""
    shots: int = Field(4, ge=1)
    """Debates in the prompt of the arms with shots, which are paid for."""
    repeats: int = Field(3, ge=2)
    """Labels of each debate that the arm `repeated` buys."""
    validation: float = Field(0.2, gt=0, lt=1)
    """Share of each stage's labels, two at least and 128 at most, that are not learned from: when to stop is found
    there."""
    steps: int = Field(128, ge=1)
    """Optimizer steps of a stage at the most; `judge_training.epochs` bounds them as well."""
    evaluations: int = Field(8, ge=1)
    """Looks at the validation labels in a stage."""

    @model_validator(mode="after")
    def _lists_fit(self) -> "Labels":
        for name in ("budgets", "shares", "prices", "arms", "arm_budgets", "arm_shares"):
            values = getattr(self, name)
            if len(set(values)) < len(values):
                raise ValueError(f"{name} lists a value twice: name each once")
        for name, of in (("arm_budgets", "budgets"), ("arm_shares", "shares")):
            if strange := sorted(set(getattr(self, name)) - set(getattr(self, of))):
                raise ValueError(f"{name} has {strange[0]:g}, which is none of the {of}: choose among these")
        if PLAIN not in self.arms:
            raise ValueError(f"arms are compared with {PLAIN}: name it too")
        return self
