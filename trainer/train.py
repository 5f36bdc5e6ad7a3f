"""Training, from a validated configuration to published policies: PPO pulled by TRL's trainer, DPO pushed from here.

Rank 0 plays, judges and keeps the records; all ranks learn. Both algorithms go through `Session.collect`.
"""

import hashlib
import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from accelerate import Accelerator
from accelerate.utils import broadcast_object_list, set_seed
from datasets import Dataset
from safetensors.torch import load_file, save_file
from transformers import PrinterCallback, TrainerCallback

from envs.files import check_no_links, guarded
from trainer import dpo, finite, models, setup
from trainer.config import Config, Dpo, PolicyGradient
from trainer.forward import check_deterministic, make_comparable
from trainer.model_folders import follow_umask
from trainer.ppo import GROUP, DebatePpo, trl_config
from trainer.progress import say
from trainer.publish import VALUE_HEAD, Gap, Scores, check_sampled, learner_logprobs, publish
from trainer.reading import valid
from trainer.run_folder import STATE, PpoState, RunError, RunFolder, prune, write_atomically
from trainer.schedule import derive, matches_of, questions_of
from trainer.session import Session
from trainer.trained import check_trainable
from trainer.types import Match, Policy, Row, Trajectory
from trainer.watch import Stopped

LEARNED = {
    "loss": "loss", "kl": "kl", "clip_ratio/region_mean": "clip_fraction", "grad_norm": "grad_norm",
    "value_loss": "value_loss", "engine_gap_mean": "engine_gap_mean", "engine_gap_max": "engine_gap_max",
    "rewards/margins": "margin", "rewards/accuracies": "pair_accuracy",
}  # fmt: skip
"""What is kept of TRL's logs, and under which name."""


def train(settings: Config) -> Path:
    """Trains, or goes on where a run in the same folder was cut off; returns the final policy's folder.

    The final policy is that of the last iteration, or the one that the watch stopped at.
    """
    folder = RunFolder(settings.output)
    if (stopped := folder.stopped()) is not None:
        return folder.policy(stopped)
    with guarded(settings.output):
        check_no_links(folder.trainer)  # checkpoints are transformers' to write
        run = _PpoRun(settings) if isinstance(settings.algorithm, PolicyGradient) else _DpoRun(settings)
        try:
            final = _until_stopped(run)
            if run.session is not None:
                prune(run.folder, run.kept())
            return final
        finally:
            run.close()


def _until_stopped(run: "_PpoRun | _DpoRun") -> Path:
    try:
        return run.train()
    except Stopped as stopped:  # raised on every rank, from inside TRL's loop: the training ends at a checkpoint
        return run.folder.policy(stopped.iteration)


class _Run:
    """What both algorithms need on every rank."""

    def __init__(self, settings: Config) -> None:
        self.settings, self.folder = settings, RunFolder(settings.output)
        self.rank, self.world = int(os.environ.get("RANK", 0)), int(os.environ.get("WORLD_SIZE", 1))
        setup.check_whole_model(settings.debater)
        set_seed(settings.seed)
        setup.join_ranks(settings.cluster.deepspeed)
        self.session = Session(settings) if self.rank == 0 else None
        lora = settings.debater.lora
        if self.session is not None and lora is not None and lora.dropout:
            say(f"debater.lora.dropout={lora.dropout:g} is left out of training: its noise would pass for learning")
        self.tokenizer = models.load_tokenizer(settings.debater.model)
        probe = [self.session.probe if self.session is not None else None]
        if self.world > 1:
            broadcast_object_list(probe)
        self.probe = probe[0]

    def close(self) -> None:
        if self.session is not None:
            self.session.close()

    def arguments(self) -> dict[str, Any]:
        """What every TRL configuration of this run is given."""
        half = self.settings.debater.dtype == "bfloat16"
        return {
            "output_dir": str(self.folder.trainer), "seed": self.settings.seed, "bf16": half, "report_to": "none",
            "ddp_timeout": int(setup.PATIENCE.total_seconds()),
            "disable_tqdm": True, "use_cpu": models.default_device() == "cpu",
            "gradient_checkpointing": self.settings.debater.gradient_checkpointing,
            "ddp_find_unused_parameters": False,
            "deepspeed": setup.deepspeed_config(self.settings.cluster.deepspeed, self.settings.cluster.offload),
        }  # fmt: skip

    def publish(
        self, model: Any, accelerator: Accelerator | None, version: int
    ) -> tuple[Policy, Scores]:
        """Publishes the weights after `version` updates; with the learner's log-probabilities on the probe."""
        send = self.session.send if self.session is not None else None
        policy = publish(model, accelerator, self.tokenizer, self.folder.policy(version), version, send)
        return policy, self.scores(model)

    def scores(self, model: Any) -> Scores:
        """Return the learner's log-probabilities on the probe, in the arithmetic that it learns in."""
        return learner_logprobs(model, self.probe, autocast=self.autocast)

    @property
    def autocast(self) -> bool:
        """Return whether the learner computes in bfloat16 with weights held in float32; DeepSpeed casts the weights."""
        return self.settings.debater.dtype == "bfloat16" and self.settings.cluster.deepspeed is None

    def check_gap(self, gap: Gap) -> None:
        """Stop where the first batch was sampled from another policy than the learner's (`check_sampled`)."""
        check_sampled(gap, self.settings.parity_tolerance)

    def look(self, policy: Policy) -> None:
        """Lets the watch look at a published checkpoint whose turn it is.

        Raises:
            Stopped: the watch ends the training here; on every rank.
        """
        settings, watch = self.settings, self.settings.watch
        due = policy.version % (settings.save_every * watch.every) == 0 or policy.version == settings.iterations
        if not (watch.questions and due):
            return
        stop = [self.session is not None and self.session.watch is not None and self.session.watch.look(policy)]
        if self.world > 1:
            broadcast_object_list(stop)
        if stop[0]:
            raise Stopped(policy.version)

    def found(self, steps: int) -> tuple[Path, dict[str, Any]] | None:
        """Return the newest whole checkpoint with our state of it, of a run that takes so many steps an iteration.

        Raises:
            RunError: it is named for another step than its state tells of.
        """
        found = self.folder.checkpoint()
        if found is not None and int(found[0].name.rpartition("-")[2]) != steps * found[1]["iteration"]:
            raise RunError(
                f"{found[0] / STATE} tells of iteration {found[1]['iteration']}, and {found[0].name} is of another: "
                f"restore it from a copy, or remove {found[0]} to go on from the checkpoint before it."
            )
        return found

    def cut_back(self, iteration: int) -> None:
        """Forgets what a run that was cut off did after its last whole checkpoint."""
        if self.session is not None:
            self.folder.cut_back(iteration)

    def opponents_state(self) -> dict[str, Any]:
        """What a checkpoint must hold of the opponents."""
        state = self.session.opponents.state if self.session is not None else {}
        return {"opponents": state} if state else {}

    def restore(self, state: dict[str, Any]) -> None:
        """Takes over what a checkpoint holds of the opponents."""
        if self.session is not None:
            self.session.opponents.restore(state.get("opponents", {}))

    def kept(self) -> list[int]:
        """Iterations whose published weights stay."""
        chosen, last = self.settings.evaluation.checkpoints, self.settings.iterations
        extra = chosen if isinstance(chosen, list) else []
        league = self.settings.opponent.kept(last)
        return [0, *range(0, last + 1, self.settings.save_every), *extra, *league, last]

    def matches(self, iteration: int, repeats: int = 1, branches: int = 1) -> list[Match]:
        """The debates of an iteration."""
        assert self.session is not None
        settings, seed = self.settings, self.settings.seed
        questions = questions_of(
            self.session.questions, iteration, settings.algorithm.questions_per_iteration, derive(seed, "questions")
        )
        plies = len(settings.protocol.plies())
        matches = matches_of(
            questions, settings.protocol.seats, repeats, branches, plies, derive(seed, "branch", iteration)
        )
        return self.session.opponents.line_up(iteration, matches)


class _PpoRun(_Run):
    """TRL's trainer runs the whole training and asks for rows once per iteration."""

    algorithm: PolicyGradient

    def __init__(self, settings: Config) -> None:
        super().__init__(settings)
        assert isinstance(settings.algorithm, PolicyGradient)
        self.algorithm = settings.algorithm
        rows, self.rows_per_seat = setup.rows_per_iteration(settings), setup.rows_per_seat(settings)
        arguments = trl_config(
            self.algorithm, rows, settings.iterations, settings.debater.temperature, self.world, save_strategy="steps",
            save_steps=settings.save_every * self.algorithm.epochs * self.algorithm.minibatches, save_total_limit=2,
            **self.arguments(),
        )  # fmt: skip
        model = models.load_model(settings.debater.model, setup.learner_dtype(settings))
        lora = settings.debater.lora
        self.trainer = DebatePpo(
            self.algorithm, self.collect, self.check_gap, model=model, args=arguments, processing_class=self.tokenizer,
            train_dataset=Dataset.from_dict({"prompt": [""] * (rows // GROUP * settings.iterations)}),
            peft_config=setup.lora_config(lora) if lora else None, callbacks=[_Records(self)],
        )  # fmt: skip
        self.trainer.remove_callback(PrinterCallback)
        check_trainable(self.trainer.model)
        check_deterministic(self.trainer.model, self.probe, self.autocast)

    def train(self) -> Path:
        found = self.found(self.algorithm.epochs * self.algorithm.minibatches)
        self.cut_back(found[1]["iteration"] if found else 0)
        if found is None:
            self.trainer.train()
        else:
            path, state = found
            self._check_ranks(path, state)
            _check_files(path, state.get("files", {}))
            baselines = valid(state, PpoState, path / STATE)["baselines"]
            self.trainer.baselines = {(seat, side, ply): value for seat, side, ply, value in baselines}
            self.restore(state)
            self._load_value_head(path)
            self.trainer.train(resume_from_checkpoint=str(path))
        policy, _ = self.publish(self.trainer.model_wrapped, self.trainer.accelerator, self.settings.iterations)
        self.look(policy)
        return Path(policy.path)

    def collect(self, iteration: int) -> list[Trajectory | None]:
        """Publishes, plays and judges; the same list on every rank."""
        policy, learner = self.publish(self.trainer.model_wrapped, self.trainer.accelerator, iteration - 1)
        self.look(policy)
        batch: list[Any] = [None]
        if self.session is not None:
            matches = self.matches(iteration, self.algorithm.debates_per_seating)
            experience = self.session.collect(iteration, matches, policy, learner)
            batch = [experience.rows(matches, self.rows_per_seat)]
            prune(self.folder, self.kept())
        if self.world > 1:
            broadcast_object_list(batch)
        return batch[0]

    def save_state(self, checkpoint: Path, iteration: int) -> None:
        """Our own part of a checkpoint; written last, so that its presence says that the checkpoint is whole."""
        head = getattr(self.trainer.accelerator.unwrap_model(self.trainer.model), VALUE_HEAD, None)
        if head is not None and self.settings.cluster.deepspeed != "zero3":
            save_file(head.state_dict(), checkpoint / f"{VALUE_HEAD}.safetensors")
        follow_umask(checkpoint)
        baselines = [[*role, value] for role, value in self.trainer.baselines.items()]
        cursor = iteration * self.algorithm.questions_per_iteration
        state = {
            "iteration": iteration, "policy_version": iteration, "question_cursor": cursor, "baselines": baselines,
            "ranks": self._ranks, "files": _digests(checkpoint), **self.opponents_state(),
        }  # fmt: skip
        write_atomically(checkpoint / STATE, json.dumps(state))

    def check_update(self, iteration: int) -> None:
        """Look at the weights that an iteration has come to.

        Raises:
            FiniteError: some are no numbers.
            NothingLearned: rewards differed, and none has changed.
        """
        finite.check(self.trainer.model.named_parameters(), iteration)
        self.trainer.check_learned()

    @property
    def _ranks(self) -> dict[str, Any]:
        return {"world": self.world, "deepspeed": self.settings.cluster.deepspeed}

    def _check_ranks(self, checkpoint: Path, state: dict[str, Any]) -> None:
        """DeepSpeed's shards of the optimizer's state fit only as many ranks as wrote them.

        Raises:
            RunError: this is another number of ranks, or another stage.
        """
        before = state.get("ranks", self._ranks)
        if before != self._ranks and (before["deepspeed"] or self._ranks["deepspeed"]):
            raise RunError(
                f"The checkpoint {checkpoint} was written by {before['world']} ranks with "
                f"deepspeed={before['deepspeed']} and can only be resumed by as many: "
                "ask for the same cluster, or export the policy (`rostrum export "
                f"run={self.folder.path} iteration={state['iteration']} output=FOLDER`) and start a new run from "
                "debater.model=FOLDER."
            )

    def _load_value_head(self, checkpoint: Path) -> None:
        weights = checkpoint / f"{VALUE_HEAD}.safetensors"
        if weights.exists():  # an adapter checkpoint of TRL's has no place for it
            getattr(self.trainer.model, VALUE_HEAD).load_state_dict(load_file(weights))


class _Records(TrainerCallback):
    """Turns TRL's logs and checkpoints into ours."""

    def __init__(self, run: _PpoRun) -> None:
        self._run, self._steps = run, run.algorithm.epochs * run.algorithm.minibatches

    def on_step_end(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        """Look at the update before a line of metrics or a checkpoint says that the iteration is done."""
        if state.global_step % self._steps == 0:
            self._run.check_update(state.global_step // self._steps)

    def on_log(self, args: Any, state: Any, control: Any, logs: dict[str, Any] | None = None, **_: Any) -> None:
        if logs and "loss" in logs and self._run.session is not None:
            self._run.session.record(_learned(logs))

    def on_save(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        if state.is_world_process_zero:
            checkpoint = Path(args.output_dir) / f"checkpoint-{state.global_step}"
            self._run.save_state(checkpoint, state.global_step // self._steps)


class _DpoRun(_Run):
    """One fresh `DPOTrainer` per iteration; everything that outlives an iteration is in the published weights."""

    def __init__(self, settings: Config) -> None:
        super().__init__(settings)
        assert isinstance(settings.algorithm, Dpo)
        self.algorithm: Dpo = settings.algorithm
        self.first_batch = True

    def train(self) -> Path:
        found = self.found(1)
        done = found[1]["iteration"] if found else 0
        self.cut_back(done)
        self.restore(found[1] if found else {})
        if not done:
            self.publish(setup.policy_model(self.settings.debater), None, 0)
        for iteration in range(done + 1, self.settings.iterations + 1):
            self.look(self._policy(iteration - 1))
            self._iterate(iteration)
        final = self._policy(self.settings.iterations)
        self.look(final)
        return Path(final.path)

    def _policy(self, iteration: int) -> Policy:
        return Policy("current", iteration, str(self.folder.policy(iteration)))

    def _iterate(self, iteration: int) -> None:
        before = str(self.folder.policy(iteration - 1))
        one_dtype = self.settings.cluster.deepspeed == "zero3"  # which cannot mix them
        model = models.load_model(before, setup.learner_dtype(self.settings), float32_adapter=not one_dtype)
        make_comparable(model)
        if self.first_batch:
            check_deterministic(model, self.probe, self.autocast)
        pairs, learned, rows = self._pairs(iteration, self.scores(model))
        if len(pairs):
            sampled = dpo.Sampled(rows, self.settings.debater.temperature, self._check_first)
            trainer = dpo.train_on(
                pairs, _trainable(model), self._reference(iteration), self.tokenizer, self.algorithm, self.world,
                sampled, save_strategy="no", **self.arguments(),
            )  # fmt: skip
            learned |= _mean_logs(trainer.state.log_history)
            if trainer.gap is not None:
                learned |= {"engine_gap_mean": trainer.gap.mean, "engine_gap_max": trainer.gap.max}
            self.publish(trainer.model_wrapped, trainer.accelerator, iteration)
        else:
            self.publish(model, None, iteration)
        if self.session is not None:
            self.session.record(learned)
            self._mark(iteration)
            prune(self.folder, [*self.kept(), iteration - 1])

    def _check_first(self, gap: Gap) -> None:
        if self.first_batch:
            self.check_gap(gap)
        self.first_batch = False

    def _pairs(self, iteration: int, learner: Scores) -> tuple[Dataset, dict[str, Any], list[Row]]:
        """Play an iteration; on every rank its pairs, what is recorded of them, and some of the rows as sampled."""
        found: list[Any] = [None, None, None]
        if self.session is not None:
            policy = self._policy(iteration - 1)
            matches = self.matches(iteration, branches=self.algorithm.branches)
            experience = self.session.collect(iteration, matches, policy, learner)
            pairs = dpo.pairs_of(experience, {m.id: m.branch_ply for m in matches}, self.algorithm.min_gap)
            rows = [trajectory.row for trajectory in experience.trajectories()[: dpo.COMPARED]]
            found = [dpo.columns_of(pairs), {"pairs": len(pairs)}, rows]
            if not pairs:
                say(f"iteration {iteration}: no pair differed by {self.algorithm.min_gap}; the policy stays as it was")
        if self.world > 1:
            broadcast_object_list(found)
        return Dataset.from_dict(found[0]), found[1], found[2]

    def _reference(self, iteration: int) -> Any:
        """The frozen policy that DPO is measured from; None lets TRL copy the adapter that training starts from."""
        if self.algorithm.reference == "base":
            return models.load_model(self.settings.debater.model, getattr(torch, self.settings.debater.dtype))
        if self.settings.debater.lora is not None:
            return None
        return models.load_model(str(self.folder.policy(iteration - 1)), getattr(torch, self.settings.debater.dtype))

    def _mark(self, iteration: int) -> None:
        cursor = iteration * self.algorithm.questions_per_iteration
        state = {
            "iteration": iteration, "policy_version": iteration, "question_cursor": cursor, **self.opponents_state(),
        }  # fmt: skip
        write_atomically(self.folder.trainer / f"checkpoint-{iteration}" / STATE, json.dumps(state))


def _digests(checkpoint: Path) -> dict[str, str]:
    """Return the SHA-256 of the files of a checkpoint that the first rank has written."""
    found = {}
    for path in sorted(checkpoint.iterdir()):
        if path.is_file() and not path.name.startswith("rng_state_"):
            with path.open("rb") as file:
                found[path.name] = hashlib.file_digest(file, "sha256").hexdigest()
    return found


def _check_files(checkpoint: Path, recorded: Mapping[str, str]) -> None:
    """Refuse a checkpoint whose files are not what was written, before torch and transformers read them.

    Raises:
        RunError: one of them was damaged.
    """
    now = _digests(checkpoint)
    for name, digest in recorded.items():
        if name != STATE and now.get(name) != digest:
            raise RunError(
                f"{checkpoint / name} is not what was written: restore it from a copy, or remove {checkpoint} to go on "
                "from the checkpoint before it."
            )


def _learned(logs: dict[str, Any]) -> dict[str, float]:
    return {name: float(logs[key]) for key, name in LEARNED.items() if key in logs}


def _mean_logs(history: list[dict[str, Any]]) -> dict[str, float]:
    steps = [_learned(logs) for logs in history if "loss" in logs]
    return {name: sum(step[name] for step in steps) / len(steps) for name in (steps[0] if steps else {})}


def _trainable(model: Any) -> Any:
    """Adapters are loaded frozen; their weights (and no others) are what is trained."""
    for name, parameter in model.named_parameters():
        if "lora_" in name:
            parameter.requires_grad_(True)
    return model
