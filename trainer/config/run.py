"""The configuration of a run: composed by Hydra from configs/, validated here once, saved with the run."""

from pathlib import Path
from typing import Any

from pydantic import Field, model_validator

from envs.questions import QuestionSettings
from rewards.judges import AnyJudge, JudgeSettings, ModelSettings
from rewards.reward import RewardRule
from trainer.algorithms import AnyAlgorithm
from trainer.config.comparing import Ablation, Comparison, Plan, Study
from trainer.config.debater import Debater
from trainer.config.decoding import AnyInference, Plain
from trainer.config.game import Protocol, Questions, Reward
from trainer.config.judging import Adversarial, JudgeTraining
from trainer.config.measuring import Audit, Evaluation, Watch
from trainer.config.opponent import AnyOpponent, SelfPlay
from trainer.config.placement import Cluster
from trainer.config.stopping import Limits, Wandb
from trainer.section import SEEDS, Name, Section, out_of_range

PARITY = {"float32": 1e-3, "bfloat16": 0.25}
"""How far an engine and the learner may differ unless the configuration says otherwise (`parity_tolerance`)."""


class Config(Section):
    """A whole run."""

    output: Path
    """Run folder."""
    seed: int = Field(0, ge=0, lt=SEEDS)
    iterations: int = Field(ge=1)
    save_every: int = Field(1, ge=1)
    """Iterations between checkpoints; the last one is always saved."""
    parity_tolerance: float = Field(gt=0)
    """How far the engine's and the learner's log-probabilities may lie apart after a publish, on tokens that the base
    debater sampled: 0.4 of this on average, in nats, and on a token of log-probability l twice this x (1 + |l|). The
    bound on the mean holds for the sampled tokens of a run's first batch, too. null is 0.001 in float32 and 0.25 in
    bfloat16."""
    questions: Questions
    protocol: Protocol
    debater: Debater
    judge: AnyJudge
    heldout_judges: list[AnyJudge] = []
    reward: Reward = RewardRule()
    algorithm: AnyAlgorithm
    opponent: AnyOpponent = SelfPlay()
    cluster: Cluster = Cluster()
    inference: AnyInference = Plain()
    evaluation: Evaluation = Evaluation()
    audit: Audit = Audit()
    watch: Watch = Watch()
    limits: Limits = Limits()
    wandb: Wandb = Wandb()
    comparison: Comparison = Comparison()
    judge_training: JudgeTraining = JudgeTraining()
    adversarial: Adversarial = Adversarial()
    plan: Plan = Plan()
    ablation: Ablation = Ablation()
    study: Study = Study()
    arms: dict[Name, list[str]] = {}
    """For `rostrum demo`: the arms of the experiment, each a list of overrides on this configuration."""

    @property
    def judges(self) -> tuple[JudgeSettings, ...]:
        """The judge that gives the reward, and those that do not."""
        return (self.judge, *self.heldout_judges)

    @property
    def test_questions(self) -> QuestionSettings:
        """Where held-out questions come from when checkpoints are tested."""
        seed = self.evaluation.questions_seed
        return self.questions if seed is None else self.questions.model_copy(update={"seed": seed})

    @property
    def judge_models(self) -> tuple[ModelSettings, ...]:
        """Every model that a judge reads with."""
        return tuple(model for judge in self.judges for model in judge.needs())

    @model_validator(mode="after")
    def _judges_are_told_apart(self) -> "Config":
        names = [judge.name for judge in self.judges]
        for name in names:
            if names.count(name) > 1:
                raise ValueError(
                    f"two judges are called {name!r}, and their figures would be merged: change judge.name or "
                    "heldout_judges.N.name, or leave one of the two out (heldout_judges=none)"
                )
        return self

    @model_validator(mode="before")
    @classmethod
    def _numbers_are_in_range(cls, values: Any) -> Any:
        if found := out_of_range(values):
            raise ValueError(found)
        return values

    @model_validator(mode="before")
    @classmethod
    def _parity_by_dtype(cls, values: Any) -> Any:
        """A tolerance that is not set follows the debater's dtype."""
        if not isinstance(values, dict) or values.get("parity_tolerance") is not None:
            return values
        debater = values.get("debater")
        dtype = debater.get("dtype", "float32") if isinstance(debater, dict) else "float32"
        return {**values, "parity_tolerance": PARITY.get(dtype, PARITY["float32"])}

    @model_validator(mode="after")
    def _only_full_weights_are_transferred(self) -> "Config":
        transport = self.cluster.weight_transfer
        if transport in ("nccl", "gloo") and (self.debater.engine != "vllm" or self.debater.lora is not None):
            raise ValueError(
                f"cluster.weight_transfer={transport} is for full weights in debater.engine=vllm: leave it out, or set "
                "debater.engine=vllm and debater.lora=null"
            )
        return self

    @model_validator(mode="after")
    def _somebody_sleeps(self) -> "Config":
        engines = {self.debater.engine, *(model.engine for model in self.judge_models)}
        if self.cluster.sleep and "vllm" not in engines:
            raise ValueError("cluster.sleep is for engines of vLLM: set debater.engine=vllm or judge.engine=vllm")
        return self
