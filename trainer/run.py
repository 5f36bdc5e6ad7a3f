"""A training run: everything that its loop needs, built once from the configuration, on every rank.

The first rank plays, judges and keeps the records (`Session`); all ranks learn.
"""

import gc
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, nullcontext
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, TypeVar

from accelerate import PartialState
from accelerate.utils import broadcast_object_list, set_seed

from rostrum.envs.files import replacing_folder
from rostrum.trainer import rehearsal, setup
from rostrum.trainer.config import Config, Lora
from rostrum.trainer.cost import Clock
from rostrum.trainer.learners.learner import Learner, LearnerSetup, learner_here
from rostrum.trainer.learners.remote_learner import RemoteLearner
from rostrum.trainer.models.loading import load_tokenizer
from rostrum.trainer.policies import path_of
from rostrum.trainer.progress import activity, say
from rostrum.trainer.session import Session
from rostrum.trainer.store import checkpoints
from rostrum.trainer.store.run_folder import RunFolder, prune
from rostrum.trainer.types import Policy, Trajectory

if TYPE_CHECKING:
    from rostrum.trainer.cluster.learner_groups import Group

T = TypeVar("T")


class Run:
    """What one training run is made of. All ranks call every method together."""

    def __init__(self, config: Config, groups: "Mapping[str, Group] | None" = None) -> None:
        """Build it. `groups` are the ranks of each policy where they are others than this process."""
        self.config, self.folder, self._groups = config, RunFolder(config.output), groups or {}
        self._rank, self._world = int(os.environ.get("RANK", 0)), int(os.environ.get("WORLD_SIZE", 1))
        for debater in config.debaters:
            setup.check_whole_model(debater)
        set_seed(config.seed)
        setup.join_ranks(None if self._groups else config.cluster.deepspeed)
        self._session = Session(config) if self._rank == 0 else None
        self.learners: Mapping[str, Learner] = {}
        self._clock = Clock()
        self._rehearses, self._left = False, config.iterations
        try:
            self._make_learners()
        except BaseException:
            self.close()
            raise

    def _make_learners(self) -> None:
        self._probe = self._from_first(self._session.probe if self._session is not None else {})
        learners: dict[str, Learner] = {}
        for name in self.config.policies:
            config = self.config.of(name)
            self._tell_dropout(config.debater.lora)
            made = LearnerSetup(
                config,
                load_tokenizer(config.debater.model),
                self._probe[name],
                name if self.config.learners else None,
                self._rank,
                self._world,
            )
            with activity(f"loading the learner of {config.debater.model}"):
                learners[name] = RemoteLearner(made, self._groups[name]) if self._groups else learner_here(made)
        self.learners = learners

    def _tell_dropout(self, lora: Lora | None) -> None:
        if self._session is not None and lora is not None and lora.dropout:
            say(f"debater.lora.dropout={lora.dropout:g} is left out of training: its noise would pass for learning")

    def __enter__(self) -> "Run":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Drop the workers, the judges' engines, the tracker and the learners."""
        session, self._session, self.learners = self._session, None, {}
        if session is not None:
            session.close()
        del session
        gc.collect()  # judges on Ray end with whoever uses them, and trainers and models hold each other

    def iterations(self) -> Iterator[int]:
        """Yield the iterations that are left, from where the newest whole checkpoint says.

        Raises:
            RunError: the checkpoint was damaged, or written by other ranks.
        """
        found = self._from_first(checkpoints.newest(self.folder) if self._session is not None else None)
        done = found[1]["iteration"] if found else 0
        if self._session is not None:
            self.folder.cut_back(done)
        if found is not None:
            folder, state = found
            checkpoints.check_ranks(folder, state, self._ranks, self.folder.path)
            for name, learner in self.learners.items():
                learner.load(folder / name)
            if self._session is not None:
                self._session.opponents.restore(state.get("opponents", {}))
        self._rehearses = self._from_first(rehearsal.due(self.config, resumed=found is not None))
        self._left = self.config.iterations - done
        self._clock.take()  # what came before was the start, and no iteration
        yield from range(done + 1, self.config.iterations + 1)

    def publish(self, version: int) -> Mapping[str, Policy]:
        """Publish the weights after `version` iterations, all policies at once, and have the engines read them.

        Raises:
            FiniteError: weights are NaN or infinite.
        """
        folder, names = self.folder.policy(version), self.config.policies
        send = self._session.send if self._session is not None else None
        together = replacing_folder(folder) if self._session is not None and len(names) > 1 else nullcontext(folder)
        with together as place:
            for name, learner in self.learners.items():
                tokenizer = load_tokenizer(self.config.of(name).debater.model)
                with activity("publishing the weights"), self._clock.part("publishing"):
                    learner.publish(tokenizer, path_of(place, name, names), version, send, name)
        PartialState().wait_for_everyone()
        return self._published(version)

    def stopped(self, policies: Mapping[str, Policy]) -> bool:
        """Return whether the monitor, if it is its turn to look at these policies, ends the training with them."""
        config, monitor, version = self.config, self.config.monitor, next(iter(policies.values())).version
        due = version % (config.save_every * monitor.every) == 0 or version == config.iterations
        if not (monitor.questions and due):
            return False
        return self._from_first(self._session is not None and self._session.look(policies))

    def rehearse(self, policies: Mapping[str, Policy]) -> None:
        """Play, judge and learn from the largest batches and keep nothing of it, if that is due and has not been done;
        say and write down what the run will take.

        Raises:
            RehearsalError: it does not fit into the memory.
        """
        if not self._rehearses:
            return
        self._rehearses = False
        with self._clock.stopped(), rehearsal.without_a_trace():
            staged = self._from_first(self._session.staging(policies)() if self._session is not None else None)
            if staged is None:
                return
            learned = rehearsal.learn(self.config, self.learners, staged.rows, policies)
            if self._session is not None:
                publishing = self._clock.so_far("publishing")
                estimate = rehearsal.estimate(self.config, self._left, staged, learned, publishing)
                estimate.check(self.config)
                estimate.write(self.folder.estimate)
                say(str(estimate))

    def collect(self, iteration: int, policies: Mapping[str, Policy]) -> Mapping[str, list[Trajectory]]:
        """Return the rows of an iteration's debates that each policy is to learn from, once the engines were seen to
        serve `policies`.

        These are the newest. With algorithm.staleness=1 the debates are those of the policies one update before them,
        whether `playing` has had them played ahead or they are played now.

        Raises:
            ParityError: an engine serves something else than a learner has.
            LimitError: there is nothing to learn from these debates.
        """
        scores = {name: learner.logprobs(self._probe[name]) for name, learner in self.learners.items()}
        rows: dict[str, list[Trajectory]] = {}
        if self._session is not None:
            self._session.check_served(policies, scores)
            play = self._session.playing(iteration, self._players(iteration))
            batch = self._session.keep(iteration, play())
            rows = {name: batch.trajectories(name) for name in policies}
            prune(self.folder, [*self._kept(), *self._resumed_with()])
        return self._from_first(rows)

    @contextmanager
    def playing(self, iteration: int) -> Iterator[None]:
        """Play the debates of an iteration meanwhile, where these need nothing that is done meanwhile (staleness=1) and
        other processes play and judge. Elsewhere `collect` has them played, by the same policies."""
        ahead = self.config.algorithm.staleness and self.config.plays_apart and iteration <= self.config.iterations
        if self._session is None or not ahead:
            yield
            return
        with activity("learning, while the next debates are played"):
            self._session.play_ahead(iteration, self._players(iteration))
            yield
            with self._clock.part("waiting"):
                self._session.wait()

    def learn(
        self, rows: Mapping[str, list[Trajectory]], policies: Mapping[str, Policy]
    ) -> Mapping[str, Mapping[str, float]]:
        """Have each policy learn from its rows, at the same time where each has ranks of its own; return what is
        recorded of it."""
        with self._clock.part("learning"):
            begun = {name: learner.begin(rows[name], policies[name]) for name, learner in self.learners.items()}
            return {name: ended() for name, ended in begun.items()}

    def record(self, learned: Mapping[str, Mapping[str, float]]) -> None:
        """Write the iteration's line of metrics, from what each policy's learner tells.

        Raises:
            LimitError: a policy has gone too far from the reference.
        """
        if self._session is not None:
            self._session.record(learned, self._clock.take())

    def checkpoint(self, iteration: int) -> None:
        """Save what the run needs to go on from here, if it is this iteration's turn."""
        if iteration % self.config.save_every and iteration != self.config.iterations:
            return
        folder = checkpoints.folder_of(self.folder, iteration)
        for name, learner in self.learners.items():
            (folder / name).mkdir(parents=True, exist_ok=True)
            learner.save(folder / name)
        PartialState().wait_for_everyone()
        if self._session is not None:
            state = self._session.opponents.state
            checkpoints.seal(
                self.folder,
                iteration,
                {
                    "policy_version": iteration,
                    "ranks": self._ranks,
                    "question_cursor": iteration * self.config.algorithm.questions_per_iteration,
                    **({"opponents": state} if state else {}),
                },
            )
            self._session.checkpointed()

    def finish(self, iteration: int) -> Path:
        """Remove the published weights that nobody needs any more; return the folder of this iteration's policies."""
        if self._session is not None:
            prune(self.folder, self._kept())
        return self.folder.policy(iteration)

    @property
    def _ranks(self) -> dict[str, Any]:
        world = self.config.cluster.learners if self._groups else self._world
        return {"world": world, "deepspeed": self.config.cluster.deepspeed}

    def _from_first(self, value: T) -> T:
        """Return what the first rank has."""
        if self._world == 1:
            return value
        held: list[Any] = [value if self._rank == 0 else None]
        broadcast_object_list(held)
        first: T = held[0]
        return first

    def _published(self, version: int) -> Mapping[str, Policy]:
        folder, names = self.folder.policy(version), self.config.policies
        return {name: Policy(name, version, str(path_of(folder, name, names))) for name in names}

    def _players(self, iteration: int) -> Mapping[str, Policy]:
        """Return the policies that play the debates of an iteration."""
        return self._published(self.config.algorithm.version_playing(iteration))

    def _resumed_with(self) -> list[int]:
        """Return who plays first where a checkpoint is gone on from."""
        written = [checkpoints.iteration_of(path) for path in self.folder.checkpoints()]
        return [self.config.algorithm.version_playing(iteration + 1) for iteration in written]

    def _kept(self) -> list[int]:
        """Return the iterations whose published weights stay."""
        chosen, last = self.config.evaluation.checkpoints, self.config.iterations
        extra = chosen if isinstance(chosen, list) else []
        league = self.config.opponent.kept(last)
        return [0, *range(0, last + 1, self.config.save_every), *extra, *league, last]
