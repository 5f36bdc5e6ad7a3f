"""Playing debates that do not wait for each other, on an engine that takes prompts while others are under way.

Each debate is a coroutine: it says who is to speak, and goes on once these have spoken, whatever turn the others are
at. So no debate waits for the longest speech of its turn, and the engine has work while any debate goes on. Seeds are
named by debate, turn and speaker, so these are the debates that `play.turn_by_turn` plays on the same engine.
"""

import itertools
from collections.abc import Generator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, cast

from rostrum.envs.debate import Utterance
from rostrum.trainer.engines.base import Engine, Request, Sampling, Streams
from rostrum.trainer.progress import activity
from rostrum.trainer.rollouts.decoding.decoding_setup import Decoding
from rostrum.trainer.rollouts.decoding.turns import OneSample, Turn, at_turn, request, utterances
from rostrum.trainer.rollouts.play import LiveDebate, due, hear, siblings
from rostrum.trainer.types import Policy

Line = Generator[Sequence[Turn], Any, None]
"""A debate, or one of its siblings, that is under way: it yields who is to speak now and is sent what they say."""


def streams(engines: Mapping[str, Engine], decoding: Decoding) -> bool:
    """Return whether debates can go on each by itself: on one engine that takes prompts at any time, where nobody
    chooses among samples or asks in several debates at once.

    Several engines take turns, and have more to do at each where debates keep step.
    """
    plain = isinstance(decoding.speaking, OneSample) and decoding.inquirer is None
    return plain and len(engines) == 1 and all(isinstance(engine, Streams) for engine in engines.values())


def streamed(
    tables: Sequence[LiveDebate], engines: Mapping[str, Engine], sampling: Sampling, versions: Mapping[str, Policy]
) -> list[LiveDebate]:
    """Play debates to their ends with the one engine there is; return them, failures too, with siblings in the place of
    the debate that they come from."""
    speeches = sum(table.matchup.branches * table.debate.protocol.speeches for table in tables)
    with activity(f"speeches in {len(tables)} debates", speeches, "speeches") as bar:
        stream = _Stream(engines, sampling, versions)
        families = [stream.begin(table) for table in tables]
        try:
            while stream.under_way:
                bar.advance(stream.go_on())
        except Exception:
            stream.source.abort()
            raise
    return [table for family in families for table in family]


@dataclass(frozen=True, slots=True)
class _Waiting:
    """A line between its turns."""

    line: Line
    speakers: int
    """How many speak at this turn."""
    said: dict[str, Utterance]
    """What those of them have said that are through."""


class _Stream:
    """The debates that are under way, and what the engine is asked for them."""

    def __init__(self, engines: Mapping[str, Engine], sampling: Sampling, versions: Mapping[str, Policy]) -> None:
        ((name, engine),) = engines.items()
        self._engines, self._policy, self._sampling = engines, versions[name], sampling
        self._engine, self.source = engine, cast(Streams, engine)
        self._numbers = itertools.count()
        self._new: list[Request] = []
        """What the engine is yet to be asked."""
        self._waiting: dict[int, tuple[_Waiting, str]] = {}
        """Who waits for each request, and whose speech it is."""

    @property
    def under_way(self) -> bool:
        """Whether somebody is yet to speak."""
        return bool(self._waiting)

    def begin(self, table: LiveDebate) -> list[LiveDebate]:
        """Begin a debate; return a list of it, in which its siblings will be in its place."""
        family = [table]
        self._move(self._whole(family))
        return family

    def go_on(self) -> int:
        """Wait for the speeches that come next and let their debates go on; return how many speeches there were."""
        new, self._new = self._new, []
        found = self.source.stream(new, self._sampling)
        for number, completion in sorted(found.items()):
            (said,) = utterances([completion], self._engine, self._policy)
            waiting, speaker = self._waiting.pop(number)
            waiting.said[speaker] = said
            if len(waiting.said) == waiting.speakers:
                self._move(waiting.line, waiting.said)
        return len(found)

    def _move(self, line: Line, said: Mapping[str, Utterance] | None = None) -> None:
        """Give a line what was said, and ask the engine for its next speeches, if there are any."""
        try:
            turns = line.send(said)
        except StopIteration:
            return
        waiting = _Waiting(line, len(turns), {})
        for turn, number in zip(turns, self._numbers, strict=False):
            self._waiting[number] = waiting, turn.speaker
            self._new.append(request(turn, number, at_turn(self._sampling, turn.debate.turn, self._policy)))

    def _whole(self, family: list[LiveDebate]) -> Line:
        """Play a debate; where its siblings part, they go on as lines of their own, also from one that has failed."""
        (table,) = family
        turns, matchup = len(table.debate.protocol.order()), table.matchup
        part = matchup.branch_turn if matchup.branches > 1 else turns
        yield from self._until(part, table)
        if part < turns:
            family[:] = siblings(table, part)
            for sibling in family:
                self._move(self._until(turns, sibling))

    def _until(self, end: int, table: LiveDebate) -> Line:
        """Play a debate until this turn, or until it fails."""
        while table.failure is None and table.debate.turn < end:
            now = [turn for of in due([table], self._engines, self._sampling).values() for _, turn in of]
            if table.failure is None:
                hear(table, (yield now) if now else {})
