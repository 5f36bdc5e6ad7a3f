"""Question sets: one module per kind.

A kind is a module in this folder with a class `Settings`: a frozen `QuestionSettings` whose field `kind` is the literal
name of the module and whose `load` gives the `QuestionSet`. A YAML in configs/questions/ names the kind and sets its
keys. Nothing else has to be told of it, and no module outside this folder can be named.
"""

from importlib import import_module
from pkgutil import iter_modules

from envs.question_set import QuestionError, QuestionSettings
from envs.questions.jsonl import JsonLinesQuestions

__all__ = ["JsonLinesQuestions", "QuestionError", "QuestionSettings", "settings_by_kind"]


def settings_by_kind() -> dict[str, type[QuestionSettings]]:
    """The settings of every kind that lies in this folder."""
    return {module.name: import_module(f"{__name__}.{module.name}").Settings for module in iter_modules(__path__)}
