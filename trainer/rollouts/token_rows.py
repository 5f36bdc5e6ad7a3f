"""The tokens that one speaker sees and samples in one debate, and the rows that are made of them."""

import copy
from typing import TYPE_CHECKING

from rostrum.envs.debate import Utterance
from rostrum.trainer.types import TokenRow

if TYPE_CHECKING:
    from rostrum.trainer.engines.formats import Format


class SpeakerTokens:
    """A speaker's context as it grows: told, said, told, said, …

    With `row_per_speech` every speech makes a row of its own, after the whole context that it was sampled in. Else the
    speaker's speeches make one row: the first context is its prompt, and what is told later is masked out. Where the
    format renders the context anew for each speech, only a row per speech holds what the policy saw.
    """

    def __init__(self, row_per_speech: bool) -> None:
        self._row_per_speech = row_per_speech
        self._history: list[str] = []
        self._context: list[int] = []
        self._start = 0
        """Where the completion of the row under way begins in the context."""
        self._mask: list[int] = []
        self._logprobs: list[float] = []
        self._ends: list[int] = []
        self._ended = True
        self._rows: list[TokenRow] = []

    def tell(self, told: str, fmt: "Format") -> list[int]:
        """Add what the speaker is told now, and return the whole context that it speaks in."""
        opened = bool(self._history)
        self._history.append(told)
        if opened and fmt.keeps_prefix:
            self._context += fmt.go_on(told, self._ended)
        else:
            self._context = fmt.open(self._history)
        if self._row_per_speech or not opened:
            self._start = len(self._context)
        else:
            masked = len(self._context) - self._start - len(self._mask)
            self._mask += [0] * masked
            self._logprobs += [0.0] * masked
        return self._context

    def said(self, utterance: Utterance) -> None:
        """Add the sampled tokens."""
        self._history.append(utterance.raw)
        self._context = [*self._context, *utterance.token_ids]
        self._mask += [1] * len(utterance.token_ids)
        self._logprobs += utterance.logprobs
        self._ends.append(len(self._mask) - 1)
        self._ended = utterance.finish_reason == "stop"
        if self._row_per_speech:
            self._rows.append(self._row())
            self._mask, self._logprobs, self._ends = [], [], []

    def rows(self) -> tuple[TokenRow, ...]:
        """Return one row for each speech, or one for all."""
        return tuple(self._rows) if self._row_per_speech else (self._row(),)

    def fork(self) -> "SpeakerTokens":
        """Return an independent continuation."""
        branch = copy.copy(self)
        for name in ("_history", "_context", "_mask", "_logprobs", "_ends", "_rows"):
            setattr(branch, name, list(getattr(self, name)))
        return branch

    def _row(self) -> TokenRow:
        prompt, completion = self._context[: self._start], self._context[self._start :]
        return TokenRow(tuple(prompt), tuple(completion), tuple(self._mask), tuple(self._logprobs), tuple(self._ends))
