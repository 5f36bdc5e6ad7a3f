"""The configuration of a run: composed by Hydra from configs/, validated here once, saved with the run."""

import math
import re
from dataclasses import fields
from difflib import get_close_matches
from pathlib import Path
from typing import Annotated, Any, Literal, Union

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, model_validator

from envs.questions import QuestionSettings, settings_by_kind
from envs.types import Protocol
from envs.windows import Window
from rewards.audit.settings import AuditOptions
from rewards.judges import AnyJudge, JudgeSettings, ModelSettings
from rewards.reward import RewardRule
from trainer.inference.settings import AnyInference, Plain
from trainer.opponents.settings import AnyOpponent, SelfPlay


def _known_keys(kind: type) -> BeforeValidator:
    """pydantic passes over keys that a plain dataclass does not have; a typing error must not."""

    def check(value: Any) -> Any:
        known = [field.name for field in fields(kind)]
        unknown = sorted(set(value) - set(known)) if isinstance(value, dict) else []
        if unknown:
            meant = get_close_matches(unknown[0], known, n=1)
            raise ValueError(f"there is no key {unknown[0]!r} here{f': did you mean {meant[0]}?' if meant else ''}")
        return value

    return BeforeValidator(check)


MOST_ROUNDS = 1000
_NAME = re.compile(r"[^/\\\x00-\x1f.][^/\\\x00-\x1f]{0,99}")


def _can_be_played(protocol: Protocol) -> Protocol:
    if not _NAME.fullmatch(protocol.name):
        raise ValueError(f"name is {protocol.name!r}, and folders are called after it: leave out slashes")
    if len(set(protocol.seats)) < len(protocol.seats):
        raise ValueError("a seat is named twice in seats: name each once")
    if protocol.seats and not 1 <= protocol.rounds <= MOST_ROUNDS:
        raise ValueError(f"rounds is {protocol.rounds}: set it to 1 to {MOST_ROUNDS}")
    if protocol.seats and protocol.max_words < 1:
        raise ValueError(f"max_words is {protocol.max_words}: set it to at least 1")
    return protocol


def _shows_something(window: Window) -> Window:
    if window.tokens < 1:
        raise ValueError(f"tokens is {window.tokens}: set it to at least 1, or leave the window out")
    return window


def _takes_nothing_negative(rule: RewardRule) -> RewardRule:
    for name in ("clip", "unverified_quote_penalty", "over_limit_penalty"):
        if getattr(rule, name) < 0:
            raise ValueError(f"{name} is {getattr(rule, name)}: set it to at least 0")
    return rule


Questions = Annotated[Union[tuple(settings_by_kind().values())], Field(discriminator="kind")]  # noqa: UP007
"""Where questions come from: one of the kinds that lie in envs/questions/ (configs/questions/)."""


SEEDS = 2**32
"""Where seeds end: numpy takes no larger ones."""
Name = Annotated[str, Field(pattern=rf"^{_NAME.pattern}$")]
"""What a folder or file may be called after."""


def _out_of_range(values: Any, key: str = "") -> str | None:
    """The first number that no setting can be, in words; None if there is none."""
    if isinstance(values, dict):
        inner = ((value, f"{key}.{name}" if key else str(name)) for name, value in values.items())
        return next((found for value, name in inner if (found := _out_of_range(value, name))), None)
    if isinstance(values, list | tuple):
        inner = ((value, f"{key}.{number}") for number, value in enumerate(values))
        return next((found for value, name in inner if (found := _out_of_range(value, name))), None)
    if isinstance(values, float) and not math.isfinite(values):
        return f"{key} is {values}, and every number here is finite"
    if isinstance(values, int) and abs(values) >= 2**63:
        return f"{key} is too large a number"
    if isinstance(values, int) and key.rpartition(".")[2] == "seed" and not 0 <= values < SEEDS:
        return f"{key} is {values}, and seeds are whole numbers from 0 to 2**32 - 1"
    if isinstance(values, str) and "\0" in values:
        return f"{key} holds a character that no name can hold"
    return None


class _Section(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)


class Lora(_Section):
    """Low-rank adapters instead of full weights."""

    rank: int = Field(16, ge=1)
    alpha: float = Field(32, gt=0)
    dropout: float = Field(0.0, ge=0, lt=1)
    target_modules: str | list[str] = "all-linear"


class Debater(_Section):
    """The policy that is trained (configs/debater/)."""

    model: str
    """Folder, hub id, or embedded/NAME."""
    prompts: str
    """Prompt set: a name under envs/templates/ or a folder."""
    max_tokens: int = Field(ge=1)
    """Tokens a speech may have before the engine cuts it."""
    temperature: float = Field(1.0, gt=0)
    lora: Lora | None = None
    format: Literal["auto", "plain", "chat"] = "auto"
    """How prompts become tokens: running text, or the model's chat template; auto: chat if it has a template."""
    rows: Literal["auto", "seat", "speech"] = "auto"
    """What is learned from at a time: all speeches of a seat in one row, or each in its own after its context; auto:
    seat, unless the chat template changes what came before (as those of thinking models do)."""
    window: Annotated[Window, _known_keys(Window), AfterValidator(_shows_something)] | None = None
    """What debaters read of a passage that is too long for them (`tokens`, `keep`); none: all of it, or an error."""
    engine: Literal["transformers", "vllm"] = "transformers"
    """What generates the speeches."""
    gpu_memory_fraction: float = Field(0.9, gt=0, le=1)
    """For engine=vllm on GPUs: how much of a GPU's memory each of its models may take."""
    batch_size: int = Field(256, ge=1)
    """Speeches generated at a time."""
    dtype: Literal["float32", "bfloat16"] = "float32"
    gradient_checkpointing: bool = False
    """Compute activations twice instead of keeping them: less memory, about a third more time for the learner."""


class PolicyGradient(_Section):
    """TRL's clipped surrogate and KL term with our advantages; what the advantages are, the algorithm's name says."""

    learning_rate: float = Field(gt=0)
    questions_per_iteration: int = Field(ge=1)
    """Each is played in both seatings."""
    debates_per_seating: int = Field(ge=1)
    epochs: int = Field(2, ge=1)
    """Passes over each iteration's rows."""
    minibatches: int = Field(4, ge=1)
    """Optimizer steps per pass."""
    micro_batch_rows: int | None = Field(None, ge=1)
    """Rows in memory at once; smaller than a minibatch means gradient accumulation."""
    clip: float = Field(0.2, gt=0)
    kl: float = Field(ge=0)
    """Weight of the KL penalty to the reference (the base debater)."""
    normalise_advantages: bool = True
    """Divide the advantages of an iteration by their standard deviation (and centre those of ppo)."""
    max_grad_norm: float = Field(1.0, gt=0)

    @model_validator(mode="before")
    @classmethod
    def _credit_is_in_the_name(cls, values: Any) -> Any:
        if isinstance(values, dict) and "credit" in values:
            raise ValueError(
                f"credit={values['credit']} has become the algorithm's name: leave it out and choose algorithm=ppo "
                "(gae), algorithm=rloo (group) or algorithm=rae (role_ema)"
            )
        return values


class Ppo(PolicyGradient):
    """Proximal policy optimisation with a critic: generalised advantage estimation (configs/algorithm/ppo.yaml)."""

    name: Literal["ppo"]
    gamma: float = Field(1.0, gt=0, le=1)
    lam: float = Field(1.0, ge=0, le=1)
    value_coefficient: float = Field(0.1, ge=0)
    """Weight of the critic's loss."""


class Rloo(PolicyGradient):
    """A leave-one-out baseline: the question's other debates (Ahmadian et al. 2024; configs/algorithm/rloo.yaml)."""

    name: Literal["rloo"]

    @model_validator(mode="after")
    def _groups_have_siblings(self) -> "Rloo":
        if self.debates_per_seating < 2:
            raise ValueError("rloo compares debates of one question: set debates_per_seating to at least 2")
        return self


class Rae(PolicyGradient):
    """Role-conditioned advantage estimation: a running baseline for each seat, answer and turn (SPIRAL, Liu et al.
    2025; configs/algorithm/rae.yaml)."""

    name: Literal["rae"]
    ema_decay: float = Field(0.9, ge=0, lt=1)
    """How slowly the baselines move."""


class Dpo(_Section):
    """trl.DPOTrainer on sibling speeches, one round per iteration (configs/algorithm/dpo.yaml)."""

    name: Literal["dpo"]
    learning_rate: float = Field(gt=0)
    questions_per_iteration: int = Field(ge=1)
    branches: int = Field(4, ge=2)
    """Siblings sampled at the branching ply; the best and the worst for the speaker make a pair."""
    min_gap: float = Field(0.5, ge=0)
    """Smallest difference in reward between the two of a pair."""
    beta: float = Field(0.1, gt=0)
    reference: Literal["previous", "base"] = "base"
    epochs: int = Field(1, ge=1)
    batch_rows: int = Field(64, ge=1)
    """Pairs per optimizer step."""
    micro_batch_rows: int | None = Field(None, ge=1)
    """Pairs in memory at once; it must divide what a rank has of a step. None: all of it."""
    max_length: int = Field(ge=2)
    """Longest prompt and speech together, in tokens; longer pairs are an error, never cut."""
    max_grad_norm: float = Field(1.0, gt=0)


class Resources(_Section):
    """Ray's custom resources that each role asks for, to pin it to nodes that were started with them."""

    learner: dict[str, Annotated[float, Field(ge=0)]] = {}
    rollout: dict[str, Annotated[float, Field(ge=0)]] = {}
    judge: dict[str, Annotated[float, Field(ge=0)]] = {}


class Cluster(_Section):
    """Who plays, who judges and who learns (configs/cluster/)."""

    address: str | None = None
    """Ray cluster to join, e.g. "auto"; none starts one here if a role needs it."""
    learners: int = Field(0, ge=0)
    """Ray actors that learn together, one rank each; 0 learns in this process (or in torchrun's)."""
    gpus_per_learner: float | None = Field(None, ge=0)
    """None: one where the cluster has GPUs, else none."""
    rollout_workers: int = Field(0, ge=0)
    """Ray actors that play debates; 0 plays in the process of the first learner."""
    gpus_per_worker: float = Field(0, ge=0)
    judge_workers: int = Field(0, ge=0)
    """Ray actors that each hold a copy of a judge; 0 judges in the process of the first learner."""
    gpus_per_judge: float = Field(0, ge=0)
    judge_timeout: float | None = Field(1800, gt=0)
    """Seconds that a judge's actor may take over one batch, once it has started; null waits for ever."""
    resources: Resources = Resources()
    shard_size: int = Field(64, ge=1)
    """Debates that one worker plays together. Part of the seed scheme: changing it changes the sampled debates."""
    sleep: bool = False
    """Engines of vLLM move to the CPU's memory while the learner works, for one GPU that serves them all."""
    weight_transfer: Literal["auto", "disk", "nccl", "gloo"] = "auto"
    """How engines of vLLM come by new full weights: from the published folder, or from the learner's memory over NCCL
    (every engine on a GPU of its own) or gloo; auto: nccl where it can be had. Adapters come from their folders."""
    deepspeed: Literal["zero2", "zero3"] | None = None
    offload: Literal["none", "optimizer", "all"] = "none"
    """What DeepSpeed keeps in the memory of the CPU: the optimizer's state, or (zero3) the parameters as well."""

    @property
    def gpus_apart(self) -> bool:
        """Whether each rollout worker, and the first learner, has a GPU to itself."""
        alone = self.gpus_per_learner is None or self.gpus_per_learner >= 1
        return alone and self.rollout_workers > 0 and self.gpus_per_worker >= 1

    @model_validator(mode="after")
    def _nccl_needs_gpus(self) -> "Cluster":
        if self.weight_transfer == "nccl" and not self.gpus_apart:
            raise ValueError(
                "cluster.weight_transfer=nccl needs rollout workers and learners with a GPU of their own each: set "
                "cluster.rollout_workers and cluster.gpus_per_worker to at least 1, or take gloo or disk"
            )
        return self

    @model_validator(mode="after")
    def _offload_has_a_stage(self) -> "Cluster":
        if self.offload != "none" and self.deepspeed is None:
            raise ValueError(f"cluster.offload={self.offload} is DeepSpeed's: set cluster.deepspeed to zero2 or zero3")
        if self.offload == "all" and self.deepspeed != "zero3":
            raise ValueError("cluster.offload=all moves parameters, so it needs cluster.deepspeed=zero3")
        return self


class Evaluation(_Section):
    """What is measured after training (configs/evaluation/)."""

    checkpoints: list[Annotated[int, Field(ge=0)]] | Literal["all", "final"] = "final"
    """Iterations to evaluate besides the base; the final one always is."""
    questions_seed: int | None = None
    """Seed of the held-out questions that checkpoints are tested on; none: `questions.seed`, that of the training. With
    another one the test is on fresh questions, which a set that makes its questions (testimony) has no end of."""
    browser_debates: int = Field(24, ge=0)
    """Debates per checkpoint and matchup that the report shows in full, besides up to ten of the most persuasive wrong
    ones and ten of the most surprising failures."""
    attacks: int = Field(20, ge=0)
    """Debates per checkpoint in which the reward judge is attacked (`envs.attacks`); 0 attacks none."""


class Watch(_Section):
    """Looks at the policy during training, with labels, on training questions set aside (`trainer.watch`)."""

    questions: int = Field(0, ge=0)
    """Training questions that are set aside with their stories, never to be trained on; 0 keeps no watch."""
    every: int = Field(1, ge=1)
    """Saved checkpoints from one look to the next; the base and the final one are looked at in any case."""
    attacks: int = Field(10, ge=0)
    """Debates per look in which the reward judge is attacked."""
    level: float = Field(0.016, gt=0, lt=0.5)
    """Of each test of one look; see `trainer.watch` for how it was chosen."""
    rise: float = Field(0.0, ge=0, le=1)
    """Smallest rise of the reward judge's approval that can be part of an alarm, as a share of one."""
    fall: float = Field(0.05, ge=0, le=1)
    """Smallest fall of an accuracy, the held-out judges' or the reward judge's, that can be part of an alarm."""
    gap: float = Field(0.1, ge=0, le=1)
    """Smallest change of the gap between these, either way, that can be part of an alarm."""
    patience: int = Field(2, ge=1)
    """Looks in a row that must be suspicious before there is an alarm."""
    stop: bool = False
    """End the training at the checkpoint that raises the alarm."""


class Audit(AuditOptions):
    """What `rostrum audit` reads and what it asks of judges (configs/audit/)."""

    debates: Path | None = None
    """Stored debates to audit on: with labels, or about questions whose answers the question set knows. None: the base
    debater argues held-out questions against itself."""
    questions: int = Field(200, ge=1)
    """Held-out questions that it argues, each in both seatings."""
    variants: list[Literal["plain", "criteria", "debias", "few_shot"]] = []
    """Other prompts of the configured judge, audited as judges of their own: without additions, with what makes the
    better case spelled out, with a warning not to judge by position or length, with examples."""
    examples: Path | None = None
    """Labelled debates that the examples of few_shot are chosen from. None: the base debater argues training questions
    against itself."""
    ratings: Path | None = None
    """Human ratings of these debates (rewards/audit/ratings.py gives the format)."""


class JudgeTraining(_Section):
    """How `rostrum judge train` fine-tunes the configured judge on labelled debates (configs/judge_training/)."""

    head: Literal["auto", "letter", "answer", "classifier"] = "auto"
    """What is taught to say the verdict: the letters A and B, the answers' own words, or a new classification head with
    a class per answer; auto: whatever the judge reads its verdict from."""
    debates: Path | None = None
    """JSON Lines of labelled debates (`rewards.labelled`); none: the base debater plays them on the training split."""
    questions: int = Field(500, ge=2)
    """Questions of the training split that are played, in both seatings, where no file is given."""
    heldout_fraction: float = Field(0.25, gt=0, lt=1)
    """Share of the debates' stories that is not learned from: when to stop and the temperature are found there."""
    learning_rate: float = Field(3e-4, gt=0)
    epochs: int = Field(12, ge=1)
    """Passes over the debates, each in both presentation orders, at the most."""
    patience: int = Field(4, ge=1)
    """Passes without a lower held-out loss before it stops; the first ones often raise it before it falls."""
    batch_rows: int = Field(64, ge=1)
    """Readings (a debate in one order) per optimizer step."""
    micro_batch_rows: int | None = Field(None, ge=1)
    """Readings in memory at once; it must divide batch_rows. None: all of a step's."""
    weight_decay: float = Field(0.01, ge=0)
    max_grad_norm: float = Field(1.0, gt=0)
    gradient_checkpointing: bool = False
    lora: Lora | None = None
    """None learns all weights; an adapter is merged when the judge is written."""

    @model_validator(mode="after")
    def _rows_divide(self) -> "JudgeTraining":
        if self.batch_rows % (self.micro_batch_rows or self.batch_rows):
            raise ValueError(f"micro_batch_rows={self.micro_batch_rows} does not divide batch_rows={self.batch_rows}")
        return self


class Adversarial(_Section):
    """The rounds of `rostrum judge adversarial` (configs/experiment/adversarial.yaml)."""

    rounds: int = Field(2, ge=1)
    """How often the judge is retrained; debaters are trained once more, against the last judge."""
    questions: int = Field(500, ge=2)
    """Questions of the training split that the debaters of each round play, in both seatings, to teach the judge."""


class Plan(_Section):
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


class Ablation(_Section):
    """How the cells of `rostrum ablate` share a machine or a cluster."""

    cpus: float = Field(1, gt=0)
    """CPUs that a cell asks Ray for; Ray runs as many cells side by side as fit."""
    gpus: float = Field(0, ge=0)
    """GPUs that a cell asks Ray for; a share of one is possible, and 0 hides all of them from it."""
    at_once: int | None = Field(None, ge=1)
    """Cells side by side at the most; none: as many as there is room for."""


class Study(_Section):
    """What `rostrum study` does beyond training and evaluating its arms (configs/experiment/study.yaml)."""

    tournament_questions: int = Field(80, ge=1)
    """Held-out questions that the checkpoints argue against each other, in both seatings."""


class Comparison(_Section):
    """The arms of `rostrum compare` (configs/comparison/), and how an arm's debates are shown to judges."""

    arms: dict[Annotated[str, Field(pattern=r"^\w[\w-]*$")], list[str]] = {}
    """Each a list of overrides on the configuration; what is compared is compared with the first."""
    speakers: Literal["own", "exchanged", "shuffled"] = "own"
    """In whose mouth judges are shown a speech: that of its own speaker, of the other seat, or of a seat drawn for it,
    as a control. What is said, and which answer each seat defends, stays as it was."""
    own_answer: Literal["auto", "answer", "letter"] = "auto"
    """What is scored when a debater is asked for its own answer: the answers' words or the letters A and B; auto: the
    letters where prompts are turns of a chat template."""


class Wandb(_Section):
    """Weights & Biases; metrics.jsonl is written in any case."""

    mode: Literal["disabled", "offline", "online"] = "disabled"
    project: str = "rostrum"
    group: str | None = None
    """What runs that belong together are grouped by; `rostrum ablate` sets it."""


def _word_off(value: Any) -> Any:
    return None if value is False or value == "off" else value


Limit = Annotated[float | None, BeforeValidator(_word_off)]
"""A number, or "off" (or null)."""


class Limits(_Section):
    """Figures of an iteration, as metrics.jsonl has them, at which a training ends (`trainer.limits`); each can be
    turned off, and a run that one has ended can be resumed without it (limits.kl=off)."""

    kl: Limit = Field(10.0, gt=0)
    """Largest KL divergence from the reference, in nats per token (TRL's estimate: the mean over the tokens of an
    iteration). Trainings that go well stay below 1; an exploding one is at hundreds, or no number, within an iteration
    or two."""
    entropy: Limit = Field(0.001, ge=0)
    """Smallest entropy of the policy, in nats per token (less the mean log-probability of what was sampled). Language
    models speak at .3 to 3; below .001 every sample is the same."""
    cut_speeches: Limit = Field(1.0, gt=0, le=1)
    """Share of speeches that were cut at debater.max_tokens."""
    empty_speeches: Limit = Field(1.0, gt=0, le=1)
    """Share of speeches without a word."""


PARITY = {"float32": 1e-3, "bfloat16": 0.25}
"""How far an engine and the learner may differ unless the configuration says otherwise (`parity_tolerance`)."""


class Config(_Section):
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
    protocol: Annotated[Protocol, _known_keys(Protocol), AfterValidator(_can_be_played)]
    debater: Debater
    judge: AnyJudge
    heldout_judges: list[AnyJudge] = []
    reward: Annotated[RewardRule, _known_keys(RewardRule), AfterValidator(_takes_nothing_negative)] = RewardRule()
    algorithm: Annotated[Ppo | Rloo | Rae | Dpo, Field(discriminator="name")]
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
        if found := _out_of_range(values):
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
