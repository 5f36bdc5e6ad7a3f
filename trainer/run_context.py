"""What a command knows of a run before it begins: its configuration, its questions, this machine.

A command makes one and hands it to the checks: those of the configuration's sections (`check(run)`), of contexts and
of held-out stories.
"""

from rostrum.envs.questions.base import load_questions
from rostrum.envs.types import QuestionSet
from rostrum.rewards.inquirer import inquiring_model
from rostrum.rewards.judges import ModelSettings
from rostrum.trainer import model_checks, setup
from rostrum.trainer.config import Config
from rostrum.trainer.engines import engine_settings
from rostrum.trainer.engines.formats import Format
from rostrum.trainer.machine import Machine
from rostrum.trainer.models import loading


class RunContext:
    """A configuration with what its sections are checked against."""

    def __init__(self, config: Config, policy: str | None = None) -> None:
        """Look at one policy, where the run trains several and one is named."""
        self.config, self.machine, self._policy = config, Machine(), policy

    def of(self, policy: str) -> "RunContext":
        """Return this run as the learner of a policy has it."""
        return RunContext(self.config.of(policy), policy) if self.config.learners else self

    def questions(self, *needed: str) -> QuestionSet:
        """Return the questions.

        Raises:
            QuestionError: they cannot be used, or one of the splits that are `needed` is empty.
        """
        return load_questions(self.config.questions, *needed)

    def test_questions(self, *needed: str) -> QuestionSet:
        """Return those that checkpoints are tested on.

        Raises:
            QuestionError: they cannot be used, or one of the splits that are `needed` is empty.
        """
        return load_questions(self.config.test_questions, *needed)

    def rows_per_iteration(self) -> int:
        """Return how many rows an iteration has for the learner (`setup.rows_per_iteration`)."""
        return setup.rows_per_iteration(self.config, self._policy)

    def reads_alike(self, one: str, other: str) -> bool:
        """Return whether the debaters of two models count a text, and are told it, in the same tokens."""
        first, second = (loading.load_tokenizer(model) for model in (one, other))
        alike: bool = first.get_vocab() == second.get_vocab() and first.chat_template == second.chat_template
        return alike

    def check_debater(self) -> None:
        """Ask for a whole model that can be trained, by its files and by the names and shapes of its weights.

        Raises:
            ModelError: it cannot.
        """
        debater = self.config.debater
        model_checks.check_model(debater.model, lora=debater.lora, trained=True)
        setup.check_whole_model(debater)

    def check_decoding(self) -> None:
        """Ask for what speeches are produced with.

        Raises:
            PromptError: a prompt set lacks a template.
            JudgeError: the protocol's judge asks, and this one cannot.
            LengthError: there are no lengths to match.
        """
        setup.decoding(self.config)

    def check_engine(self, name: str) -> None:
        """Ask for what an engine needs here; raises `EngineError`."""
        engine_settings(name).check()

    def check_model(self, model: str, has_head: bool) -> None:
        """Ask for a judge's model, by its files and by the names and shapes of its weights; raises `ModelError`."""
        model_checks.check_model(model, has_head)

    def format(self, judge: ModelSettings) -> Format:
        """Return how a judge's prompts become tokens; raises `EngineError`."""
        return setup.judge_format(judge)

    def asks(self, judge: ModelSettings) -> bool:
        """Return whether the judge asks the debaters in between."""
        return self.config.protocol.judge_asks and judge == inquiring_model(self.config.judge)
