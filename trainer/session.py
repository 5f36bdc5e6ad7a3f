"""What PPO and DPO runs share: folder, workers, judge, records, and the collection of one iteration."""

from collections.abc import Mapping, Sequence
from typing import Any

from rostrum.envs import transcripts
from rostrum.envs.questions.base import load_questions
from rostrum.rewards.trial import shown
from rostrum.rewards.types import Usage
from rostrum.trainer import cost, setup
from rostrum.trainer.config import Config
from rostrum.trainer.config.set_aside import set_aside
from rostrum.trainer.engines import sleeping
from rostrum.trainer.evaluation.monitor import Monitor
from rostrum.trainer.learners import limits
from rostrum.trainer.machine import Machine
from rostrum.trainer.opponents.lineup import opponents
from rostrum.trainer.progress import activity, per_second, say
from rostrum.trainer.rollouts.collect import collect
from rostrum.trainer.rollouts.measure import by_policy, figures_of, measure
from rostrum.trainer.rollouts.schedule import derive
from rostrum.trainer.rollouts.unjudged import check_judged
from rostrum.trainer.store.run_folder import RunFolder, append_line
from rostrum.trainer.store.tracking import Tracker
from rostrum.trainer.stored_judge import stored_judge
from rostrum.trainer.types import Batch, Judged, Matchup, Policy
from rostrum.trainer.weights.logprobs import Scores
from rostrum.trainer.weights.parity import check_adapter, rows_of
from rostrum.trainer.weights.publish import check_parity


class Session:
    """The part of a run that lives in its main process: everything but the learner."""

    def __init__(self, settings: Config) -> None:
        self.settings, self.folder = settings, RunFolder(settings.output)
        every = load_questions(settings.questions).questions("train")
        self.questions, watched = set_aside(every, settings.monitor.questions, settings.monitor.level)
        self.judge = stored_judge(settings.judge, settings, self.folder.judging / "training.jsonl")
        self.workers, self.opponents = setup.rollout_workers(settings), opponents(settings)
        self.send = setup.sender(settings, self.workers)
        with activity("sampling the tokens on which engine and learner are compared"):
            self.probe = {name: rows_of(settings.of(name)) for name in settings.policies}
        """Rows of tokens on which each policy's learner and engines are compared."""
        for name in settings.policies:
            if settings.of(name).debater.lora is not None:
                with activity("checking that engines serve an adapter"):
                    check_adapter(settings.of(name), self.workers, self.probe[name], name)
        self._tracker = Tracker(settings)
        self.monitor = Monitor(settings, watched, self.judge, self.workers, self._tracker) if watched else None
        self._measured: dict[str, Any] = {}
        self._gpus = cost.gpus_of(settings, Machine())

    def collect(
        self, iteration: int, matchups: list[Matchup], policies: Mapping[str, Policy], learners: Mapping[str, Scores]
    ) -> Batch:
        """Check that the engines serve what was published, then play, judge and reward; keep the transcripts.

        `learners` has what each policy's learner makes of its probe.

        Raises:
            LimitError: there is nothing to learn from these debates.
        """
        gaps = {name: self._parity(learners[name], policy) for name, policy in policies.items()}
        if not self._measured:
            say(setup.rows_in_words(self.settings))
        before = self.judge.usage
        title = f"iteration {iteration}/{self.settings.iterations} playing"
        with activity(title, sum(matchup.branches for matchup in matchups), "debates", after=0) as bar:
            batch = collect(
                iteration,
                matchups,
                policies,
                self.workers,
                self.judge,
                self.settings.reward,
                self.settings.cluster.shard_size,
                derive(self.settings.seed, "play", iteration),
                lambda done, approval: bar.advance(done, f"approval of side A {approval:.2f}"),
                self.opponents.policies(iteration),
            )
        self._store(batch)
        check_judged(f"iteration {iteration}", [judged.verdict for judged in batch.judged], batch.failures)
        spoiled = (judged.verdict.unreadable for judged in batch.judged if not judged.verdict.valid)
        if text := next(filter(None, spoiled), ""):
            say(f"iteration {iteration}: a text of {self.judge.name} that could not be read: {shown(text)!r}")
        measured = {**measure(batch), **self.opponents.learn(batch)}
        usage = self.judge.usage - before
        self._measured = {**measured, **_paid(usage), **by_policy(gaps)}
        self._tokens = cost.tokens_of(batch, usage)
        self._seconds = {"playing": batch.seconds - batch.judging_seconds, "judging": batch.judging_seconds}
        for told in limits.check_speeches(measured, self.settings):
            say(told)
        sleeping.all_sleep()
        return batch

    def _parity(self, learner: Scores, policy: Policy) -> dict[str, float]:
        gap = check_parity(learner, self.probe[policy.name], self.workers, policy, self.settings.parity_tolerance)
        return {"parity": gap.relative, "parity_mean": gap.mean}

    def look(self, policies: Mapping[str, Policy]) -> bool:
        """Have the monitor look at published policies; return whether it ends the training."""
        return self.monitor is not None and self.monitor.look(policies)

    def record(self, learned: Mapping[str, Mapping[str, float]], seconds: Mapping[str, float]) -> None:
        """Close the iteration: one line of metrics, from the debates, from each policy's learner, and from the seconds
        that the parts of the iteration took.

        Raises:
            LimitError: a policy has gone too far from the reference.
        """
        tflops = sum(of.get("update_tflops", 0.0) for of in learned.values())
        machine = cost.figures({**seconds, **self._seconds}, self._tokens, self._gpus, tflops)
        row = {**self._measured, **by_policy(learned), **machine}
        append_line(self.folder.metrics, row)
        self._tracker.log(row)
        say(_line(row, self.settings.iterations, self.settings.policies))
        limits.check_learned(row, self.settings)

    def checkpointed(self) -> None:
        """Remove the verdicts on debates that are not played again: the run goes on after them."""
        self.judge.clear()

    def close(self) -> None:
        """Drop the workers, the judge's engine and the tracker."""
        self.workers.close()
        del self.judge, self.monitor
        self._tracker.close()

    def _store(self, batch: Batch) -> None:
        records = [judged.rollout.transcript for judged in batch.judged]
        extra: list[dict[str, Any]] = [
            {
                "iteration": batch.iteration,
                "verdict": {
                    "judge": j.verdict.judge,
                    "given": j.verdict.given,
                    "swapped": j.verdict.swapped,
                    "valid": j.verdict.valid,
                    "reason": j.verdict.reason,
                    **_spoiled(j),
                },
                "rewards": {name: reward.total for name, reward in (j.rewards or {}).items()},
            }
            for j in batch.judged
        ]
        failed = [{"iteration": batch.iteration}] * len(batch.failures)
        transcripts.write(self.folder.transcripts, [*records, *batch.failures], append=True, extra=[*extra, *failed])


def _spoiled(judged: Judged) -> dict[str, Any]:
    """Return what is stored of an INVALID verdict besides, and of a text that could not be read."""
    verdict, found = judged.verdict, dict[str, Any]()
    if not verdict.valid:
        found["cause"] = verdict.cause
    if not verdict.valid and judged.rewards is not None:
        found["zero_sum"] = False  # each speaker is paid as one who has lost
    return found | ({"unreadable": verdict.unreadable} if verdict.unreadable else {})


def _paid(usage: Usage) -> dict[str, float | int]:
    """Return what an endpoint was asked and what that has cost; nothing where no endpoint was asked."""
    if not usage.dollars and not usage.cached:
        return {}
    return {
        "judge_requests": usage.requests,
        "judge_cached": usage.cached,
        "judge_dollars": usage.dollars,
        "judge_prompt_tokens": usage.prompt_tokens,
        "judge_new_tokens": usage.new_tokens,
    }


_TOLD = (
    ("reward", "reward", "+.2f"),
    ("win_rate", "win rate", ".0%"),
    ("kl", "KL", ".3f"),
    ("entropy", "entropy", ".2f"),
    ("verified_quotes", "verified", ".0%"),
)
"""What the log tells of a policy in an iteration: names in metrics.jsonl, labels, formats."""


def _line(row: Mapping[str, Any], iterations: int, policies: Sequence[str]) -> str:
    parts = [f"iteration {row['iteration']}/{iterations}"]
    for policy in policies:
        own = figures_of(row, policy, policies)
        parts += [f"{policy}:"] if len(policies) > 1 else []
        parts += [f"{label} {own[key]:{form}}" for key, label, form in _TOLD if key in own]
    parts.append(f"debates/s {per_second(row['debates_per_second'])}")
    troubles = [f"{row[key]} {key}" for key in ("failed", "invalid", "spoiled") if row.get(key)]
    return "  ".join(parts + troubles)
