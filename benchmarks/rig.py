"""Random models, questions to fit them, and the run that they are measured in."""

import gc
import json
import math
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch

from benchmarks.measure import clock
from benchmarks.shapes import Workload, questions, write_model
from rostrum.envs.files import write_atomically
from rostrum.envs.types import Failure, Protocol
from rostrum.rewards.judges import likelihood
from rostrum.trainer import config, setup
from rostrum.trainer.algorithms import rloo
from rostrum.trainer.config.run_config import PARITY
from rostrum.trainer.models import loading
from rostrum.trainer.rollouts.collect import judge_rollouts
from rostrum.trainer.rollouts.local import RolloutWorkers
from rostrum.trainer.rollouts.schedule import matchups_of, shards_of
from rostrum.trainer.types import Judged, Policy, Rollout

REPEATS_OF_A_QUESTION = 4
"""Debates per question and seating where there are enough, so that a question has 16 rows."""
DEBATES_OF_A_QUESTION = 2 * REPEATS_OF_A_QUESTION
ROUNDS = 3
"""Speeches per speaker."""
GIB = 2**30


class BenchmarkError(RuntimeError):
    """A benchmark that cannot be run as asked; the message says what to do."""


@dataclass
class Rig:
    """Models on disk, matchups to be played, and what the phases find out."""

    workload: Workload
    folder: Path
    repeats: int
    debater: dict[str, Any] = field(default_factory=dict)
    """What is set of the debater besides the defaults of `settings`."""
    figures: dict[str, Any] = field(default_factory=dict)
    durations: dict[str, list[float]] = field(default_factory=dict)
    """Seconds of each counted repeat, by phase."""
    peaks: dict[str, float | None] = field(default_factory=dict)
    """GiB of GPU memory, by phase."""
    kept: Path | None = None
    """Where to write after each phase what is known so far."""

    def __post_init__(self) -> None:
        self.device = loading.default_device()
        self.settings = settings(self.workload, self.folder, **self.debater)
        dtype, base = getattr(torch, self.settings.debater.dtype), self.folder / "debater"
        self.figures["debater_parameters"] = write_model(self.workload.debater, base, dtype, self.device)
        self.figures["judge_parameters"] = write_model(
            self.workload.judge, self.folder / "judge", dtype, self.device, seed=1
        )
        self.tokenizer = loading.load_tokenizer(str(base))
        self.policy = Policy("current", 0, str(base))
        self.workers, self.judge = setup.rollout_workers(self.settings), setup.judge(self.settings.judge)
        asked = questions(
            self.settings.algorithm.questions_per_iteration,
            self.workload.passage_tokens,
            self.workload.debater.vocabulary,
        )
        matchups = matchups_of(asked, self.settings.protocol, self.settings.algorithm.repeats)
        self.shards = shards_of(matchups, len(matchups), self.settings.seed)

    def other_workers(self, **debater: Any) -> RolloutWorkers:
        """Return what plays the same debates with other settings of the debater."""
        return setup.rollout_workers(settings(self.workload, self.folder, **{**self.debater, **debater}))

    def play(self, workers: RolloutWorkers | None = None) -> list[Rollout]:
        """Play all debates, with the rig's own workers unless others are given.

        Raises:
            BenchmarkError: one of them failed.
        """
        played = [
            outcome
            for _, outcomes in (workers or self.workers).play(self.shards, {self.policy.name: self.policy})
            for outcome in outcomes
        ]
        failed = [outcome.reason for outcome in played if isinstance(outcome, Failure)]
        if failed:
            raise BenchmarkError(f"{len(failed)} debates failed ({failed[0]}): lower --passage-tokens.")
        return [rollout for rollout in played if isinstance(rollout, Rollout)]

    def read(self, rollouts: list[Rollout]) -> list[Judged]:
        """Return the judge's verdicts, in both presentation orders, and what they earn."""
        return judge_rollouts(rollouts, self.judge, self.settings.reward)

    @contextmanager
    def phase(self, name: str) -> Iterator[None]:
        """Say that it begins, and note the most GPU memory that is allocated in the meantime."""
        print(f"{name} …", file=sys.stderr, flush=True)
        gc.collect()
        on_gpu = self.device != "cpu"
        if on_gpu:
            torch.cuda.empty_cache()
            torch.cuda.reset_peak_memory_stats()
        yield
        self.peaks[name] = torch.cuda.max_memory_allocated() / GIB if on_gpu else None
        if self.kept:
            known = {"unfinished": True, **self.figures, "peak_memory_gib": self.peaks, "seconds": self.durations}
            write_atomically(self.kept, json.dumps(known, indent=2) + "\n")

    def repeat(self, name: str, work: Callable[[], Any], warm: bool = False) -> Any:
        """Do the work `repeats` times by the clock, and once before unless it is `warm`; return its last result."""
        result = None if warm else work()
        self.durations[name] = []
        for _ in range(self.repeats):
            start = clock()
            result = work()
            self.durations[name].append(clock() - start)
        return result


def settings(workload: Workload, folder: Path, **debater: Any) -> config.Config:
    """Return the run that is measured: six speeches, PPO with LoRA of rank 16, everything in bfloat16; `debater`
    overrides."""
    debates, rows = workload.debates, workload.debates * 2  # a row for each speaker
    repeats = min(REPEATS_OF_A_QUESTION, debates // 2)
    dtype = debater.get("dtype", "bfloat16")
    algorithm = rloo.Settings(
        name="rloo",
        learning_rate=1e-5,
        questions_per_iteration=debates // (2 * repeats),
        debates_per_seating=repeats,
        kl=0.01,
        minibatches=4,
        micro_batch_rows=math.gcd(workload.micro_batch_rows, rows // 4),
    )
    return config.Config(
        output=folder / "run",
        iterations=1,
        parity_tolerance=PARITY[dtype],
        questions={"kind": "testimony"},
        algorithm=algorithm,
        protocol=Protocol("debate", rounds=ROUNDS, max_words=workload.speech_tokens),
        debater=config.Debater(
            **{
                "model": str(folder / "debater"),
                "prompts": "prose",
                "max_tokens": workload.speech_tokens,
                "dtype": "bfloat16",
                "lora": config.Lora(rank=16),
                "gradient_checkpointing": True,
                "engine_options": {"prefix_cache_bytes": 0},  # what its cache saves is measured beside
                **debater,
            }
        ),
        judge=likelihood.Settings(
            kind="likelihood",
            name="judge",
            model=str(folder / "judge"),
            prompts="prose",
            min_mass=0,
            dtype=dtype,
        ),
    )
