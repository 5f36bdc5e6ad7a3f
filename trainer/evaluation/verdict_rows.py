"""From debates to rows of the table of verdicts (`trainer.evaluation.verdict_table`): every judge reads every debate.

Given an `AnswerKey`, for evaluations alone.
"""

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from rostrum.envs.questions.splits import digest
from rostrum.envs.text.behaviour import behaviour
from rostrum.envs.types import AnswerKey, Failure, Protocol, Question, Transcript, correct_side
from rostrum.rewards.types import Judge, Verdict
from rostrum.trainer.config import Config
from rostrum.trainer.evaluation import verdict_table
from rostrum.trainer.evaluation.verdict_table import CHECKPOINT
from rostrum.trainer.policies import belongs
from rostrum.trainer.rollouts.arena import not_played, verdicts_on
from rostrum.trainer.rollouts.decoding.turns import budget
from rostrum.trainer.stored_judge import stored_judge


@dataclass(frozen=True, slots=True)
class Member:
    """A judge of an evaluation."""

    role: str
    judge: Judge
    reads: frozenset[str]
    """Ids of the questions whose debates it reads."""
    probe: bool
    """Whether it is asked more than for a verdict on each of them."""


class JudgePool:
    """The judges of an evaluation, the one that gives the reward first, and the answers that they do not know."""

    def __init__(self, settings: Config, key: AnswerKey, kept: Path) -> None:
        """Make the judges; their verdicts are kept in the file `kept` as they come."""
        self.key = key
        self.unreadable = ""
        """A text of a judge's that could not be read."""
        chosen = [
            (verdict_table.REWARD, settings.judge),
            *((verdict_table.HELD_OUT, other) for other in settings.heldout_judges),
        ]
        self.members = [
            Member(role, stored_judge(judge, settings, kept), drawn(key, judge.sample, settings.seed), judge.probe)
            for role, judge in chosen
        ]

    def ask(self, shown: Sequence[Transcript]) -> Iterator[tuple[str, list[tuple[int, Verdict]]]]:
        """Yield each judge's role, and its verdicts with the places of the debates that it reads."""
        for member in self.members:
            places = [place for place, transcript in enumerate(shown) if transcript.question.id in member.reads]
            given = verdicts_on(member.judge, [shown[place] for place in places])
            self.unreadable = self.unreadable or next((v.unreadable for v in given if v.unreadable), "")
            yield member.role, list(zip(places, given, strict=True))

    def rows(self, about: Mapping[str, Any], played: Sequence[Transcript]) -> list[dict[str, Any]]:
        """Return one row for each judge and debate that it reads, the reward judge's first."""
        return [
            {**row(played[place], verdict, self.key), **about, "judge_role": role}
            for role, given in self.ask(played)
            for place, verdict in given
        ]

    def failed(
        self, about: Mapping[str, Any], failures: Sequence[Failure], questions: Sequence[Question], protocol: Protocol
    ) -> list[dict[str, Any]]:
        """Return rows for a debate that could not be played: it counts as an INVALID verdict of every judge, left out
        and counted."""
        by_id = {question.id: question for question in questions}
        rows = []
        for failure in failures:
            empty = unplayed(failure, by_id[failure.question_id], protocol)
            for member in self.members:
                if failure.question_id not in member.reads:
                    continue
                verdict = not_played(member.judge, failure)
                rows.append({**row(empty, verdict, self.key), **about, "judge_role": member.role})
        return rows

    def references(self, questions: Sequence[Question]) -> list[dict[str, Any]]:
        """Return the verdicts of the judges without debaters: naive (the question alone) and expert (question and
        passage)."""
        about = {"arm": "", "checkpoint": verdict_table.BASE, "matchup": verdict_table.NONE}
        rows = []
        for name in ("naive", "expert"):
            protocol = Protocol(name, {}, rounds=0, judge_sees_passage=name == "expert")
            silent = [Transcript(q, protocol, q.answers, swapped_seats=False) for q in questions]
            rows += self.rows(about, silent)
        return rows


def drawn(key: AnswerKey, sample: int | None, seed: int) -> frozenset[str]:
    """Return the ids of the questions that a judge reads debates about: `sample` of them, or all."""
    in_turn = sorted(key.correct, key=lambda question: digest(f"sample:{seed}:{question}"))
    return frozenset(in_turn[:sample])


def row(transcript: Transcript, verdict: Verdict, key: AnswerKey) -> dict[str, Any]:
    """Return what the table holds of one verdict, but for what the debate was played for."""
    own = [speech for speech in transcript.speeches if belongs(speech.policy, CHECKPOINT)]
    return {
        "iteration": 0,
        "protocol": transcript.protocol.name,
        "checkpoint_seats": "".join(sorted({speech.side.value for speech in own})),
        **of_verdict(transcript, verdict, key),
        **asdict(behaviour(transcript, own)),
        **budget(transcript, CHECKPOINT),
    }


def of_verdict(transcript: Transcript, verdict: Verdict, key: AnswerKey) -> dict[str, Any]:
    """Return what any table of verdicts says of one, whoever argued."""
    given, swapped = verdict.given, verdict.swapped
    return {
        "question_id": transcript.question.id,
        "story_id": transcript.question.story_id,
        "swapped_seats": transcript.swapped_seats,
        "judge": verdict.judge,
        "p_given": math.nan if given is None else given,
        "p_swapped": math.nan if swapped is None else swapped,
        "p_mean": verdict.mean if verdict.valid else math.nan,
        "valid": verdict.valid,
        "reason": verdict.reason,
        "cause": "" if verdict.valid else verdict.cause,
        "unreadable": verdict.unreadable,
        "correct_seat": correct_side(transcript, key).value,
    }


def unplayed(failure: Failure, question: Question, protocol: Protocol) -> Transcript:
    """Return the debate that failed, before anybody has spoken."""
    answers = question.answers[::-1] if failure.swapped_seats else question.answers
    return Transcript(question, protocol, answers, failure.swapped_seats)


def checkpoint_name(iteration: int) -> str:
    """Return what the table calls the policy after that many updates."""
    return verdict_table.BASE if iteration == 0 else f"iteration-{iteration:04d}"
