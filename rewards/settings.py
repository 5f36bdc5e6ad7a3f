"""What the kinds of judges share: their settings, and the models that they are given."""

import operator
from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, ClassVar, Literal
from typing import Protocol as Interface

from pydantic import BaseModel, ConfigDict, Field, model_validator

from rostrum.envs.prompts.judge_prompts import Task
from rostrum.envs.prompts.prompt_sets import load_prompts
from rostrum.rewards import labelled
from rostrum.rewards.endpoint.config import Endpoint
from rostrum.rewards.examples import Examples, JudgePrompts
from rostrum.rewards.types import Classifier, Judge, Scorer

TAUGHT = "taught_by_people.json"
"""The file of a judge's folder that says which stories people taught it on."""


def _answers_first(layout: str) -> bool:
    return layout == "answers_first"


def _whole(tensor_parallel: int) -> bool:
    return tensor_parallel == 1


class JudgeError(ValueError):
    """A judge that cannot be used as it is configured; the message is one sentence that says what to do."""


class Models(Interface):
    """Where judges get their models from: the engines of a run, or a test's fakes."""

    def scorer(self, settings: "ModelSettings") -> Scorer:
        """Return a frozen language model."""

    def classifier(self, settings: "ModelSettings") -> Classifier:
        """Return a frozen model with a classification or reward head."""


class TokenFormat(Interface):
    """What a judge's check asks about how its prompts become tokens."""

    @property
    def opens_thoughts(self) -> bool:
        """Return whether every reply begins with a thought."""

    @property
    def unknown_thoughts(self) -> str | None:
        """Return how thoughts are marked, where that is not known."""


class JudgeRun(Interface):
    """What a judge's check asks about the run that it judges, and about this machine."""

    def check_engine(self, name: str) -> None:
        """Ask for what an engine needs here."""

    def check_model(self, model: str, has_head: bool) -> None:
        """Ask for the model, with a head or without."""

    def format(self, judge: "ModelSettings") -> TokenFormat:
        """Return how its prompts become tokens, or refuse a chat template that loses a part of them."""

    def asks(self, judge: "ModelSettings") -> bool:
        """Return whether it asks the debaters in between."""


class JudgeSettings(BaseModel, ABC):
    """The settings of a judge; a kind adds its own (`rewards/judges/`) and `kind: Literal["its name"]`."""

    model_config = ConfigDict(extra="forbid", frozen=True)
    reads_anew: ClassVar[bool] = True
    """Whether it gives verdicts on any debate; False: only on those that it was given before, so nothing is trained by
    it."""

    kind: str
    name: str
    """What verdicts, reports and audits call it."""
    audited: Path | None = None
    """The audit.json of this judge (`rostrum audit`). None: it has not been audited, and training says so."""
    audit: Literal["refuse", "warn"] = "refuse"
    """What training does if that audit failed."""
    sample: int | None = Field(None, ge=2, exclude_if=operator.not_)
    """Of how many questions it reads the debates at an evaluation, the same for every checkpoint; none: of all."""
    probe: bool = Field(True, exclude_if=bool)
    """Whether it is asked more than for a verdict on each debate: before a run begins, after every speech of a debate
    that the report shows, and on debates under attack. False saves what an expensive judge, or a person, is asked."""

    taught_on: Path | None = Field(None, exclude_if=operator.not_)
    """The file that says by which people it was taught and about which stories, on which it is not tested; a judge's
    folder that `rostrum judge train` wrote says so itself."""

    def within(self) -> Iterator["JudgeSettings"]:
        """Yield this judge and those inside it."""
        yield self
        for name in type(self).model_fields:
            value = getattr(self, name)
            for one in value.values() if isinstance(value, dict) else (value,):
                if isinstance(one, JudgeSettings):
                    yield from one.within()

    def given(self) -> str:
        """Return a hash of the verdicts that it was given before; empty for a judge that reads anew."""
        return ""

    @abstractmethod
    def make(self, models: Models) -> Judge:
        """Return the judge. Raises `JudgeError`."""

    @abstractmethod
    def needs(self) -> Sequence["ModelSettings"]:
        """Return every model that it, or a judge inside it, reads with."""


class ModelSettings(JudgeSettings):
    """The settings of a judge that reads with one frozen model."""

    task: ClassVar[Task] = "judge"
    """Which of the set's prompts it reads: a kind that asks for a text names another."""
    has_head: ClassVar[bool] = False
    """Whether its model has a classification or reward head instead of one for language."""

    model: str
    """Folder, hub id, or embedded/NAME."""
    prompts: str
    """Prompt set: a name under envs/prompts/templates/ or a folder."""
    instructions: Literal["plain", "criteria", "debias"] = "plain"
    """What the prompt adds: nothing, what makes the better case, or a warning not to judge by position or length."""
    examples: Path | None = None
    """Labelled debates (`rewards.labelled`) to choose few-shot examples from; none: no examples."""
    shots: int = Field(4, ge=1)
    """Examples shown before each debate, balanced by side, where a file of them is given."""
    layout: Literal["answers_first", "transcript_first"] = Field("answers_first", exclude_if=_answers_first)
    """What comes first in the prompt: the answers, with debaters called by their letters, or the transcript, with
    debaters called X and Y and the letters told behind it. The second is another judge, whose second reading begins
    with the tokens of its first."""
    order: Literal["both", "given", "swapped"] = "both"
    """Presentation orders asked for each verdict."""
    format: Literal["auto", "plain", "chat"] = "auto"
    """How the prompt becomes tokens: running text, or the model's chat template; auto: chat if it has a template."""
    engine: str = "transformers"
    """What reads the debates: an engine (`transformers`, `vllm`, or that of an installed package), or `endpoint`: a
    server elsewhere, which `judge.endpoint` describes."""
    engine_options: dict[str, Any] = Field({}, exclude_if=operator.not_)
    """What the engine takes besides; `prefix_cache_bytes` is the one option of `transformers`."""
    endpoint: Endpoint | None = None
    """For engine=endpoint: how the server is reached and what it may cost. `model` is then the server's name for it."""
    gpu_memory_fraction: float = Field(0.9, gt=0, le=1)
    """For engine=vllm on GPUs: how much of a GPU's memory the judge may take."""
    tensor_parallel: int = Field(1, ge=1, exclude_if=_whole)
    """For engine=vllm: GPUs that each hold a part of the judge. It changes no verdict but by rounding."""
    quantization: str | None = Field(None, exclude_if=operator.not_)
    """For engine=vllm: how the judge's weights are quantized as they are loaded (`fp8`), or are already (`awq`), by
    vLLM's names; none: as the model's folder says. It makes another judge."""
    batch_size: int = Field(256, ge=1)
    dtype: Literal["float32", "bfloat16"] = "float32"

    @model_validator(mode="after")
    def _an_endpoint_is_described(self) -> "ModelSettings":
        if (self.engine == "endpoint") != (self.endpoint is not None):
            raise ValueError("engine=endpoint and endpoint.base_url go together: set both, or neither (endpoint=null)")
        return self

    @model_validator(mode="after")
    def _an_endpoint_runs_its_own_model(self) -> "ModelSettings":
        if self.endpoint is not None and (self.quantization is not None or self.tensor_parallel > 1):
            raise ValueError(
                "tensor_parallel and quantization are for models that this run starts: behind an endpoint the server "
                "decides them, so leave both out"
            )
        return self

    def needs(self) -> Sequence["ModelSettings"]:
        return (self,)

    def check(self, run: JudgeRun) -> None:
        """Ask for what it reads and reads it with. What is behind an endpoint is asked by `launch.checks.probe`.

        Raises:
            JudgeError: it would read its verdict in the middle of a thought, or take a thought for it.
        """
        if self.endpoint is not None:
            self.judge_prompts()
            return
        run.check_engine(self.engine)
        self.judge_prompts()
        run.check_model(self.model, self.has_head)
        fmt = run.format(self)
        if self.has_head:
            return
        if self.task == "judge" and fmt.opens_thoughts:
            raise JudgeError(
                f"{self.name} reads its verdict from the first word of a reply, and {self.model} begins every reply "
                "with a thought: let it write its verdicts (judge=chat-verdict or chat-rating), or take another model."
            )
        if (self.task != "judge" or run.asks(self)) and fmt.unknown_thoughts:
            raise JudgeError(
                f"{self.name} writes, and {self.model} marks its thoughts in a way that is not known "
                f"({fmt.unknown_thoughts}), so one could be taken for its verdict: use another model."
            )

    def judge_prompts(self) -> JudgePrompts:
        """Return what it reads.

        Raises:
            PromptError: the prompt set lacks what the task, the instructions, the examples or the layout need.
            LabelledError: the file of examples cannot be used.
            ExamplesError: it has too few debates.
        """
        chosen = None
        if self.examples is not None:
            chosen = Examples(labelled.read(self.examples), self.shots, ties=self.task == "rating")
        return JudgePrompts(load_prompts(self.prompts), self.task, self.instructions, chosen, self.layout)
