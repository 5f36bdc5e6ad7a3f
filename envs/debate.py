"""One debate as a game: who speaks next, what they have been told, what they said.

It knows nothing of models. Whoever plays it asks `speakers`, reads `told(seat)` to each of them, and gives the round's
utterances to `hear`, until `finished`.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace

from envs import inquiries, scratchpad
from envs.escaping import Lines
from envs.prompts import Prompts
from envs.quotes import count_words, verify
from envs.types import Inquiry, Protocol, Question, Side, Speech, Transcript


@dataclass(frozen=True, slots=True)
class Utterance:
    """A speech as it comes from whoever made it, before the environment has looked at it."""

    raw: str
    token_ids: tuple[int, ...] = ()
    logprobs: tuple[float, ...] = ()
    finish_reason: str = "stop"
    policy: str = ""
    policy_version: int = 0
    private: str = ""
    """What was written on the way to it, for the record alone."""


class Debate:
    """A debate in progress. Cheap to `fork`, so that siblings can be branched from a common beginning."""

    def __init__(
        self, question: Question, protocol: Protocol, swapped_seats: bool, prompts: Prompts, shown: str | None = None
    ) -> None:
        """`shown` is the passage as debaters read it, where that is not the whole (`envs.windows`)."""
        self.question, self.protocol, self.swapped_seats, self.prompts = question, protocol, swapped_seats, prompts
        self.shown = question.passage if shown is None else shown
        first, second = question.answers
        self.answers = (second, first) if swapped_seats else (first, second)
        self.speeches: tuple[Speech, ...] = ()
        self.inquiries: tuple[Inquiry, ...] = ()
        self.ply = 0

    @property
    def finished(self) -> bool:
        return self.ply == len(self.protocol.plies())

    @property
    def speakers(self) -> tuple[Side, ...]:
        """Who speaks at this ply; nobody when the debate is over."""
        return () if self.finished else self.protocol.plies()[self.ply]

    @property
    def awaits_question(self) -> bool:
        """Whether it is the judge's turn to ask."""
        return self.protocol.asks_before(self.ply) and all(inquiry.ply != self.ply for inquiry in self.inquiries)

    def told(self, seat: Side) -> str:
        """What the seat reads now: everything it has not read before, so that its context only ever grows.

        Speeches of the present ply are not in it: simultaneous speakers do not see each other.
        """
        own = [speech.ply for speech in self.speeches if speech.seat is seat]
        others = [s for s in self.speeches if s.seat is not seat] if self.protocol.debaters_hear_each_other else []
        heard = [speech for speech in others if (not own or own[-1] <= speech.ply) and speech.ply < self.ply]
        asked = [inquiry for inquiry in self.inquiries if not own or own[-1] < inquiry.ply]
        turn = self.prompts.turn(seat, inquiries.in_order(heard, asked), self.protocol)
        if own:
            return turn
        passage = self.shown if self.protocol.debaters_see_passage else ""
        return self.prompts.opening(self.question, self.answers, seat, passage) + turn

    def ask(self, written: str, problem: str = "") -> None:
        """Takes what the judge wrote when it was asked for a question; `problem` says why it wrote nothing.

        Raises:
            ValueError: no question is due.
        """
        if not self.awaits_question:
            raise ValueError(f"The judge does not ask before ply {self.ply}.")
        found = inquiries.inquiry_of(written, self.ply, self.protocol, self.question.passage)
        self.inquiries += (Inquiry(self.ply, "", problem) if problem else found,)

    def supposing(self, seat: Side, utterance: Utterance) -> Transcript:
        """The debate as it would read if the seat said this now, and nobody else anything at this ply."""
        own = self.prompts.judges.own
        speech = speech_of(utterance, seat, self.ply, self.protocol, self.question.passage, own)
        so_far = self.transcript()
        return replace(so_far, speeches=(*so_far.speeches, speech))

    def hear(self, utterances: Mapping[Side, Utterance]) -> None:
        """Takes the speeches of this ply, verifies their quotes and moves on.

        Raises:
            ValueError: the speakers are not those whose turn it is.
        """
        if set(utterances) != set(self.speakers):
            raise ValueError(f"At ply {self.ply} the speakers are {self.speakers}, not {tuple(utterances)}.")
        passage = self.question.passage
        self.speeches += tuple(
            speech_of(utterances[seat], seat, self.ply, self.protocol, passage, self.prompts.judges.own)
            for seat in self.speakers
        )
        self.ply += 1

    def fork(self) -> "Debate":
        """An independent continuation of the debate so far."""
        branch = Debate(self.question, self.protocol, self.swapped_seats, self.prompts, self.shown)
        branch.speeches, branch.inquiries, branch.ply = self.speeches, self.inquiries, self.ply
        return branch

    def transcript(self, provenance: Mapping[str, str | int | float] | None = None) -> Transcript:
        """The record of what was said so far."""
        noted = {"prompts": self.prompts.hash, **(provenance or {})}
        return Transcript(
            self.question, self.protocol, self.answers, self.swapped_seats, self.speeches, noted, self.inquiries
        )


def speech_of(
    said: Utterance, seat: Side, ply: int, protocol: Protocol, passage: str, own: Lines | None = None
) -> Speech:
    """What judge and opponent get of an utterance: thoughts taken out, text escaped, quotes looked up. `own` are the
    lines of the prompt set that it must not forge."""
    public, thoughts = scratchpad.split(said.raw, protocol.scratchpad)
    private = "\n".join(part for part in (said.private, thoughts) if part)
    neutralised: dict[str, int] = {}
    across = protocol.quotes_across_paragraphs
    text, quotes = verify(public, passage, counts=neutralised, across_paragraphs=across, own=own)
    return Speech(
        seat,
        ply,
        text,
        said.raw,
        count_words(public),
        quotes,
        said.token_ids,
        said.logprobs,
        said.finish_reason,
        said.policy,
        said.policy_version,
        private,
        neutralised,
    )
