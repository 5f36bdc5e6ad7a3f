"""What asking an endpoint would cost, estimated without asking it.

Judges are made of models that ask nobody and count what they are asked, so that an estimate follows what a judge of any
kind really does. Tokens are a quarter of the characters, and replies are taken to be as long as they may be.
"""

from collections.abc import Sequence

from rostrum.rewards.endpoint.config import Endpoint
from rostrum.rewards.endpoint.messages import estimated_tokens
from rostrum.rewards.settings import ModelSettings
from rostrum.rewards.types import Classifier, Scorer, Unscored, Usage, Writing


def cost_of(prompts: Sequence[str], endpoint: Endpoint, max_tokens: int = 1, samples: int = 1) -> Usage:
    """Return an estimate of what these prompts would cost, each with `samples` replies of `max_tokens` tokens."""
    read = sum(estimated_tokens(len(prompt)) for prompt in prompts)
    written = len(prompts) * max_tokens * samples
    return Usage(len(prompts), read, written, endpoint.dollars(read, written))


class DryScorer:
    """A `Scorer` that finds every choice equally likely, writes nothing, and adds up what that would have cost."""

    def __init__(self, settings: ModelSettings) -> None:
        self._endpoint, self.usage = settings.endpoint, Usage()

    def choice_logprobs(
        self, prompts: Sequence[str], choices: Sequence[tuple[str, ...]]
    ) -> list[tuple[float, ...] | Unscored]:
        """Count one token per prompt; for longer choices a request each besides; samples if only they are wanted."""
        if any(len(choice) != 1 for alternatives in choices for choice in alternatives):
            for prompt, alternatives in zip(prompts, choices, strict=True):
                self._count([prompt, *(f"{prompt} {choice}" for choice in alternatives)], 1, 1)
        elif self._endpoint is not None and self._endpoint.logprobs == "never":
            self._count(prompts, self._endpoint.sample_tokens, self._endpoint.samples)
        else:
            self._count(prompts, 1, 1)
        return [(-1.0,) * len(alternatives) for alternatives in choices]

    def write(self, prompts: Sequence[str], writing: Writing) -> list[str | Unscored]:
        """Count texts of full length."""
        self._count(prompts, writing.max_tokens, 1)
        return [Unscored("nothing is asked in a dry run")] * len(prompts)

    def _count(self, prompts: Sequence[str], max_tokens: int, samples: int) -> None:
        if self._endpoint is not None:
            self.usage += cost_of(prompts, self._endpoint, max_tokens, samples)


class DryModels:
    """Gives judges models that ask nobody. `usage` is what was counted for endpoints; other models cost nothing."""

    def __init__(self) -> None:
        self._scorers: list[DryScorer] = []

    @property
    def usage(self) -> Usage:
        return sum((scorer.usage for scorer in self._scorers), Usage())

    def scorer(self, settings: ModelSettings) -> Scorer:
        """Return a scorer that asks nobody."""
        self._scorers.append(DryScorer(settings))
        return self._scorers[-1]

    def classifier(self, settings: ModelSettings) -> Classifier:
        """Return a classifier that asks nobody."""
        return _DryClassifier()


class _DryClassifier:
    usage, outputs = Usage(), 2

    def logits(self, prompts: Sequence[str]) -> list[tuple[float, ...] | Unscored]:
        return [Unscored("nothing is asked in a dry run")] * len(prompts)
