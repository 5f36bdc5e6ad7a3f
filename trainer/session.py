"""What PPO and DPO runs share: folder, workers, judge, records, and the collection of one iteration."""

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

from rostrum.envs import transcripts
from rostrum.envs.questions.base import load_questions
from rostrum.envs.types import Question
from rostrum.rewards.trial import shown
from rostrum.rewards.types import Usage
from rostrum.trainer import cost, rehearsal, setup
from rostrum.trainer.config import Config
from rostrum.trainer.config.set_aside import set_aside
from rostrum.trainer.engines import sleeping
from rostrum.trainer.evaluation.monitor import Monitor
from rostrum.trainer.learners import limits
from rostrum.trainer.machine import Machine
from rostrum.trainer.opponents.lineup import opponents
from rostrum.trainer.progress import activity, per_second, say
from rostrum.trainer.rollouts.ahead import Ahead
from rostrum.trainer.rollouts.collect import collect
from rostrum.trainer.rollouts.longest import longest
from rostrum.trainer.rollouts.measure import by_policy, figures_of, measure
from rostrum.trainer.rollouts.schedule import derive, matchups_of, questions_of
from rostrum.trainer.rollouts.unjudged import check_judged
from rostrum.trainer.store.run_folder import RunFolder, append_line
from rostrum.trainer.store.tracking import Tracker
from rostrum.trainer.stored_judge import stored_judge
from rostrum.trainer.types import Batch, Judged, Matchup, Policy
from rostrum.trainer.weights.logprobs import Scores
from rostrum.trainer.weights.parity import check_adapter, rows_of
from rostrum.trainer.weights.publish import check_parity

IN_TURNS = (
    "algorithm.staleness=1: playing and learning take turns here, which gains nothing and gives the same results; they "
    "go on at the same time where cluster.rollout_workers play and cluster.judge_workers, or an endpoint, judge"
)
CHARACTERS = 4
"""Of a token, about, where a window says in tokens how much of a passage is read."""


@dataclass(frozen=True, slots=True)
class Played:
    """An iteration's debates, and what the judge was asked about them."""

    batch: Batch
    usage: Usage


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
        if settings.algorithm.staleness and not settings.plays_apart:
            say(IN_TURNS)
        self._tracker = Tracker(settings)
        self.monitor = Monitor(settings, watched, self.judge, self.workers, self._tracker) if watched else None
        self._measured: dict[str, Any] = {}
        self._gaps: dict[str, dict[str, float]] = {}
        self._ahead = Ahead[Played]()
        self._judged_before: Collection[str] | None = None
        """The debates that were judged before those of the batch that is played ahead; None if there is none."""
        self._gpus = cost.gpus_of(settings, Machine())

    def check_served(self, policies: Mapping[str, Policy], learners: Mapping[str, Scores]) -> None:
        """Check that the engines serve what was published; `learners` has what each policy's learner makes of its
        probe.

        Raises:
            ParityError: an engine serves something else.
        """
        self._gaps = {name: self._parity(learners[name], policy) for name, policy in policies.items()}

    def staging(self, policies: Mapping[str, Policy]) -> Callable[[], rehearsal.Staged | None]:
        """Return what plays and judges the largest batches of an iteration and keeps nothing of it (`stage`)."""
        config, debater, every = self.settings, self.settings.debater, self.questions
        characters = CHARACTERS * debater.window.tokens if debater.window is not None else None
        read = characters if config.protocol.debaters_see_passage else 0
        chosen = longest(every, config.algorithm.questions_per_iteration, read)
        return partial(
            rehearsal.stage,
            config,
            {**policies, **{policy.name: policy for policy in self.opponents.policies(1)}},
            self._matchups(1, chosen),
            matchups_of(every[:: -(-len(every) // rehearsal.TYPICAL)], config.protocol, 1),
            self.workers,
            self.judge.unstored,
        )

    def play_ahead(self, iteration: int, policies: Mapping[str, Policy]) -> None:
        """Begin to play and judge an iteration's debates with these policies, in a thread, until `playing` takes them.

        Nothing else may use the engines and the judge before `wait` has come back.
        """
        self._judged_before = self.judge.judged
        self._ahead.begin(iteration, self._playing(iteration, policies))

    def wait(self) -> None:
        """Wait until what is played ahead has been played."""
        self._ahead.wait()

    def playing(self, iteration: int, policies: Mapping[str, Policy]) -> Callable[[], Played]:
        """Return what gives an iteration's debates: it plays them by these policies, or waits for those that were begun
        ahead, by the same."""
        if not self._measured:
            say(setup.rows_in_words(self.settings))
        return self._ahead.take(iteration, self._playing(iteration, policies))

    def keep(self, iteration: int, played: Played) -> Batch:
        """Return an iteration's debates; keep the transcripts and what is measured of them.

        Raises:
            LimitError: there is nothing to learn from these debates.
        """
        batch, usage, self._judged_before = played.batch, played.usage, None
        self._store(batch)
        check_judged(f"iteration {iteration}", [judged.verdict for judged in batch.judged], batch.failures)
        spoiled = (judged.verdict.unreadable for judged in batch.judged if not judged.verdict.valid)
        if text := next(filter(None, spoiled), ""):
            say(f"iteration {iteration}: a text of {self.judge.name} that could not be read: {shown(text)!r}")
        measured = {**measure(batch), **self.opponents.learn(batch)}
        self._measured = {**measured, **_paid(usage), **by_policy(self._gaps)}
        self._tokens = cost.tokens_of(batch, usage)
        self._seconds = {"playing": batch.playing_seconds, "judging": batch.judging_seconds}
        for told in limits.check_speeches(measured, self.settings):
            say(told)
        sleeping.all_sleep()
        return batch

    def _playing(self, iteration: int, policies: Mapping[str, Policy]) -> Callable[[], Played]:
        """Return what plays and judges an iteration's debates. Who meets whom is settled here and now."""
        count, seed = self.settings.algorithm.questions_per_iteration, self.settings.seed
        return partial(
            self._play,
            iteration,
            self._matchups(iteration, questions_of(self.questions, iteration, count, derive(seed, "questions"))),
            dict(policies),
            self.opponents.policies(iteration),
        )

    def _play(
        self, iteration: int, matchups: list[Matchup], policies: Mapping[str, Policy], opponents: Sequence[Policy]
    ) -> Played:
        """Play and judge. It changes nothing here but what engines and judge remember, and writes nothing but the
        verdicts: it may be done ahead, and again."""
        before = self.judge.usage
        title = f"iteration {iteration}/{self.settings.iterations} playing"
        with activity(title, sum(matchup.branches for matchup in matchups), "debates", after=0) as bar:

            def tell(done: int, approval: float) -> None:
                self._ahead.check_wanted()
                bar.advance(done, f"approval of side A {approval:.2f}")

            batch = collect(
                iteration,
                matchups,
                policies,
                self.workers,
                self.judge,
                self.settings.reward,
                self.settings.cluster.shard_size,
                derive(self.settings.seed, "play", iteration),
                tell,
                opponents,
                self.settings.waits_in_thread,
            )
        return Played(batch, self.judge.usage - before)

    def _matchups(self, iteration: int, questions: Sequence[Question]) -> list[Matchup]:
        config, algorithm, seed = self.settings, self.settings.algorithm, self.settings.seed
        matchups = matchups_of(
            questions,
            config.protocol,
            algorithm.repeats,
            algorithm.siblings,
            len(config.protocol.order()),
            derive(seed, "branch", iteration),
        )
        return self.opponents.line_up(iteration, matchups)

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
        self.judge.clear(self._judged_before)

    def close(self) -> None:
        """Drop the workers, the judge's engine and the tracker."""
        self._ahead.abandon()
        self.workers.close()
        self._ahead.close()
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
