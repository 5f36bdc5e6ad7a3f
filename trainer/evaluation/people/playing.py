"""The debaters of a live study: they answer what judges ask, on the checkpoints that argued the stored debates."""

import sqlite3
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Protocol as Interface

from rostrum.envs.types import Failure, Protocol, Transcript
from rostrum.rewards.people import database, live
from rostrum.rewards.people.database import StudyError
from rostrum.rewards.people.debates import bare, id_of
from rostrum.rewards.people.live import Work
from rostrum.trainer import setup
from rostrum.trainer.config import Config
from rostrum.trainer.evaluation.matchups import cast_of
from rostrum.trainer.evaluation.people.new_study import Condition, conditions_of
from rostrum.trainer.evaluation.verdict_table import CHECKPOINT, SELF
from rostrum.trainer.policies import Policies, policies_in
from rostrum.trainer.progress import say
from rostrum.trainer.rollouts.local import PlaySetup, Worker
from rostrum.trainer.rollouts.schedule import derive
from rostrum.trainer.store.run_folder import RunFolder
from rostrum.trainer.types import Matchup

BEAT = 3.0
"""Seconds between two signs of life."""
PAUSE = 0.2
"""Seconds between two looks for work."""


def can_ask(protocol: Protocol) -> Protocol:
    """Return a protocol in which the judge asks between the rounds.

    Raises:
        StudyError: it has no rounds between which that could be.
    """
    asking = replace(protocol, judge_asks=True)
    chooses = any(speaker.chooses_side for speaker in protocol.speakers.values())
    if protocol.turns or chooses or not any(map(asking.asks_before, range(len(protocol.order())))):
        raise StudyError(
            f"people.live=true needs debates in rounds, and protocol={protocol.name} has "
            f"{'a speaker who chooses its side' if chooses else 'turns of its own' if protocol.turns else 'one round'}"
            ": make the study of runs with two rounds or more, or leave people.live=false."
        )
    return asking


def check(conditions: Sequence[Condition]) -> None:
    """Refuse conditions whose debates cannot be live.

    Raises:
        StudyError: nobody could ask in them.
    """
    for condition in conditions:
        can_ask(next(debate for debates in condition.debates.values() for debate in debates).protocol)


class Debaters(Interface):
    """Who answers."""

    def answer(self, work: Work) -> Transcript | Failure:
        """Return the place's debate with one round more."""


@dataclass(frozen=True, slots=True)
class _Checkpoint:
    config: Config
    policies: Policies
    debates: Mapping[str, Transcript]
    """By what is read of them."""


class RunDebaters:
    """Checkpoints of evaluated runs, played as their evaluations play them; the engines of one run at a time."""

    def __init__(self, configs: Mapping[str, Config], shown: set[str], seed: int) -> None:
        """Read the debates of a study, `shown` by what is read of them; `configs` are those of the evaluations,
        by what the study calls their runs.

        Raises:
            StudyError: a run or a checkpoint is not there any more.
        """
        self._seed, self._worker = seed, None
        self._of: Config | None = None
        self._checkpoints = {
            (condition.run, condition.checkpoint): _checkpoint(config, condition, shown)
            for name, config in configs.items()
            for condition in conditions_of(config.output, config, "all", name)
        }

    _worker: Worker | None

    def answer(self, work: Work) -> Transcript | Failure:
        """Return the place's debate with one round more. The seed is named by place and round: a round that is played
        again, since its player was killed, is the same."""
        checkpoint = self._checkpoints.get((work.run, work.checkpoint))
        stored = None if checkpoint is None else checkpoint.debates.get(work.shown)
        if checkpoint is None or stored is None:
            return Failure(work.shown, False, f"the run {work.run} does not hold this debate any more")
        so_far = live.cut(work.played or stored, work.round)
        cast = cast_of(checkpoint.config.protocol, SELF, checkpoint.policies, checkpoint.policies)(0)
        matchup = Matchup(f"live-{work.place}", stored.question, stored.swapped_seats, cast)
        seed = derive(self._seed, "live", work.place, work.round)
        policies = {policy.name: policy for policy in checkpoint.policies.values()}
        return self._worker_of(checkpoint.config).go_on(matchup, so_far, work.asked, seed, policies)

    def _worker_of(self, config: Config) -> Worker:
        if self._worker is None or self._of is not config:
            if self._worker is not None:
                self._worker.close()
            self._worker, self._of = Worker(live_setup(config)), config
        return self._worker


def live_setup(config: Config) -> PlaySetup:
    """Return how an evaluation plays debates, but for a judge that is a person: no model asks."""
    own = setup.play_setup(config)
    return replace(own, protocol=can_ask(config.protocol), decoding=replace(own.decoding, asks=None))


def _checkpoint(config: Config, condition: Condition, shown: set[str]) -> _Checkpoint:
    folder = RunFolder(config.output).policy(condition.iteration)
    played = (debate for debates in condition.debates.values() for debate in debates)
    by_text = {name: debate for debate in played if (name := id_of(bare(debate))) in shown}
    if by_text and not folder.is_dir():
        raise StudyError(f"{folder} is gone, and the debaters of this study are in it: restore it from a copy.")
    policies = policies_in(folder, CHECKPOINT, condition.iteration, config.policies)
    return _Checkpoint(config, policies, by_text)


class Player:
    """Takes what judges wait for from a study's database, has it played, and writes what was said."""

    def __init__(self, study: Path, debaters: Debaters, seconds: float, now: Callable[[], float] = time.time) -> None:
        """Begin. `seconds` is how long judges wait."""
        self._study, self._debaters, self._seconds, self._now = study, debaters, seconds, now
        self._work: Work | None = None
        self._loaded: int | None = None

    def run(self, stop: threading.Event) -> None:
        """Play until told to stop. What the debaters raise ends it; the round is another player's then."""
        db, over = database.connect(self._study), threading.Event()
        live.beat(db, self._now())
        beating = threading.Thread(target=self._beat, args=(over,), daemon=True)
        beating.start()
        try:
            while not stop.is_set():
                if not self.play_one(db):
                    stop.wait(PAUSE)
        finally:
            over.set()
            beating.join()
            db.close()

    def play_one(self, db: sqlite3.Connection) -> bool:
        """Play a round that somebody waits for; return whether there was one."""
        if not live.is_wanted(db):
            return False
        work = live.lease(db, self._now(), self._seconds, self._loaded)
        if work is None:
            return False
        self._work, self._loaded = work, work.condition
        try:
            outcome = self._debaters.answer(work)
            if isinstance(outcome, Failure):
                say(f"A round of {work.run}, {work.checkpoint} could not be played: {outcome.reason}.")
                live.fail(db, work, self._now(), self._seconds)
            else:
                live.keep(db, work, outcome, self._now(), self._seconds)
        finally:
            self._work = None
        return True

    def _beat(self, over: threading.Event) -> None:
        db = database.connect(self._study)
        while not over.wait(BEAT):
            live.beat(db, self._now())
            if (work := self._work) is not None:
                live.renew(db, work, self._now())
        db.close()


class EndedError(RuntimeError):
    """A player that ended before it was told to; its cause is why."""


@contextmanager
def at_play(player: Player) -> Iterator[Callable[[], None]]:
    """Have a player at work while the block runs, which is given a look whether it still is; there is a last one after
    the block.

    Raises:
        EndedError: a look found that it is not.
    """
    stop = threading.Event()

    def look() -> None:
        if playing.done() and (error := playing.exception()) is not None:
            raise EndedError("Nobody answers the judges any more.") from error

    with ThreadPoolExecutor(1) as pool:
        playing = pool.submit(player.run, stop)
        try:
            yield look
        finally:
            stop.set()
    look()
