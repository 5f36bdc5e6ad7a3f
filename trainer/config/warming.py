"""How a policy learns to quote before it is trained to persuade (`rostrum warmstart`)."""

from pathlib import Path
from string import Formatter

from pydantic import Field, field_validator, model_validator

from rostrum.trainer.section import Section


class WarmStart(Section):
    """How `rostrum warmstart` teaches the debater to quote: by the best of its own speeches, without gold labels and
    without a judge."""

    rounds: int = Field(3, ge=1)
    """How often it writes speeches and learns from those that are kept."""
    questions: int = Field(64, ge=1)
    """Questions of the training split that are debated in each round, in both seatings."""
    candidates: int = Field(4, ge=1)
    """Speeches that are sampled at each turn: the first one with the most quotes that count is spoken."""
    heldout: int = Field(32, ge=1)
    """Questions of the held-out split on which it is measured, plainly sampled, before the first round and after each;
    they are spread over the stories."""
    example: str | None = "<quote>{quote}</quote> This shows that the right answer is: {answer}"
    """The example speech that stands in the prompt while speeches are written, as an earlier turn of the speaker's:
    {answer} is the one that it defends, {quote} the sentence of its passage that shares the rarest words with it."""
    examples: Path | None = None
    """Example speeches about other passages, which stand before it: a YAML list of `passage`, `question`, two `answers`
    and two `speeches`."""
    temperature: float | None = Field(None, gt=0)
    """Of the speeches that are written; none: the debater's own, at which it is measured in any case."""
    min_words: int = Field(5, ge=1)
    """Words that a quote has at least if it is to count."""
    most_quoted: float = Field(0.5, gt=0, le=1)
    """The share of a speech that may be quotes; a speech with more has none that count."""
    learning_rate: float = Field(2e-4, gt=0)
    epochs: int = Field(2, ge=1)
    """Passes over the speeches that a round has kept."""
    batch_rows: int = Field(16, ge=1)
    """Speeches per optimizer step."""
    micro_batch_rows: int = Field(4, ge=1)
    """Speeches in memory at once; it must divide batch_rows."""
    max_grad_norm: float = Field(1.0, gt=0)

    @field_validator("example")
    @classmethod
    def _has_one_quote(cls, value: str | None) -> str | None:
        if value is None:
            return value
        try:
            names = [name for _, name, *_ in Formatter().parse(value) if name is not None]
        except ValueError:
            names = []
        if names.count("quote") != 1 or not {*names} <= {"quote", "answer"}:
            raise ValueError(
                "example needs {quote} once, and {answer} where the answer is to stand, between no other {}"
            )
        return value

    @model_validator(mode="after")
    def _rows_divide(self) -> "WarmStart":
        if self.batch_rows % self.micro_batch_rows:
            raise ValueError(f"micro_batch_rows={self.micro_batch_rows} does not divide batch_rows={self.batch_rows}")
        return self
