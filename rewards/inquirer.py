"""A judge that asks the debaters a question: its model is shown the debate so far and writes one."""

from collections.abc import Sequence

from rostrum.envs.prompts.prompt_sets import Prompts, load_prompts
from rostrum.envs.types import Transcript
from rostrum.rewards.settings import JudgeError, JudgeSettings, Models, ModelSettings
from rostrum.rewards.types import Scorer, Unscored, Writing

TOKENS_PER_WORD = 4
"""Room for a question of the protocol's number of words in any tokenizer; what is too long is cut by its words."""


class Inquirer:
    """Writes the likeliest question after each debate, so that the same debate is always asked the same."""

    def __init__(self, scorer: Scorer, prompts: Prompts) -> None:
        self.scorer, self._prompts = scorer, prompts

    def write(self, transcripts: Sequence[Transcript]) -> Sequence[str | Unscored]:
        """Return what the model writes for each debate so far, all under one protocol, or why it wrote nothing."""
        if not transcripts:
            return []
        prompts = [self._prompts.judge(transcript, "inquiry") for transcript in transcripts]
        return self.scorer.write(prompts, Writing(TOKENS_PER_WORD * transcripts[0].protocol.max_words))


def inquiring_model(judge: JudgeSettings) -> ModelSettings:
    """Return the model of a judge that can ask: the first that writes and whose prompt set has a template for it.

    Raises:
        JudgeError: no model of this judge writes.
        PromptError: its prompt set has no inquiry.j2.
    """
    writers = [model for model in judge.needs() if not model.has_head]
    if not writers:
        raise JudgeError(
            f"protocol.judge_asks needs a judge whose model writes, and {judge.name} has a head instead: choose "
            "another judge, or protocol.judge_asks=false."
        )
    load_prompts(writers[0].prompts).judges.require("inquiry")
    return writers[0]


def make_inquirer(settings: ModelSettings, models: Models) -> Inquirer:
    """Return the inquirer on a model of its own."""
    return Inquirer(models.scorer(settings), load_prompts(settings.prompts))
