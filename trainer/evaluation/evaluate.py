"""Evaluation: every chosen checkpoint argues the same held-out questions, and every judge reads every debate.

The only place, with the reports made from it, that is given an `AnswerKey`.
"""

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any, Required

import pandas as pd

from rostrum.envs import transcripts
from rostrum.envs.files import write_atomically
from rostrum.envs.prompts.transcript_first import LAYOUT, names_of
from rostrum.envs.questions.base import load_questions
from rostrum.envs.types import Failure, Question, Side, Transcript, correct_side
from rostrum.rewards.audit.attacks import attack_success
from rostrum.rewards.labelled import with_key
from rostrum.rewards.types import favours
from rostrum.trainer import setup
from rostrum.trainer.config import Config
from rostrum.trainer.evaluation import browsed, verdict_table
from rostrum.trainer.evaluation.matchups import cast_of
from rostrum.trainer.evaluation.stored_lines import AttackRecord, TrainingAccuracy
from rostrum.trainer.evaluation.verdict_rows import JudgePool, checkpoint_name
from rostrum.trainer.evaluation.verdict_table import write_verdicts
from rostrum.trainer.learners.limits import cut_in_evaluation
from rostrum.trainer.policies import policies_in
from rostrum.trainer.progress import say
from rostrum.trainer.reading import Open, read_text, valid
from rostrum.trainer.rollouts import unjudged
from rostrum.trainer.rollouts.arena import Plan, Played, play
from rostrum.trainer.rollouts.decoding.length_matched import lengths_of, write_lengths
from rostrum.trainer.rollouts.local import RolloutWorkers
from rostrum.trainer.rollouts.schedule import both_seatings, derive
from rostrum.trainer.store.run_folder import RunError, RunFolder
from rostrum.trainer.weights.parity import check_adapter, rows_of

DEBATES, ATTACKS = ".jsonl", ".attacks.jsonl"
"""What lies beside a checkpoint's part of the verdicts, by suffix."""


def evaluate(settings: Config) -> Path:
    """Evaluate a trained run; write verdicts.parquet, debates.jsonl, attacks.jsonl and training_accuracy.jsonl into its
    folder.

    What was finished before an interruption is not done again.
    """
    evaluation = _Evaluation(settings)
    try:
        parts = [evaluation.references(), *(evaluation.checkpoint(iteration) for iteration in evaluation.iterations)]
    finally:
        evaluation.workers.close()
    write_verdicts(verdict_table.read_verdicts(*parts), settings.output / "verdicts.parquet")
    for suffix, name in ((DEBATES, "debates.jsonl"), (ATTACKS, "attacks.jsonl")):
        there = [path for part in parts if (path := part.with_suffix(suffix)).exists()]
        texts = [read_text(path) for path in there]
        together = browsed.joined(texts, there) if suffix == DEBATES else "".join(texts)
        write_atomically(settings.output / name, together)
    _training_accuracy(settings)
    return settings.output / "verdicts.parquet"


class _Evaluation:
    """One run's questions, judges and policies."""

    def __init__(self, settings: Config) -> None:
        self.settings, self.folder = settings, RunFolder(settings.output)
        self.iterations = _chosen(settings, self.folder)
        questions = load_questions(settings.test_questions, "heldout")
        self.questions: Sequence[Question] = questions.questions("heldout")
        self.key = questions.answer_key("heldout")
        self.pool = JudgePool(settings, self.key, self.folder.judging / "evaluation.jsonl")
        self.workers: RolloutWorkers = setup.rollout_workers(settings)
        for policy in settings.policies:
            own = settings.of(policy)
            if own.debater.lora is not None:
                check_adapter(own, self.workers, rows_of(own), policy)

    def references(self) -> Path:
        """Return the verdicts of the judges without debaters: naive (the question alone) and expert (question and
        passage)."""
        part = self._part("references")
        if not part.exists():
            write_verdicts(pd.DataFrame(self.pool.references(self.questions)), part)
        return part

    def checkpoint(self, iteration: int) -> Path:
        """Return the verdicts on a checkpoint against itself and, in a debate, against the base debater."""
        part = self._part(checkpoint_name(iteration))
        if not browsed.finished(part):
            rows, debates, attacks, stored = [], [], list[dict[str, Any]](), list[tuple[dict[str, Any], Transcript]]()
            for matchup in self._matchups(iteration):
                outcome = self._play(iteration, matchup)
                self._tell_cut(f"{checkpoint_name(iteration)} against {matchup}", outcome.finished)
                about = {
                    "arm": self.settings.output.name,
                    "checkpoint": checkpoint_name(iteration),
                    "iteration": iteration,
                    "matchup": matchup,
                }
                judged = self.pool.rows(about, outcome.finished)
                rows += judged
                rows += self.pool.failed(about, outcome.failures, self.questions, self.settings.protocol)
                unjudged.check_rows(f"the debates of {checkpoint_name(iteration)}", rows, self.pool.unreadable)
                debates += self._kept(about, outcome.finished, judged)
                stored += [(about, debate) for debate in outcome.finished]
                if matchup == verdict_table.SELF:
                    attacks += self._attacked(about, outcome.finished)
                    lengths = self.settings.output / "lengths" / f"{checkpoint_name(iteration)}.json"
                    write_lengths(lengths, lengths_of(outcome.finished, verdict_table.CHECKPOINT))
            browsed.store(part, [about for about, _ in stored], [debate for _, debate in stored])
            for suffix, lines in ((DEBATES, debates), (ATTACKS, attacks)):
                write_atomically(part.with_suffix(suffix), "".join(json.dumps(line) + "\n" for line in lines))
            write_verdicts(pd.DataFrame(rows), part)
        return part

    def _matchups(self, iteration: int) -> list[str]:
        against_base = iteration > 0 and len(self.settings.protocol.sides) > 1
        return [verdict_table.SELF, verdict_table.BASE] if against_base else [verdict_table.SELF]

    def _play(self, iteration: int, matchup: str) -> Played:
        names = self.settings.policies
        own = policies_in(self.folder.policy(iteration), verdict_table.CHECKPOINT, iteration, names)
        base = policies_in(self.folder.policy(0), verdict_table.BASE, 0, names)
        matchups = both_seatings(self.questions, cast_of(self.settings.protocol, matchup, own, base))
        seed = derive(self.settings.seed, "evaluate", matchup)
        return play(
            self.workers,
            Plan(matchups, [*own.values(), *base.values()], self.settings.cluster.shard_size, seed),
            f"{self.settings.output.name}: evaluating {checkpoint_name(iteration)} against {matchup}",
        )

    def _tell_cut(self, title: str, played: Sequence[Transcript]) -> None:
        """Say whose speeches were nearly all cut."""
        speeches = [speech for transcript in played for speech in transcript.speeches]
        for told in cut_in_evaluation(title, speeches, self.settings.debater.max_tokens):
            say(told)

    def _kept(
        self, about: Mapping[str, Any], played: Sequence[Transcript], judged: Sequence[Mapping[str, Any]]
    ) -> list[dict[str, Any]]:
        """Return the debates that the report shows, and with surprising failures what the base debaters had said."""
        base = self._part(verdict_table.BASE)
        before = None if not about["iteration"] else _of_reward(verdict_table.read_verdicts(base))
        reads = self.pool.members[0].reads  # the judge that gives the reward, whose rows come first
        played = [transcript for transcript in played if transcript.question.id in reads]
        of_reward = pd.DataFrame(judged[: len(played)])
        chosen = browsed.choose(played, of_reward, before, self.settings.evaluation.browser_debates)
        compared = browsed.counterparts(base, [played[place] for place in chosen.failures])
        about_base = {**about, "checkpoint": verdict_table.BASE, "iteration": 0}
        return [*self._browsed(about, [played[place] for place in chosen.kept]), *self._browsed(about_base, compared)]

    def _browsed(self, about: Mapping[str, Any], played: Sequence[Transcript]) -> Iterator[dict[str, Any]]:
        """Yield the debates with the reward judge's probability after every speech, or after the last if that is all
        that it is asked for."""
        judge, probe = self.pool.members[0].judge, self.pool.members[0].probe
        renames = any(model.layout == LAYOUT for model in self.settings.judge.needs())
        for transcript in played:
            asked = list(_prefixes(transcript)) if probe else [transcript]
            p_after = [verdict.mean if verdict.valid else None for verdict in judge.judge(asked)]
            yield {
                **about,
                "judge": judge.name,
                "correct_seat": correct_side(transcript, self.key).value,
                "p_after": [None] * (len(transcript.speeches) + 1 - len(asked)) + p_after,
                **({"read_as": dict(names_of(transcript))} if renames else {}),
                "transcript": transcripts.to_json(transcript),
            }

    def _attacked(self, about: Mapping[str, Any], played: Sequence[Transcript]) -> list[dict[str, Any]]:
        """Return how far attacks move the reward judge in this checkpoint's debates, one record per attack."""
        reward = self.pool.members[0]
        read = [transcript for transcript in played if transcript.question.id in reward.reads]
        debates = with_key(read[: self.settings.evaluation.attacks], self.key) if reward.probe else []
        if not debates:
            return []
        judge = reward.judge
        found = attack_success(judge, debates, seed=self.settings.seed)
        return [AttackRecord(**about, judge=judge.name, **asdict(result)).stored() for result in found]

    def _part(self, name: str) -> Path:
        folder = self.settings.output / "evaluation"
        return folder / f"{name}.parquet"


def _chosen(settings: Config, folder: RunFolder) -> list[int]:
    """Return the base, the checkpoints that the configuration names, and the final one, which may be where the monitor
    stopped.

    Raises:
        RunError: one of them is not there.
    """
    published, wanted = folder.published(), settings.evaluation.checkpoints
    last = folder.final(settings.iterations)
    if last not in published:
        raise RunError(f"The run {folder.path} is not finished: continue it with `rostrum train resume={folder.path}`.")
    named = wanted if isinstance(wanted, list) else published if wanted == "all" else []
    middle = [iteration for iteration in named if iteration <= last]
    missing = [iteration for iteration in middle if iteration not in published]
    if missing:
        raise RunError(f"The run {folder.path} kept no checkpoint of iteration {missing[0]}: choose among {published}.")
    return sorted({0, *middle, last})


def _of_reward(rows: pd.DataFrame) -> pd.DataFrame:
    return rows[rows["judge_role"] == verdict_table.REWARD]


def _prefixes(transcript: Transcript) -> Iterator[Transcript]:
    """Yield the transcript before any speech, after the first, and so on."""
    for count in range(len(transcript.speeches) + 1):
        yield replace(transcript, speeches=transcript.speeches[:count])


class _Verdict(Open):
    valid: bool
    given: float | None
    swapped: float | None


class _Trained(Open, total=False):
    """What is counted on in what is stored with a debate of training."""

    iteration: Required[int]
    verdict: _Verdict


def _training_accuracy(settings: Config) -> None:
    """Join the training verdicts with the answer key, now that training is over: judge accuracy by iteration."""
    key = load_questions(settings.questions).answer_key("train")
    right: dict[int, list[float]] = {}
    path = settings.output / "transcripts.jsonl"
    for number, (record, stored) in enumerate(transcripts.read_with_extra(path), 1):
        if isinstance(record, Failure):
            continue
        extra = valid(stored, _Trained, f"{path}, line {number},")
        verdict = extra.get("verdict")
        if verdict is None or not verdict["valid"]:
            continue
        of_a = [p for p in (verdict["given"], verdict["swapped"]) if p is not None]
        p = sum(of_a) / len(of_a)
        right.setdefault(extra["iteration"], []).append(favours(p if correct_side(record, key) is Side.A else 1 - p))
    found = [
        TrainingAccuracy(iteration=iteration, judge_accuracy=sum(values) / len(values), n=len(values))
        for iteration, values in sorted(right.items())
    ]
    lines = "".join(json.dumps(line.model_dump()) + "\n" for line in found)
    write_atomically(settings.output / "training_accuracy.jsonl", lines)
