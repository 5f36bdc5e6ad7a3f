"""One debate as a game: who speaks next, what they have been told, what they said.

It knows nothing of models. Whoever plays it asks `speakers`, reads `told(name)` to each of them, and gives the turn's
utterances to `hear`, until `finished`.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass

from rostrum.envs.prompts import inquiries
from rostrum.envs.prompts.prompt_sets import Prompts
from rostrum.envs.text import scratchpad
from rostrum.envs.text.escaping import Lines
from rostrum.envs.text.quotes import count_words, verify
from rostrum.envs.types import Inquiry, Protocol, Question, Side, Speech, Transcript

_CHOICE = re.compile(r"\s*([AB])\s*:")
"""How a speech begins whose speaker chooses its side."""


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
        """Begin with the passage as debaters read it in `shown`, where that is not the whole (`envs.text.windows`)."""
        self.question, self.protocol, self.swapped_seats, self.prompts = question, protocol, swapped_seats, prompts
        self.shown = question.passage if shown is None else shown
        first, second = question.answers
        self.answers = (second, first) if swapped_seats else (first, second)
        self.speeches: tuple[Speech, ...] = ()
        self.inquiries: tuple[Inquiry, ...] = ()
        self.turn = 0
        self.choice = ""
        """What came of a speaker's choice of its side: "kept", "changed", "unusable"; empty before, or without one."""

    @property
    def finished(self) -> bool:
        return self.turn == len(self.protocol.order())

    @property
    def speakers(self) -> tuple[str, ...]:
        """The names of those who speak at this turn; nobody when the debate is over."""
        return () if self.finished else tuple(self.protocol.order()[self.turn])

    @property
    def awaits_question(self) -> bool:
        """Whether it is the judge's turn to ask."""
        return self.protocol.asks_before(self.turn) and all(inquiry.turn != self.turn for inquiry in self.inquiries)

    def told(self, speaker: str) -> str:
        """Return what the speaker reads now: everything it has not read before, so that its context only ever grows.

        Speeches of the present turn are not in it: simultaneous speakers do not see each other.
        """
        protocol, of = self.protocol, self.protocol.speakers[speaker]
        own = [speech.turn for speech in self.speeches if speech.speaker == speaker]
        others = [s for s in self.speeches if s.speaker != speaker] if protocol.debaters_hear_each_other else []
        heard = [speech for speech in others if (not own or own[-1] <= speech.turn) and speech.turn < self.turn]
        asked = [inquiry for inquiry in self.inquiries if not own or own[-1] < inquiry.turn]
        role, label = protocol.order()[self.turn][speaker], protocol.label(speaker, of.side)
        turn = self.prompts.turn(label, inquiries.in_order(heard, asked), protocol, role)
        if own:
            return turn
        passage = self.shown if protocol.debaters_see_passage else ""
        return self.prompts.opening(self.question, self.answers, of.side, passage, label, of.role) + turn

    def ask(self, written: str, problem: str = "") -> None:
        """Take what the judge wrote when it was asked for a question; `problem` says why it wrote nothing.

        Raises:
            ValueError: no question is due.
        """
        if not self.awaits_question:
            raise ValueError(f"The judge does not ask before turn {self.turn}.")
        found = inquiries.inquiry_of(written, self.turn, self.protocol, self.question.passage)
        self.inquiries += (Inquiry(self.turn, "", problem) if problem else found,)

    def supposing(self, speaker: str, utterance: Utterance) -> Transcript:
        """Return the debate as it would read if the speaker said this now, and nobody else anything at this turn."""
        supposed = self.fork()
        supposed._hear({speaker: utterance})
        return supposed.transcript()

    def hear(self, utterances: Mapping[str, Utterance]) -> None:
        """Take the speeches of this turn, verify their quotes and move on.

        Raises:
            ValueError: the speakers are not those whose turn it is.
        """
        if set(utterances) != set(self.speakers):
            raise ValueError(f"At turn {self.turn} the speakers are {self.speakers}, not {tuple(utterances)}.")
        self._hear({speaker: utterances[speaker] for speaker in self.speakers})
        self.turn += 1

    def _hear(self, utterances: Mapping[str, Utterance]) -> None:
        for speaker, said in utterances.items():
            if self.protocol.speakers[speaker].chooses_side and not self.choice:
                self._choose(speaker, said)
        self.speeches += tuple(self.speech(speaker, said) for speaker, said in utterances.items())

    def speech(self, speaker: str, said: Utterance) -> Speech:
        """Return what judge and opponents would get of an utterance at this turn."""
        role, side = self.protocol.order()[self.turn][speaker], self.protocol.speakers[speaker].side
        made = Speech(speaker, side, self.turn, "", "", 0, role=role)
        return speech_of(said, made, self.protocol, self.question.passage, self.prompts.judges.own)

    def _choose(self, speaker: str, said: Utterance) -> None:
        """Put the speakers on the sides that this speaker's choice of its own means."""
        public, _ = scratchpad.split(said.raw, self.protocol.scratchpad)
        found = _CHOICE.match(public)
        if found is None:
            self.choice = "unusable"
        elif Side(found[1]) is self.protocol.speakers[speaker].side:
            self.choice = "kept"
        else:
            self.choice, self.protocol = "changed", self.protocol.swapped()

    def fork(self) -> "Debate":
        """Return an independent continuation of the debate so far."""
        branch = Debate(self.question, self.protocol, self.swapped_seats, self.prompts, self.shown)
        branch.speeches, branch.inquiries, branch.turn = self.speeches, self.inquiries, self.turn
        branch.choice = self.choice
        return branch

    def transcript(self, provenance: Mapping[str, str | int | float] | None = None) -> Transcript:
        """Return the record of what was said so far."""
        noted = {
            "prompts": self.prompts.hash_with(self.protocol),
            **({"choice": self.choice} if self.choice else {}),
            **(provenance or {}),
        }
        return Transcript(
            self.question, self.protocol, self.answers, self.swapped_seats, self.speeches, noted, self.inquiries
        )


def speech_of(said: Utterance, made: Speech, protocol: Protocol, passage: str, own: Lines | None = None) -> Speech:
    """Return what judge and opponents get of an utterance: thoughts taken out, text escaped, quotes looked up.

    `made` says who speaks, for which side, when and in which role; `own` are the lines of the prompt set that it must
    not forge.
    """
    public, thoughts = scratchpad.split(said.raw, protocol.scratchpad)
    private = "\n".join(part for part in (said.private, thoughts) if part)
    neutralised: dict[str, int] = {}
    across = protocol.quotes_across_paragraphs
    text, quotes = verify(public, passage, counts=neutralised, across_paragraphs=across, own=own)
    return Speech(
        made.speaker,
        made.side,
        made.turn,
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
        made.role,
    )
