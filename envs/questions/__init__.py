"""Question sets: one module per kind.

A kind is a module in this folder with a class `Settings`: a frozen `QuestionSettings` whose field `kind` is the literal
name of the module and whose `load` gives the `QuestionSet`. A YAML in configs/questions/ names the kind and sets its
keys. Nothing else has to be told of it. Another package adds one by an entry point of the group `rostrum.questions`.
"""

from rostrum.envs import registry
from rostrum.envs.questions.base import QuestionError, QuestionSettings
from rostrum.envs.questions.jsonl import JsonLinesQuestions

__all__ = ["JsonLinesQuestions", "QuestionError", "QuestionSettings", "settings_by_kind"]


def settings_by_kind() -> dict[str, type[QuestionSettings]]:
    """Return the settings of every kind that is here or installed."""
    return registry.kinds(__name__, __path__, "rostrum.questions")
