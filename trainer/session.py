"""What PPO and DPO runs share: folder, rollouts, judge, records, and the collection of one iteration."""

from typing import Any

from rostrum.envs import transcripts
from rostrum.envs.questions.base import load_questions
from rostrum.rewards.trial import shown
from rostrum.rewards.types import Usage
from rostrum.trainer import setup
from rostrum.trainer.config import Config
from rostrum.trainer.config.set_aside import set_aside
from rostrum.trainer.engines import resting
from rostrum.trainer.evaluation.monitor import Monitor
from rostrum.trainer.learners import limits
from rostrum.trainer.models.loading import load_tokenizer
from rostrum.trainer.opponents.lineup import opponents
from rostrum.trainer.progress import debates_bar, say
from rostrum.trainer.rollouts.collect import collect
from rostrum.trainer.rollouts.measure import measure
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
        self.tokenizer = load_tokenizer(settings.debater.model)
        every = load_questions(settings.questions).questions("train")
        self.questions, watched = set_aside(every, settings.monitor.questions, settings.monitor.level)
        self.judge = stored_judge(settings.judge, settings, self.folder.judging / "training.jsonl")
        self.rollouts, self.opponents = setup.rollouts(settings), opponents(settings)
        self.send = setup.sender(settings, self.rollouts)
        self.probe = rows_of(settings)
        if settings.debater.lora is not None:
            check_adapter(settings, self.rollouts, self.probe)
        self._tracker = Tracker(settings)
        self.monitor = Monitor(settings, watched, self.judge, self.rollouts, self._tracker) if watched else None
        self._measured: dict[str, Any] = {}

    def collect(self, iteration: int, matches: list[Matchup], policy: Policy, learner: Scores) -> Batch:
        """Check that the engines serve what was published, then play, judge and reward; keep the transcripts.

        Raises:
            LimitError: there is nothing to learn from these debates.
        """
        parity = check_parity(learner, self.probe, self.rollouts, policy, self.settings.parity_tolerance)
        if not self._measured:
            say(setup.rows_in_words(self.settings))
        before = self.judge.usage
        title = f"iteration {iteration}/{self.settings.iterations} playing"
        with debates_bar(title, sum(match.branches for match in matches)) as bar:
            experience = collect(
                iteration,
                matches,
                policy,
                self.rollouts,
                self.judge,
                self.settings.reward,
                self.settings.cluster.shard_size,
                derive(self.settings.seed, "play", iteration),
                lambda done, approval: bar.advance(done, f"approval of side A {approval:.2f}"),
                self.opponents.policies(iteration),
            )
        self._store(experience)
        check_judged(f"iteration {iteration}", [judged.verdict for judged in experience.judged], experience.failures)
        spoiled = (judged.verdict.unreadable for judged in experience.judged if not judged.verdict.valid)
        if text := next(filter(None, spoiled), ""):
            say(f"iteration {iteration}: a text of {self.judge.name} that could not be read: {shown(text)!r}")
        measured = {**measure(experience), **self.opponents.learn(experience)}
        gap = {"parity": parity.relative, "parity_mean": parity.mean}
        self._measured = {**measured, **_paid(self.judge.usage - before), **gap}
        if (told := limits.check_speeches(measured, self.settings)) is not None:
            say(told)
        resting.rest()
        return experience

    def look(self, policy: Policy) -> bool:
        """Have the monitor look at a published policy; return whether it ends the training."""
        return self.monitor is not None and self.monitor.look(policy)

    def record(self, learned: dict[str, Any]) -> None:
        """Close the iteration: one line of metrics, from the debates and from the learner.

        Raises:
            LimitError: the policy has gone too far from the reference.
        """
        row = {**self._measured, **learned}
        append_line(self.folder.metrics, row)
        self._tracker.log(row)
        say(_line(row, self.settings.iterations))
        limits.check_learned(row, self.settings)

    def checkpointed(self) -> None:
        """Remove the verdicts on debates that are not played again: the run goes on after them."""
        self.judge.clear()

    def close(self) -> None:
        """Drop the workers, the judge's engine and the tracker."""
        self.rollouts.close()
        del self.judge, self.monitor
        self._tracker.close()

    def _store(self, experience: Batch) -> None:
        records = [judged.episode.transcript for judged in experience.judged]
        extra: list[dict[str, Any]] = [
            {
                "iteration": experience.iteration,
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
            for j in experience.judged
        ]
        failed = [{"iteration": experience.iteration}] * len(experience.failures)
        transcripts.write(
            self.folder.transcripts, [*records, *experience.failures], append=True, extra=[*extra, *failed]
        )


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


def _line(row: dict[str, Any], iterations: int) -> str:
    parts = [f"iteration {row['iteration']}/{iterations}"]
    for key, label, form in (
        ("reward", "reward", "+.2f"),
        ("win_rate", "win rate", ".0%"),
        ("kl", "KL", ".3f"),
        ("entropy", "entropy", ".2f"),
        ("verified_quotes", "verified", ".0%"),
        ("debates_per_second", "debates/s", ".0f"),
    ):
        if key in row:
            parts.append(f"{label} {row[key]:{form}}")
    troubles = [f"{row[key]} {key}" for key in ("failed", "invalid", "spoiled") if row.get(key)]
    return "  ".join(parts + troubles)
