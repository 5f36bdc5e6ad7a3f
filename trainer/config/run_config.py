"""The configuration of a run: composed by Hydra from configs/, validated here once, saved with the run."""

import operator
from collections.abc import Callable
from pathlib import Path
from typing import Any, Literal

from pydantic import Field, ValidationError, model_validator

from rostrum.envs.questions import QuestionSettings
from rostrum.envs.types import TRAINED
from rostrum.rewards.judges import AnyJudge, JudgeSettings, ModelSettings
from rostrum.rewards.reward import RewardRule
from rostrum.trainer.algorithms import AnyAlgorithm
from rostrum.trainer.config.comparing import Ablation, Comparison, Plan, Study
from rostrum.trainer.config.debater import Debater
from rostrum.trainer.config.decoding import AnyDecoding, Plain
from rostrum.trainer.config.game import Protocol, Questions, Reward
from rostrum.trainer.config.judging import Adversarial, JudgeTraining
from rostrum.trainer.config.labels import Labels
from rostrum.trainer.config.learner_overrides import LearnerOverrides, PolicyName
from rostrum.trainer.config.measuring import Audit, Evaluation, Monitor
from rostrum.trainer.config.opponent import AnyOpponent, SelfPlay
from rostrum.trainer.config.people import People
from rostrum.trainer.config.placement import Cluster
from rostrum.trainer.config.stopping import Limits, Wandb
from rostrum.trainer.config.warming import WarmStart
from rostrum.trainer.engines import EngineSettings, engine_settings, settings_by_name
from rostrum.trainer.section import SEEDS, Name, Section, out_of_range

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
    rehearse: Literal["auto", "always", "never"] = Field("auto", exclude_if=lambda value: value == "auto")
    """Whether the largest batches are played, judged and learned from once before the first iteration, with nothing
    kept: a run that does not fit is refused, and the others begin with an estimate of their time and memory. `auto`: on
    a GPU, or with a debater of 50 million parameters or more, where the run is not resumed."""
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
    learners: dict[PolicyName, LearnerOverrides] = Field({}, exclude_if=operator.not_)
    """The policies that are trained, where there are several, each with what its learner has otherwise than the run;
    `protocol.speakers.S.policy=NAME` says who speaks with which. Empty: one policy speaks for everybody."""
    opponent: AnyOpponent = SelfPlay()
    cluster: Cluster = Cluster()
    decoding: AnyDecoding = Plain()
    evaluation: Evaluation = Evaluation()
    audit: Audit = Audit()
    monitor: Monitor = Monitor()
    limits: Limits = Limits()
    wandb: Wandb = Wandb()
    comparison: Comparison = Comparison()
    judge_training: JudgeTraining = JudgeTraining()
    adversarial: Adversarial = Adversarial()
    warmstart: WarmStart = Field(WarmStart(), exclude_if=lambda section: section == WarmStart())
    people: People = Field(People(), exclude_if=lambda section: section == People())
    labels: Labels = Field(Labels(), exclude_if=lambda section: section == Labels())
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
    def policies(self) -> tuple[str, ...]:
        """The names of the policies that are trained."""
        return tuple(self.learners) or (TRAINED,)

    @property
    def groups(self) -> int:
        """In how many groups the ranks of `cluster.learners` learn: with DeepSpeed each policy has ranks of its own, as
        a process can hold only one of its engines' settings."""
        return len(self.policies) if self.cluster.deepspeed is not None else 1

    def of(self, policy: str) -> "Config":
        """Return the configuration with the debater and the algorithm of one policy's learner.

        Raises:
            ValidationError: they cannot be what the learner's section asks for.
        """
        own = self.learners.get(policy)
        if own is None:
            return self
        chosen = {"debater": own.debater_of(self.debater), "algorithm": own.algorithm_of(self.algorithm)}
        return self.model_copy(update=chosen)

    @property
    def plays_apart(self) -> bool:
        """Whether debates are played and judged in other processes than those that learn, and can be meanwhile."""
        elsewhere = self.cluster.judge_workers > 0 or {m.endpoint is not None for m in self.judge.needs()} == {True}
        return self.groups > 1 or (self.cluster.rollout_workers > 0 and elsewhere)

    @property
    def waits_in_thread(self) -> Literal["players", "judge"] | None:
        """Who only waits for other processes while a batch is collected, so that debates are judged while others are
        played; None where both compute in this one, or may ask one process."""
        cluster, debater, kinds, judges = self.cluster, self.debater, settings_by_name(), self.judge.needs()
        plain = isinstance(self.decoding, Plain) and not self.protocol.judge_asks  # else a judge reads for players
        shared = {debater.engine} if any(of.lora is not None for of in self.debaters) else set()  # by all adapters
        apart = {name for name, kind in kinds.items() if plain and kind.computes_apart} - shared
        if cluster.rollout_workers > 0 or debater.engine in apart:
            return "players"
        elsewhere = cluster.judge_workers > 0 or all(m.endpoint is not None or m.engine in apart for m in judges)
        return "judge" if judges and elsewhere else None

    @property
    def debaters(self) -> tuple[Debater, ...]:
        """The debater of each policy that is trained."""
        return tuple(self.of(policy).debater for policy in self.policies)

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
    def _learners_share_debates(self) -> "Config":
        if len(self.learners) == 1:
            raise ValueError("learners names one policy: name the others too, or leave learners out")
        for name in self.learners:
            try:
                own = self.of(name).algorithm
            except ValidationError as error:
                problem = error.errors()[0]
                *_, key = problem["loc"] or ("name",)
                raise ValueError(f"learners.{name} has a {key} that cannot be used ({problem['msg']})") from None
            for key in ("questions_per_iteration", "repeats", "siblings", "staleness"):
                if getattr(own, key) != getattr(self.algorithm, key):
                    raise ValueError(
                        f"learners.{name} learns from the debates that all policies play together, and its algorithm "
                        f"asks for others ({key} {getattr(own, key)}, not {getattr(self.algorithm, key)}): give all "
                        "learners algorithms that play alike"
                    )
        return self

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
        """Fill in a tolerance that is not set: it follows the debater's dtype."""
        if not isinstance(values, dict) or values.get("parity_tolerance") is not None:
            return values
        debater = values.get("debater")
        dtype = debater.get("dtype", "float32") if isinstance(debater, dict) else "float32"
        return {**values, "parity_tolerance": PARITY.get(dtype, PARITY["float32"])}

    @property
    def engines(self) -> set[str]:
        """The engines that serve the debater and the judges' models, but for endpoints."""
        return {self.debater.engine, *(model.engine for model in self.judge_models if model.endpoint is None)}

    @model_validator(mode="after")
    def _engines_can_do_it(self) -> "Config":
        debater, served = self.debater, [*self.judge_models, *self.decoding.needs()]
        engine_settings(debater.engine, debater.engine_options)
        adapters = any(of.lora is not None for of in self.debaters)
        if adapters and not settings_by_name()[debater.engine].serves_adapters:
            can = " or ".join(_engines(lambda kind: kind.serves_adapters))
            raise ValueError(
                f"debater.engine={debater.engine} serves no adapters: set debater.lora=null, or choose {can}"
            )
        for judge in served:
            if judge.endpoint is not None:
                continue
            engine_settings(
                judge.engine,
                judge.engine_options,
                dtype=judge.dtype,
                tensor_parallel=judge.tensor_parallel,
                quantization=judge.quantization,
            )
            of_each, wanted = self.cluster.gpus_per_judge, judge.tensor_parallel
            if wanted > 1 and self.cluster.judge_workers and 0 < of_each < wanted:
                raise ValueError(
                    f"{judge.name} is spread over {wanted} GPUs (tensor_parallel), and a judge's worker has fewer: set "
                    f"cluster.gpus_per_judge={wanted}"
                )
            if judge.has_head and settings_by_name()[judge.engine].classifier is None:
                can = " or ".join(_engines(lambda kind: kind.classifier is not None))
                raise ValueError(f"{judge.name} has a head, which engine={judge.engine} does not serve: choose {can}")
        return self

    @model_validator(mode="after")
    def _only_full_weights_are_transferred(self) -> "Config":
        transport = self.cluster.weight_transfer
        if transport in ("auto", "disk"):
            return self
        if self.learners:
            raise ValueError(
                f"cluster.weight_transfer={transport} carries the weights of one policy, and {len(self.learners)} are "
                "trained: leave it out, and engines read the published folders"
            )
        if self.debater.lora is not None or transport not in settings_by_name()[self.debater.engine].transports:
            can = " or ".join(f"debater.engine={name}" for name in _engines(lambda kind: transport in kind.transports))
            raise ValueError(
                f"cluster.weight_transfer={transport} is for full weights in {can}: leave it out, or set "
                f"{can} and debater.lora=null"
            )
        return self

    @model_validator(mode="after")
    def _somebody_sleeps(self) -> "Config":
        sleepers = _engines(lambda kind: kind.sleeps)
        if self.cluster.sleep and not self.engines.intersection(sleepers):
            can = " or ".join(f"debater.engine={name} or judge.engine={name}" for name in sleepers)
            raise ValueError(f"cluster.sleep is for engines that can give memory back: set {can}")
        return self


def _engines(can: Callable[[type[EngineSettings]], bool]) -> list[str]:
    """Return the names of the engines of which this is true."""
    return [name for name, kind in settings_by_name().items() if can(kind)]
