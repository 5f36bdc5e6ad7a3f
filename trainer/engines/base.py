"""What the rest of Rostrum asks of an inference engine: tokens in, tokens and log-probabilities out."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol as Interface

from trainer.types import Policy


class EngineError(ValueError):
    """A model or a request that the engine cannot serve; the message says what to do."""


@dataclass(frozen=True, slots=True)
class Sampling:
    """How to sample. The same prompts, sampling and weights give the same tokens on the same hardware."""

    max_tokens: int
    temperature: float = 1.0
    seed: int = 0


@dataclass(frozen=True, slots=True)
class Completion:
    """What was sampled: tokens (the end token included), their log-probabilities, and "stop" or "length"."""

    token_ids: tuple[int, ...]
    logprobs: tuple[float, ...]
    finish_reason: str


class Engine(Interface):
    """A causal language model that generates and scores. Judges use it as a `rewards.types.Scorer`."""

    def load(self, policy: Policy) -> None:
        """Serves these weights from now on."""

    def encode(self, text: str, opening: bool = False) -> list[int]:
        """Token ids of a piece of text; with `opening`, after the token that begins a text, if the model has one."""

    def decode(self, token_ids: Sequence[int]) -> str:
        """Text of sampled tokens, special tokens left out."""

    @property
    def max_context(self) -> int:
        """The longest row of tokens, prompt and completion together, that the model can read."""

    def generate(self, prompts: Sequence[Sequence[int]], sampling: Sampling) -> list[Completion]:
        """One completion per prompt."""

    def logprobs(self, rows: Sequence[Sequence[int]]) -> list[tuple[float, ...]]:
        """Log-probability of every token of each row but the first, given those before it."""

    def choice_logprobs(self, prompts: Sequence[str], choices: Sequence[tuple[str, ...]]) -> list[tuple[float, ...]]:
        """Log-probability of each choice as the continuation of its prompt."""
