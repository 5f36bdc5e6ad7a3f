"""The model that debates (configs/debater/)."""

import operator
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, Field

from rostrum.envs.prompts.prompt_sets import load_prompts
from rostrum.envs.text.windows import Window
from rostrum.trainer.section import RunView, Section, known_keys


def _shows_something(window: Window) -> Window:
    if window.tokens < 1:
        raise ValueError(f"tokens is {window.tokens}: set it to at least 1, or leave the window out")
    return window


class Lora(Section):
    """Low-rank adapters instead of full weights."""

    rank: int = Field(16, ge=1)
    alpha: float = Field(32, gt=0)
    dropout: float = Field(0.0, ge=0, lt=1)
    target_modules: str | list[str] = "all-linear"


class Debater(Section):
    """The policy that is trained (configs/debater/)."""

    model: str
    """Folder, hub id, or embedded/NAME."""
    prompts: str
    """Prompt set: a name under envs/prompts/templates/ or a folder."""
    max_tokens: int = Field(ge=1)
    """Tokens a speech may have before the engine cuts it."""
    temperature: float = Field(1.0, gt=0)
    lora: Lora | None = None
    format: Literal["auto", "plain", "chat"] = "auto"
    """How prompts become tokens: running text, or the model's chat template; auto: chat if it has a template."""
    rows: Literal["auto", "speaker", "speech"] = "auto"
    """What is learned from at a time: all speeches of a speaker in one row, or each in its own after its context; auto:
    speaker, unless the chat template changes what came before (as those of thinking models do)."""
    window: Annotated[Window, known_keys(Window), AfterValidator(_shows_something)] | None = None
    """What debaters read of a passage that is too long for them (`tokens`, `keep`); none: all of it, or an error."""
    engine: str = "transformers"
    """What generates the speeches: `transformers`, `vllm`, or the engine of an installed package."""
    engine_options: dict[str, Any] = Field({}, exclude_if=operator.not_)
    """What the engine takes besides; `prefix_cache_bytes` is the one option of `transformers`."""
    gpu_memory_fraction: float = Field(0.9, gt=0, le=1)
    """For engine=vllm on GPUs: how much of a GPU's memory each of its models may take."""
    batch_size: int = Field(256, ge=1)
    """Speeches generated at a time."""
    dtype: Literal["float32", "bfloat16"] = "float32"
    gradient_checkpointing: bool = False
    """Compute activations twice instead of keeping them: less memory, about a third more time for the learner."""

    def check(self, run: RunView) -> None:
        """Ask for prompts, and for a model that can be trained.

        Raises:
            PromptError: there is no such prompt set.
            ModelError: there is no such model, it is not safe to load, or it cannot be trained.
        """
        load_prompts(self.prompts)
        run.check_debater()
