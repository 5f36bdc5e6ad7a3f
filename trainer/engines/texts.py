"""The base of engines that judges read with as well: texts for texts, and an account of what was read and written."""

from abc import ABC, abstractmethod
from collections.abc import Sequence

import numpy as np

from rostrum.rewards.types import Unscored, Usage, Writing
from rostrum.trainer.engines.base import Completion, Sampling
from rostrum.trainer.engines.formats import Format
from rostrum.trainer.types import Policy


class TextEngine(ABC):
    """An `Engine` and a `rewards.types.Scorer`, with the part of the latter that is the same for every engine."""

    format: Format
    usage: Usage = Usage()
    """What judges asked of it so far."""

    @property
    @abstractmethod
    def max_context(self) -> int:
        """The longest row of tokens, prompt and completion together, that the model can read."""

    @abstractmethod
    def load(self, policy: Policy) -> None:
        """Serve the weights of a published policy from now on."""

    @abstractmethod
    def logprobs(self, rows: Sequence[Sequence[int]]) -> list[tuple[float, ...]]:
        """Return the log-probability of every token of each row but the first, given those before it."""

    @abstractmethod
    def generate(self, prompts: Sequence[Sequence[int]], sampling: Sampling) -> list[Completion]:
        """Return one completion per prompt."""

    @abstractmethod
    def score(self, wanted: Sequence[tuple[tuple[int, ...], tuple[int, ...]]]) -> list[float]:
        """Return the log-probability (nats, summed over tokens) of each continuation after its context, both token
        ids; NaN where they do not fit the model's context."""

    def choice_logprobs(self, prompts: Sequence[str], choices: Sequence[tuple[str, ...]]) -> list[tuple[float, ...]]:
        """Return the log-probability (nats) of each choice after its prompt; NaN where it does not fit.

        A choice is the tokens with which the prompt goes on when both are read together. Where every choice of a
        prompt is one token, all tokens that spell it ("A", " A", "▁A") are summed, as `rewards.endpoint.choices` sums
        what an endpoint lists.
        """
        contexts = [tuple(self.format.open([prompt])) for prompt in prompts]
        self.count(contexts)
        asked = zip(contexts, prompts, choices, strict=True)
        spelled = [(context, rows) for context, prompt, of in asked for rows in self._spelled(prompt, of)]
        values = iter(self.score([(context, row) for context, rows in spelled for row in rows]))
        sums = iter([float(np.logaddexp.reduce([next(values) for _ in rows])) for _, rows in spelled])
        return [tuple(next(sums) for _ in alternatives) for alternatives in choices]

    def _spelled(self, prompt: str, choices: tuple[str, ...]) -> list[list[tuple[int, ...]]]:
        """Return the token rows that are summed for each choice, the one that goes on from the prompt first."""
        rows = [tuple(self.format.choice(choice, prompt)) for choice in choices]
        if any(len(row) != 1 for row in rows):
            return [[row] for row in rows]
        return [
            list(dict.fromkeys([row, *((token,) for token in self.format.spellings(choice))]))
            for row, choice in zip(rows, choices, strict=True)
        ]

    def write(self, prompts: Sequence[str], writing: Writing) -> list[str | Unscored]:
        """Return a text for each prompt, without special tokens; `Unscored` where prompt and text would not fit."""
        contexts = [self.format.open([prompt]) for prompt in prompts]
        fitting = [tokens for tokens in contexts if len(tokens) + writing.max_tokens <= self.max_context]
        sampled = self.generate(fitting, Sampling(writing.max_tokens, writing.temperature, writing.seed))
        self.count(fitting, sum(len(completion.token_ids) for completion in sampled))
        texts = iter(self.format.decode(completion.token_ids) for completion in sampled)
        return [
            next(texts)
            if len(tokens) + writing.max_tokens <= self.max_context
            else Unscored(f"the debate and {writing.max_tokens} new tokens exceed the judge's context", "speech")
            for tokens in contexts
        ]

    def count(self, read: Sequence[Sequence[int]], new_tokens: int = 0) -> None:
        """Add these prompts (token ids) to what was read."""
        self.usage += Usage(len(read), sum(map(len, read)), new_tokens)
