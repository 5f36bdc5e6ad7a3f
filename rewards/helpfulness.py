"""How helpful a judge's model finds critiques of a draft: what a debater heeds is chosen by it."""

import math
from collections.abc import Sequence

from rostrum.envs.debate import Debate
from rostrum.envs.prompts.prompt_sets import Prompts, load_prompts
from rostrum.envs.prompts.revisions import helpful_prompt
from rostrum.envs.types import Speech
from rostrum.rewards.settings import JudgeSettings, Models, ModelSettings
from rostrum.rewards.types import Scorer, Unscored

WORDS = ("yes", "no")

Critique = tuple[Debate, Speech, Speech]
"""A debate so far, the draft of a speech in it, and what is said against the draft."""


class Helpfulness:
    """Asks whether a speech that heeds the critique would help more than the draft, and compares "yes" with "no"."""

    def __init__(self, scorer: Scorer, prompts: Prompts) -> None:
        self.scorer, self._prompts = scorer, prompts

    def rate(self, critiques: Sequence[Critique]) -> list[float]:
        """Return the log-odds of "yes" for each critique; minus infinity where the model gave no number."""
        prompts = [helpful_prompt(self._prompts, *critique) for critique in critiques]
        return [_log_odds(found) for found in self.scorer.choice_logprobs(prompts, [WORDS] * len(prompts))]


def helping_model(judge: JudgeSettings) -> ModelSettings | None:
    """Return the first of a judge's models that has a head for language and a prompt set with helpful.j2; None if none
    has."""
    for model in judge.needs():
        if not model.has_head and load_prompts(model.prompts).judges.has("helpful"):
            return model
    return None


def make_helpfulness(settings: ModelSettings, models: Models) -> Helpfulness:
    """Make it on a model of its own."""
    return Helpfulness(models.scorer(settings), load_prompts(settings.prompts))


def _log_odds(found: tuple[float, ...] | Unscored) -> float:
    if isinstance(found, Unscored) or not all(map(math.isfinite, found)):
        return -math.inf
    return found[0] - found[1]
