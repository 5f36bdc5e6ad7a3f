"""What `benchmarks.gpu` measures, phase by phase: play, judge, learn, publish, and the bare counterparts of two."""

import gc
import math
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from datasets import Dataset
from transformers import GenerationConfig, PrinterCallback

from benchmarks.learner import Bare, TimedPpo
from benchmarks.measure import clock
from benchmarks.recording import Call, recorded
from benchmarks.shapes import Workload, questions, write_model
from envs.types import Failure, Protocol
from rewards.types import Verdict
from trainer import config, models, setup
from trainer.engines.base import Sampling
from trainer.loop import judge_episodes
from trainer.ppo import GROUP, trl_config
from trainer.publish import check_parity, learner_logprobs, probe_rows, publish
from trainer.schedule import matches_of, shards_of
from trainer.types import Episode, Experience, Judged, Policy, Trajectory

REPEATS_OF_A_QUESTION = 2
"""Debates per question and seating: the fewest that credit=group can compare."""
DEBATES_OF_A_QUESTION = 2 * REPEATS_OF_A_QUESTION
ROUNDS = 3
"""Speeches per seat."""
GIB = 2**30


class BenchmarkError(RuntimeError):
    """A benchmark that cannot be run as asked; the message says what to do."""


@dataclass
class Rig:
    """Models on disk, matches to be played, and what the phases find out."""

    workload: Workload
    folder: Path
    repeats: int
    figures: dict[str, Any] = field(default_factory=dict)
    durations: dict[str, list[float]] = field(default_factory=dict)
    """Seconds of each counted repeat, by phase."""
    peaks: dict[str, float | None] = field(default_factory=dict)
    """GiB of GPU memory, by phase."""

    def __post_init__(self) -> None:
        self.device = models.default_device()
        base = self.folder / "debater"
        self.figures["debater_parameters"] = write_model(self.workload.debater, base, torch.bfloat16, self.device)
        self.figures["judge_parameters"] = write_model(
            self.workload.judge, self.folder / "judge", torch.bfloat16, self.device, seed=1
        )
        self.settings = settings(self.workload, self.folder)
        self.tokenizer = models.load_tokenizer(str(base))
        self.policy = Policy("current", 0, str(base))
        self.rollouts, self.judge = setup.rollouts(self.settings), setup.judge(self.settings.judge)
        asked = questions(
            self.settings.algorithm.questions_per_iteration, self.workload.passage_tokens,
            self.workload.debater.vocabulary,
        )  # fmt: skip
        matches = matches_of(asked, self.settings.protocol.seats, REPEATS_OF_A_QUESTION)
        self.shards = shards_of(matches, len(matches), self.settings.seed)

    def play(self) -> list[Episode]:
        """All debates.

        Raises:
            BenchmarkError: one of them failed.
        """
        played = [
            outcome
            for _, outcomes in self.rollouts.play(self.shards, {self.policy.name: self.policy})
            for outcome in outcomes
        ]
        failed = [outcome.reason for outcome in played if isinstance(outcome, Failure)]
        if failed:
            raise BenchmarkError(f"{len(failed)} of {len(played)} debates failed ({failed[0]}): make them shorter.")
        return [episode for episode in played if isinstance(episode, Episode)]

    @contextmanager
    def phase(self, name: str) -> Iterator[None]:
        """Notes the most GPU memory that is allocated in the meantime."""
        gc.collect()
        if self.device == "cpu":
            yield
            self.peaks[name] = None
            return
        torch.cuda.empty_cache()
        torch.cuda.reset_peak_memory_stats()
        yield
        self.peaks[name] = torch.cuda.max_memory_allocated() / GIB

    def repeat(self, name: str, work: Call) -> Any:
        """Does the work once to warm up and then `repeats` times by the clock; returns its last result."""
        result = work()
        self.durations[name] = []
        for _ in range(self.repeats):
            start = clock()
            result = work()
            self.durations[name].append(clock() - start)
        return result


def settings(workload: Workload, folder: Path) -> config.Config:
    """The run that is measured: six speeches, PPO with LoRA of rank 16, everything in bfloat16."""
    debates, rows = workload.debates, workload.debates * GROUP
    algorithm = config.Ppo(
        name="ppo", learning_rate=1e-5, questions_per_iteration=debates // DEBATES_OF_A_QUESTION,
        debates_per_seating=REPEATS_OF_A_QUESTION, kl=0.01, minibatches=4,
        micro_batch_rows=math.gcd(workload.micro_batch_rows, rows // 4),
    )  # fmt: skip
    return config.Config(
        output=folder / "run", iterations=1, questions=config.Questions(kind="testimony"), algorithm=algorithm,
        protocol=Protocol("debate", rounds=ROUNDS, max_words=workload.speech_tokens),
        debater=config.Debater(
            model=str(folder / "debater"), prompts="prose", max_tokens=workload.speech_tokens, dtype="bfloat16",
            lora=config.Lora(rank=16),
        ),
        judge=config.Judge(
            name="judge", model=str(folder / "judge"), prompts="prose", min_mass=0, dtype="bfloat16"
        ),
    )  # fmt: skip


def play(rig: Rig) -> list[Episode]:
    """Whole debates; and, on the prompts they were made of, reading alone and a bare `model.generate`."""
    with rig.phase("play"):
        with recorded() as calls:
            rig.play()
        episodes: list[Episode] = rig.repeat("play", rig.play)
    read = sum(len(prompt) for call in calls for prompt in call.args[1])  # type: ignore[attr-defined]
    with rig.phase("prefill"):
        rig.repeat("prefill", lambda: [_first_token(call) for call in calls])
    rig.figures |= {
        "generated_tokens": sum(len(speech.token_ids) for e in episodes for speech in e.transcript.speeches),
        "prompt_tokens_read": read,
    }
    with rig.phase("bare_generate"):
        bare = models.load_model(rig.policy.path, torch.bfloat16, rig.device).eval()
        bare.generation_config = GenerationConfig()
        rig.repeat("bare_generate", lambda: [_bare(rig, bare, call) for call in calls])
    return episodes


def _first_token(call: Call) -> None:
    """The recorded generation, ended after one token: almost nothing but reading the prompts."""
    engine, prompts, sampling = call.args  # type: ignore[attr-defined]
    engine.generate(prompts, Sampling(1, sampling.temperature, sampling.seed))


@torch.inference_mode()
def _bare(rig: Rig, model: Any, call: Call) -> None:
    """The recorded generation by transformers alone: as many tokens, sampled from the same prompts."""
    _, prompts, sampling = call.args  # type: ignore[attr-defined]
    batch = rig.tokenizer.pad({"input_ids": [list(prompt) for prompt in prompts]}, return_tensors="pt")
    plain = GenerationConfig(
        max_new_tokens=sampling.max_tokens, do_sample=True, top_k=0, pad_token_id=rig.tokenizer.pad_token_id
    )
    model.generate(**batch.to(rig.device), generation_config=plain).tolist()


def judge(rig: Rig, episodes: list[Episode]) -> list[Trajectory]:
    """Verdicts in both presentation orders, and the rows that the learner gets for them."""
    with rig.phase("judge"):
        judged: list[Judged] = rig.repeat("judge", lambda: judge_episodes(episodes, rig.judge, rig.settings.reward))
    verdicts: list[Verdict] = [j.verdict for j in judged]
    rig.figures["judge_readings"] = sum(verdict.readings for verdict in verdicts)
    rig.figures["invalid_verdicts"] = sum(not verdict.valid for verdict in verdicts)
    return Experience(1, rig.policy, tuple(judged), (), 0.0).trajectories()


class _Laps:
    """Stands in for the rollouts: hands over the same rows in every iteration and notes how long the learner takes."""

    def __init__(self, rows: list[Trajectory | None]) -> None:
        self._rows = rows
        self.trainer: TimedPpo | None = None
        self.prepare: list[float] = []
        self.steps: list[float] = []
        self._start: float | None = None

    def collect(self, iteration: int) -> list[Trajectory | None]:
        """Ends the iteration before this one."""
        self.end()
        assert self.trainer is not None
        self.trainer.forget()
        self._start = clock()
        return self._rows

    def end(self) -> None:
        """Notes the seconds up to the first optimizer step, and from then on."""
        if self._start is not None:
            assert self.trainer is not None
            self.prepare.append(self.trainer.ready - self._start)
            self.steps.append(clock() - self.trainer.ready)


def learn(rig: Rig, rows: list[Trajectory]) -> None:
    """PPO iterations with gradient checkpointing (the first warms up), a publish of their adapter, and bare steps."""
    with rig.phase("learn"):
        laps, trainer = _learner(rig, rows)
        trainer.train()
        laps.end()
    rig.durations |= {"learn_prepare": laps.prepare[1:], "learn_steps": laps.steps[1:]}
    lengths = [(int(p.sum()), int(c.sum())) for b in trainer.batches for p, c in _masks(b)]
    flops = sum(rig.workload.debater.lora_flops(prompt + completion, completion + 1) for prompt, completion in lengths)
    rig.figures |= {"learner_tokens": sum(map(sum, lengths)), "learner_flops": flops}
    _publish(rig, "adapter", trainer.model_wrapped, trainer.accelerator)
    batches, accumulation = trainer.batches, trainer.args.gradient_accumulation_steps
    laps.trainer = None
    del trainer
    with rig.phase("bare_learn"):
        model = setup.policy_model(rig.settings.debater).to(rig.device)
        model.gradient_checkpointing_enable({"use_reentrant": False})
        bare = Bare(model, accumulation, rig.settings.algorithm.max_grad_norm)
        rig.repeat("bare_learn", lambda: bare.step(batches))


def _masks(batch: dict[str, Any]) -> Iterator[tuple[torch.Tensor, torch.Tensor]]:
    return zip(batch["prompt_mask"], batch["completion_mask"], strict=True)


def _learner(rig: Rig, rows: list[Trajectory]) -> tuple[_Laps, TimedPpo]:
    chosen, count = rig.settings, rig.repeats + 1
    assert isinstance(chosen.algorithm, config.Ppo) and chosen.debater.lora is not None
    arguments = trl_config(
        chosen.algorithm, len(rows), count, chosen.debater.temperature, world_size=1, save_strategy="no",
        output_dir=str(chosen.output), seed=chosen.seed, bf16=True, report_to="none", disable_tqdm=True,
        use_cpu=rig.device == "cpu", gradient_checkpointing=True,
        gradient_checkpointing_kwargs={"use_reentrant": False},
    )  # fmt: skip
    laps = _Laps([*rows])
    laps.trainer = trainer = TimedPpo(
        chosen.algorithm, laps.collect, model=models.load_model(chosen.debater.model, torch.bfloat16), args=arguments,
        processing_class=rig.tokenizer, peft_config=setup.lora_config(chosen.debater.lora),
        train_dataset=Dataset.from_dict({"prompt": [""] * (len(rows) // GROUP * count)}),
    )  # fmt: skip
    trainer.remove_callback(PrinterCallback)
    return laps, trainer


def publish_full(rig: Rig) -> None:
    """What a run without adapters publishes: all weights."""
    model = models.load_model(rig.policy.path, torch.bfloat16, rig.device)
    _publish(rig, "full", model, None)


def _publish(rig: Rig, kind: str, model: Any, accelerator: Any) -> None:
    """Writes the weights, has the engine load them, and compares the two on the probe."""
    probe = probe_rows(rig.tokenizer)
    with rig.phase(f"publish_{kind}"):
        learner = learner_logprobs(model, probe)
        start = clock()
        policy = publish(model, accelerator, rig.tokenizer, rig.folder / kind, version=1)
        written = clock()
        rig.figures[f"parity_{kind}_max_nats"] = check_parity(learner, probe, rig.rollouts, policy, math.inf)
    rig.figures[f"publish_{kind}_write_s"] = written - start
    rig.figures[f"publish_{kind}_load_and_probe_s"] = clock() - written
