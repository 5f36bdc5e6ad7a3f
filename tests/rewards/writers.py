"""A debate, and scorers and classifiers by script, for the judges that write and the judge with a head."""

from collections.abc import Callable, Sequence

from rostrum.envs.types import Protocol, Question, Side, Speech, Transcript
from rostrum.rewards.types import Unscored, Usage, Writing

QUESTION = Question("q", "s", "where is the coin ?", ("kitchen", "garden"), "secret passage .")
TRANSCRIPT = Transcript(
    QUESTION,
    Protocol("debate", rounds=1),
    QUESTION.answers,
    False,
    (Speech("A", Side.A, 0, "loud words here", "loud words here", 3), Speech("B", Side.B, 1, "quiet", "quiet", 1)),
)


def kitchen_first(prompt: str) -> bool:
    """Whether the prompt shows the kitchen as answer A."""
    return prompt.index("kitchen") < prompt.index("garden")


class Writer:
    """A `Scorer` whose n-th call for texts writes what the script makes of a prompt and n."""

    def __init__(self, script: Callable[[str, int], str | Unscored]) -> None:
        self.script, self.usage = script, Usage()
        self.prompts: list[str] = []
        self.writings: list[Writing] = []

    def choice_logprobs(self, prompts: Sequence[str], choices: Sequence[tuple[str, ...]]) -> list[tuple[float, ...]]:
        raise AssertionError("a judge that writes asked for log-probabilities")

    def write(self, prompts: Sequence[str], writing: Writing) -> list[str | Unscored]:
        self.prompts += prompts
        self.writings.append(writing)
        return [self.script(prompt, len(self.writings) - 1) for prompt in prompts]


class Head:
    """A `Classifier` by script."""

    def __init__(self, outputs: int, script: Callable[[str], tuple[float, ...] | Unscored]) -> None:
        self.outputs, self.script, self.usage = outputs, script, Usage()
        self.prompts: list[str] = []

    def logits(self, prompts: Sequence[str]) -> list[tuple[float, ...] | Unscored]:
        self.prompts += prompts
        return [self.script(prompt) for prompt in prompts]


class Given:
    """Models that are there already."""

    def __init__(self, model: Writer | Head) -> None:
        self.model = model

    def scorer(self, settings: object) -> Writer:
        assert isinstance(self.model, Writer)
        return self.model

    def classifier(self, settings: object) -> Head:
        assert isinstance(self.model, Head)
        return self.model
