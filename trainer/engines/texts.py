"""What judges ask of an engine beside log-probabilities: texts for texts, and an account of what it read and wrote."""

from abc import ABC, abstractmethod
from collections.abc import Sequence

from rewards.types import Unscored, Usage, Writing
from trainer.engines.base import Completion, Sampling
from trainer.engines.formats import Format


class TextEngine(ABC):
    """The part of a `rewards.types.Scorer` that is the same for every engine."""

    format: Format
    usage: Usage = Usage()
    """What judges asked of it so far."""

    @property
    @abstractmethod
    def max_context(self) -> int:
        """The longest row of tokens, prompt and completion together, that the model can read."""

    @abstractmethod
    def generate(self, prompts: Sequence[Sequence[int]], sampling: Sampling) -> list[Completion]:
        """One completion per prompt."""

    def write(self, prompts: Sequence[str], writing: Writing) -> list[str | Unscored]:
        """A text for each prompt, without special tokens; `Unscored` where prompt and text would not fit."""
        contexts = [self.format.open([prompt]) for prompt in prompts]
        fitting = [tokens for tokens in contexts if len(tokens) + writing.max_tokens <= self.max_context]
        sampled = self.generate(fitting, Sampling(writing.max_tokens, writing.temperature, writing.seed))
        self.count(fitting, sum(len(completion.token_ids) for completion in sampled))
        texts = iter(self.format.decode(completion.token_ids) for completion in sampled)
        return [
            next(texts) if len(tokens) + writing.max_tokens <= self.max_context
            else Unscored(f"the debate and {writing.max_tokens} new tokens exceed the judge's context", "speech")
            for tokens in contexts
        ]  # fmt: skip

    def count(self, read: Sequence[Sequence[int]], new_tokens: int = 0) -> None:
        """Adds these prompts (token ids) to what was read."""
        self.usage += Usage(len(read), sum(map(len, read)), new_tokens)
