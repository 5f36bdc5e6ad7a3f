"""Comparisons: several arms argue the same held-out questions, and the same judges read all of their debates.

An arm is a configuration: another protocol, another way to make speeches, another way to show them. Arms that differ
only in how their debates are shown are judged on the same debates. What is finished before an interruption is not done
again. Given an `AnswerKey`, like every evaluation.
"""

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pandas as pd

from rostrum.envs import transcripts
from rostrum.envs.questions.base import load_questions
from rostrum.envs.recasting import exchanged, shuffled
from rostrum.envs.types import Question, Transcript
from rostrum.trainer import setup
from rostrum.trainer.config import Config
from rostrum.trainer.evaluation import verdict_table
from rostrum.trainer.evaluation.comparisons.own_answers import KINDS as OWN
from rostrum.trainer.evaluation.comparisons.own_answers import own_answers
from rostrum.trainer.evaluation.verdict_rows import JudgePool, checkpoint_name, row
from rostrum.trainer.evaluation.verdict_table import write_verdicts
from rostrum.trainer.progress import say
from rostrum.trainer.reading import read_table
from rostrum.trainer.rollouts import unjudged
from rostrum.trainer.rollouts.arena import Plan, Played, play
from rostrum.trainer.rollouts.schedule import alone, both_seatings, derive
from rostrum.trainer.store.provenance import without_means
from rostrum.trainer.types import Policy
from rostrum.trainer.weights.parity import check_adapter, rows_of

REFERENCES = "references.parquet"
"""The judges without debaters."""
KEPT = "judging.jsonl"
"""Every verdict, as it was given."""


@dataclass(frozen=True, slots=True)
class Player:
    """A policy that plays every arm: the base, or a checkpoint."""

    iteration: int
    path: str

    @property
    def name(self) -> str:
        return checkpoint_name(self.iteration)


class Comparison:
    """Plays and judges every arm with every player; keeps what is finished under `folder`.

    debates/HASH-PLAYER.jsonl      what was said, shared by arms that play alike
    arms/ARM/PLAYER.parquet        the verdicts on it
    own-answers-PLAYER.parquet     what each player believes
    references.parquet             the judges without debaters
    judging.jsonl                  every verdict, as it was given
    """

    def __init__(self, settings: Config, arms: Mapping[str, Config], players: Sequence[Player], folder: Path) -> None:
        """Compare arms under `settings`, which has questions, judges, seed and cluster, which all `arms` share."""
        self.settings, self.arms, self.players, self.folder = settings, arms, players, folder
        source = load_questions(settings.test_questions, "heldout")
        self.questions: Sequence[Question] = source.questions("heldout")
        self.key = source.answer_key("heldout")

    def own_answers(self) -> dict[str, pd.DataFrame]:
        """Return what each player believes, as `trainer.evaluation.comparisons.own_answers` gives it."""
        found = {}
        for player in self.players:
            part = self.folder / f"own-answers-{player.name}.parquet"
            if not part.exists():
                policy = Policy(verdict_table.CHECKPOINT, player.iteration, player.path)
                write_verdicts(own_answers(self.settings, policy, self.questions), part)
            found[player.name] = read_table(part, OWN, OWN)
        return found

    def verdicts(self) -> pd.DataFrame:
        """Return one row for each arm, player, debate and judge, and the references."""
        pool = JudgePool(self.settings, self.key, self.folder / KEPT)
        references = self.folder / REFERENCES
        if not references.exists():
            write_verdicts(pd.DataFrame(pool.references(self.questions)), references)
        parts = [self._part(pool, arm, player) for arm in self.arms for player in self.players]
        return verdict_table.read_verdicts(references, *parts)

    def _part(self, pool: JudgePool, arm: str, player: Player) -> Path:
        part = verdicts_file(self.folder, arm, player)
        if not part.exists():
            settings = self.arms[arm]
            played = self._debates(arm, player)
            about = {
                "arm": arm,
                "checkpoint": player.name,
                "iteration": player.iteration,
                "matchup": verdict_table.SELF,
            }
            rows = _judged(pool, about, played.finished, settings)
            rows += pool.failed(about, played.failures, self.questions, settings.protocol)
            unjudged.check_rows(f"the arm {arm}", rows, pool.unreadable)
            write_verdicts(pd.DataFrame(rows), part)
            say(f"{arm}: the debates of {player.name} are judged")
        return part

    def _debates(self, arm: str, player: Player) -> Played:
        """Return the debates of each question in both seatings, the player in every side; read back if they have been
        played before."""
        settings = self.arms[arm]
        stored = debates_file(self.folder, settings, player)
        if not stored.exists():
            played = _play(settings, player, self.questions, f"{arm}: {player.name} argues")
            transcripts.write(stored, [*played.finished, *played.failures])
        return Played(list(transcripts.read(stored)))


def verdicts_file(folder: Path, arm: str, player: Player) -> Path:
    """Return where the verdicts on an arm's debates are, once all are given."""
    return folder / "arms" / arm / f"{player.name}.parquet"


def debates_file(folder: Path, settings: Config, player: Player) -> Path:
    """Return where what was said in an arm is, once all of it is played."""
    return folder / "debates" / f"{plays_like(settings)}-{player.name}.jsonl"


def plays_like(settings: Config) -> str:
    """Return a hash of all that decides what is said: arms in which it is the same share their debates."""
    values = without_means(settings.model_dump(mode="json", exclude={"output", "comparison"}))
    for name in ("name", "judged_apart"):
        del values["protocol"][name]
    return hashlib.sha256(json.dumps(values, sort_keys=True).encode()).hexdigest()[:12]


def shown(transcript: Transcript, settings: Config) -> Transcript:
    """Return a debate as an arm shows it to judges."""
    told = _told(transcript, settings)
    if settings.comparison.speakers == "exchanged":
        return exchanged(told)
    return shuffled(told, settings.seed) if settings.comparison.speakers == "shuffled" else told


def _told(transcript: Transcript, settings: Config) -> Transcript:
    """Return a debate under the protocol of another arm, with every speaker on the side that it was on."""
    return replace(transcript, protocol=replace(settings.protocol, speakers=transcript.protocol.speakers))


def _play(settings: Config, player: Player, questions: Sequence[Question], title: str) -> Played:
    policy = Policy(verdict_table.CHECKPOINT, player.iteration, player.path)
    matchups = both_seatings(questions, alone(settings.protocol, {policy.name: policy}))
    workers = setup.rollout_workers(settings)
    try:
        if settings.debater.lora is not None:
            check_adapter(settings, workers, rows_of(settings))
        seed = derive(settings.seed, "evaluate", verdict_table.SELF)
        return play(workers, Plan(matchups, [policy], settings.cluster.shard_size, seed), title)
    finally:
        workers.close()


def _judged(
    pool: JudgePool, about: Mapping[str, Any], played: Sequence[Transcript], settings: Config
) -> list[dict[str, Any]]:
    """Return rows on what was said, by verdicts on what was shown, and what each verdict took."""
    return [
        {
            **row(_told(transcript, settings), verdict, pool.key),
            **about,
            "judge_role": role,
            "readings": verdict.readings,
            "first_defends": transcript.answer_index(settings.protocol.sides[0]),
        }
        for role, given in pool.ask([shown(transcript, settings) for transcript in played])
        for transcript, verdict in ((played[place], verdict) for place, verdict in given)
    ]
