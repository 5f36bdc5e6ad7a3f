"""What the sections of a configuration have in common."""

import math
import re
from dataclasses import fields
from difflib import get_close_matches
from typing import Annotated, Any
from typing import Protocol as Interface

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field

from rostrum.envs.types import QuestionSet
from rostrum.trainer.machine import Machine

NAME = re.compile(r"[^/\\\x00-\x1f.][^/\\\x00-\x1f]{0,99}")
SEEDS = 2**32
"""Where seeds end: numpy takes no larger ones."""
Name = Annotated[str, Field(pattern=rf"^{NAME.pattern}$")]
"""What a folder or file may be called after."""


class SectionError(ValueError):
    """A section that does not fit its run or this machine; the message says what to do."""


class RunView(Interface):
    """What a section's `check` may ask about the run that it is part of; `trainer.run_context` answers."""

    config: Any
    """The `Config` that the section is in, which has a class of every section and so cannot be named here."""
    machine: Machine

    def questions(self, *needed: str) -> QuestionSet:
        """Return the questions; raises `QuestionError` if one of the splits that are `needed` is empty."""

    def test_questions(self, *needed: str) -> QuestionSet:
        """Return those that checkpoints are tested on, likewise."""

    def rows_per_iteration(self) -> int:
        """Return how many rows an iteration has for the learner."""

    def reads_alike(self, one: str, other: str) -> bool:
        """Return whether the debaters of two models count a text, and are told it, in the same tokens."""

    def check_debater(self) -> None:
        """Ask for a whole model that can be trained as the configuration says; raises `ModelError`."""

    def check_decoding(self) -> None:
        """Ask for what speeches are produced with: prompts, lengths, a judge that can ask."""


class Section(BaseModel):
    """A part of the configuration: it refuses keys that it does not have, and does not change."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)


def known_keys(kind: type) -> BeforeValidator:
    """Return a validator that refuses keys which a plain dataclass does not have, as pydantic by itself does not."""

    def check(value: Any) -> Any:
        known = [field.name for field in fields(kind)]
        unknown = sorted(set(value) - set(known)) if isinstance(value, dict) else []
        if unknown:
            meant = get_close_matches(unknown[0], known, n=1)
            raise ValueError(f"there is no key {unknown[0]!r} here{f': did you mean {meant[0]}?' if meant else ''}")
        return value

    return BeforeValidator(check)


def out_of_range(values: Any, key: str = "") -> str | None:
    """Return the first value that no setting can have, in words; None if there is none."""
    if isinstance(values, dict):
        inner = ((value, f"{key}.{name}" if key else str(name)) for name, value in values.items())
        return next((found for value, name in inner if (found := out_of_range(value, name))), None)
    if isinstance(values, list | tuple):
        inner = ((value, f"{key}.{number}") for number, value in enumerate(values))
        return next((found for value, name in inner if (found := out_of_range(value, name))), None)
    if isinstance(values, float) and not math.isfinite(values):
        return f"{key} is {values}, and every number here is finite"
    if isinstance(values, int) and abs(values) >= 2**63:
        return f"{key} is too large a number"
    if isinstance(values, int) and key.rpartition(".")[2] == "seed" and not 0 <= values < SEEDS:
        return f"{key} is {values}, and seeds are whole numbers from 0 to 2**32 - 1"
    if isinstance(values, str) and "\0" in values:
        return f"{key} holds a character that no name can hold"
    return None
