"""Tournaments: checkpoints argue against each other on the same held-out questions, and every judge reads every debate.

What is finished before an interruption is not played again. Given an `AnswerKey`, like every evaluation.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations
from pathlib import Path
from typing import Any

import pandas as pd

from rostrum.envs.questions.base import load_questions
from rostrum.envs.types import Failure, Question, Side, Transcript
from rostrum.rewards.types import Judge
from rostrum.trainer import setup
from rostrum.trainer.config import Config
from rostrum.trainer.evaluation.comparisons import standings
from rostrum.trainer.evaluation.verdict_rows import of_verdict, unplayed
from rostrum.trainer.evaluation.verdict_table import PLAYED, write_verdicts
from rostrum.trainer.policies import called, policies_in
from rostrum.trainer.rollouts import unjudged
from rostrum.trainer.rollouts.arena import Plan, play, verdicts_on
from rostrum.trainer.rollouts.local import RolloutWorkers
from rostrum.trainer.rollouts.schedule import both_seatings, derive, in_turns
from rostrum.trainer.types import Matchup


@dataclass(frozen=True, slots=True)
class Player:
    """What was published after an iteration, or a model, under the name that it is rated by."""

    name: str
    path: str


class Tournament:
    """Plays pairs of players and keeps the verdicts, one file per pair, under `folder`/games. Lone consultants meet
    nobody: each plays alone."""

    def __init__(self, settings: Config, players: Sequence[Player], judges: Sequence[Judge], folder: Path) -> None:
        self.settings, self.folder, self.judges = settings, folder / "games", judges
        self.players = {player.name: player for player in players}
        source = load_questions(settings.test_questions, "heldout")
        self.questions: Sequence[Question] = source.questions("heldout")
        self.key = source.answer_key("heldout")
        self.workers: RolloutWorkers = setup.rollout_workers(settings)

    def round_robin(self) -> pd.DataFrame:
        """Play everybody against everybody else, and against themselves."""
        return self.play([*self._alone(), *(() if self.lone else combinations(self.players, 2))])

    def swiss(self, rounds: int) -> pd.DataFrame:
        """Play the first player against all others, and in each round after that neighbours in the standings who have
        not met.

        Everybody argues against themselves as well. The first player ties the standings together: without it pairs
        that never met, not even through others, could not be compared.
        """
        if self.lone:
            return self.round_robin()
        anchor, *others = self.players
        met = [(anchor, other) for other in others]
        for _ in range(rounds):
            order = standings.order(self.play(met), self.judges[0].name, list(self.players))
            met += _neighbours(order, met)
        return self.play([*self._alone(), *met])

    def play(self, pairs: Sequence[tuple[str, str]]) -> pd.DataFrame:
        """Return the verdicts on all debates of these pairs: one row for each debate and judge."""
        parts = [self._part(*sorted(pair, key=list(self.players).index)) for pair in pairs]
        return PLAYED.read(*parts)

    @property
    def lone(self) -> bool:
        """Whether the players are consultants."""
        return len(self.settings.protocol.sides) == 1

    def close(self) -> None:
        """Drop the engines."""
        self.workers.close()

    def _alone(self) -> list[tuple[str, str]]:
        return [(name, name) for name in self.players]

    def _part(self, one: str, two: str) -> Path:
        names = list(self.players)
        part = self.folder / f"{names.index(one):03d}-{names.index(two):03d}.parquet"
        if not part.exists():
            played = self._debates(one, two)
            rows = [row for judge in self.judges for row in self._judged(judge, played)]
            unjudged.check_rows(f"the debates of {one} and {two}", rows)
            write_verdicts(pd.DataFrame(rows), part)
        return part

    def _debates(self, one: str, two: str) -> list["_Played"]:
        """Return the debates of each question in both seatings."""
        names = {"one": one, "two": two}
        sets = [
            policies_in(Path(self.players[name].path), role, 0, self.settings.policies) for role, name in names.items()
        ]
        matchups = both_seatings(self.questions, in_turns(self.settings.protocol, *sets))
        policies = [policy for of in sets for policy in of.values()]
        seed = derive(self.settings.seed, "tournament", one, two)
        plan = Plan(matchups, policies, self.settings.cluster.shard_size, seed)
        outcomes = play(self.workers, plan, f"{one} against {two}").outcomes
        return [self._played(outcome, matchup, names) for outcome, matchup in zip(outcomes, matchups, strict=True)]

    def _played(self, outcome: Transcript | Failure, matchup: Matchup, names: Mapping[str, str]) -> "_Played":
        protocol = self.settings.protocol
        whole = unplayed(outcome, matchup.question, protocol) if isinstance(outcome, Failure) else outcome
        speakers = whole.protocol.speakers.items()
        sides = {speaker.side: names[called(matchup.policies[name])] for name, speaker in speakers}
        return _Played(outcome, whole, sides)

    def _judged(self, judge: Judge, played: Sequence["_Played"]) -> Iterator[dict[str, Any]]:
        """Yield a row for each debate; one that failed counts as an INVALID verdict."""
        for debate, verdict in zip(played, verdicts_on(judge, [debate.outcome for debate in played]), strict=True):
            yield {
                "seat_a": debate.sides.get(Side.A, ""),
                "seat_b": debate.sides.get(Side.B, ""),
                **of_verdict(debate.transcript, verdict, self.key),
                **_counts(debate.transcript, Side.A),
                **_counts(debate.transcript, Side.B),
            }


@dataclass(frozen=True, slots=True)
class _Played:
    """What became of a debate, its transcript (empty if it failed), and who argued for each side."""

    outcome: Transcript | Failure
    transcript: Transcript
    sides: Mapping[Side, str]


def _counts(transcript: Transcript, side: Side) -> dict[str, int]:
    own = [speech for speech in transcript.speeches if speech.side is side]
    name = side.value.lower()
    return {
        f"words_{name}": sum(speech.words for speech in own),
        f"verified_{name}": sum(quote.verified for speech in own for quote in speech.quotes),
    }


def _neighbours(order: Sequence[str], met: Sequence[tuple[str, str]]) -> Iterator[tuple[str, str]]:
    """Yield, from the top of the standings down, everybody with the nearest one whom they have not met."""
    free, known = list(order), {frozenset(pair) for pair in met}
    while free:
        player = free.pop(0)
        opponent = next((other for other in free if frozenset((player, other)) not in known), None)
        if opponent is not None:
            free.remove(opponent)
            yield player, opponent
