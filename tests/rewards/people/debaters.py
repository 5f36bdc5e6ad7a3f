"""Debaters that are scripts: what they say tells the question, and has a secret in everything that nobody may see."""

import json
import sqlite3
from collections.abc import Callable
from dataclasses import replace

from rostrum.envs.prompts.inquiries import inquiry_of
from rostrum.envs.transcripts import from_json
from rostrum.envs.types import Failure, Inquiry, Side, Speech, Transcript
from rostrum.rewards.people.debates import id_of
from rostrum.rewards.people.live import Work, first_turn

THOUGHT = "SECRET-THOUGHT-4711"


class ScriptedDebaters:
    """Answers from the stored debates of a study. `before` is called with each round before it is answered."""

    def __init__(self, db: sqlite3.Connection, before: Callable[[Work], None] = lambda work: None) -> None:
        self._stored: dict[str, Transcript] = {}
        for (text,) in db.execute("SELECT transcript FROM debate"):
            record = from_json(json.loads(text))
            assert isinstance(record, Transcript)
            self._stored[id_of(record)] = record
        self._before, self.answered = before, list[Work]()

    def answer(self, work: Work) -> Transcript | Failure:
        self._before(work)
        self.answered.append(work)
        debate = work.played or self._stored[work.shown]
        turn = first_turn(debate, work.round)
        asked = Inquiry(turn, "", "the judge asked nothing")
        if work.asked:
            asked = inquiry_of(work.asked, turn, debate.protocol, debate.question.passage)
        said = [
            Speech(
                side.value,
                side,
                turn + place,
                f"Round {work.round}, {side}: to “{asked.text}” I say this.",
                f"raw {THOUGHT}",
                6,
                token_ids=(4711, 4712),
                logprobs=(-0.5, -0.5),
                policy="current",
                private=THOUGHT,
            )
            for place, side in enumerate(Side)
        ]
        return replace(
            debate,
            protocol=replace(debate.protocol, judge_asks=True),
            speeches=(*(speech for speech in debate.speeches if speech.turn < turn), *said),
            inquiries=(*(each for each in debate.inquiries if each.turn < turn), asked),
            provenance={"seed": 4711, "match": f"live-{work.place}"},
        )
