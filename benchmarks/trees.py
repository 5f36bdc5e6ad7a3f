"""What it saves to compute a passage once for all rows of its question, against TRL's own learner on padded rows."""

import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from trl import GRPOTrainer

from benchmarks.measure import Measurement, clock, ratios
from benchmarks.rig import settings
from benchmarks.shapes import Shape, Workload, write_model
from rostrum.envs.types import Side
from rostrum.rewards.types import Reward
from rostrum.trainer.config import Config
from rostrum.trainer.learners.clipped_surrogate import Batch, ClippedSurrogate
from rostrum.trainer.learners.learner import LearnerSetup
from rostrum.trainer.learners.micro_batches import sizes_of
from rostrum.trainer.models import loading
from rostrum.trainer.types import TokenRow, Trajectory

LAYER = Shape(576, 1, 9, 3, 64, 1536, 49152 // 30, tied=True)
"""A thirtieth of SmolLM2-135M: one of its layers, and as much of its vocabulary, which weighs what it does there."""
PASSAGE, SPEECH, TOLD = 4000, 100, 20
"""Tokens of a passage, of a speech, and of what a row is told before each speech."""
SPEECHES, ROWS = 6, 16
MICRO = (1, 2, 4, 8, 16)
"""Rows that TRL's learner has in memory at once; the fastest counts."""
TARGET = 2.8
_SECTION = "a passage computed once, against TRL's padded rows"


class Cut(ClippedSurrogate):
    """The learner, with micro-batches of so many rows as is said last."""

    def cut(self, rows: int) -> None:
        """Have so many rows in memory at once."""
        self._algorithm = self._algorithm.model_copy(update={"micro_batch_rows": rows})


class TrlsOwn(Cut):
    """TRL's loss and log-probabilities, untouched, on rows as long as the longest of their micro-batch."""

    _compute_loss = GRPOTrainer._compute_loss
    _get_per_token_logps_and_entropies = GRPOTrainer._get_per_token_logps_and_entropies

    def _part(self, batch: Batch, chosen: torch.Tensor) -> Batch:
        self.shares, before = True, self.shares  # so padded rows are cut to fit
        part = super()._part(batch, chosen)
        self.shares = before
        return part


@dataclass(frozen=True, slots=True)
class Sizes:
    """How large the measurement is."""

    shape: Shape = LAYER
    passage: int = PASSAGE
    speech: int = SPEECH
    rows: int = ROWS
    micro: Sequence[int] = MICRO


@dataclass(frozen=True, slots=True)
class Compared:
    """Seconds of a forward and backward pass and an optimizer step on the same rows, both ways."""

    shared: Sequence[float]
    padded: Sequence[float]
    """TRL's, with as many rows at once as are fastest."""
    best: int
    """How many rows these are."""
    tried: dict[int, float]
    """Seconds of TRL's by rows at once."""
    apart: float
    """Mean difference of a sampled token's log-probability, in nats."""
    furthest: float
    """The largest one."""
    tokens: int
    """Of all rows."""
    computed: int
    """Of them with trees."""


def computed_once(repeats: int, sizes: Sizes = Sizes()) -> list[Measurement]:
    """Measure one optimizer step on all rows of a question, forward and backward, both ways in turns."""
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        write_model(sizes.shape, folder / "debater", torch.float32, loading.default_device())
        plain = {"dtype": "float32", "lora": None, "gradient_checkpointing": False}
        workload = Workload(sizes.shape, sizes.shape, sizes.passage, sizes.speech, debates=8, micro_batch_rows=1)
        found = both_ways(settings(workload, folder, **plain), rows_of_a_question(sizes), sizes.micro, repeats)
    name = f"seconds, TRL with {found.best} rows at once over shared"
    return [
        Measurement(_SECTION, "tokens of the rows, over those computed", "x", (found.tokens / found.computed,)),
        *(Measurement(_SECTION, f"TRL, {micro} rows at once", "s", (took,)) for micro, took in found.tried.items()),
        Measurement(_SECTION, "shared", "s", tuple(found.shared)),
        ratios(_SECTION, name, list(found.padded), list(found.shared), TARGET),
        Measurement(_SECTION, "largest difference of a log-probability", "1e-6", (1e6 * found.furthest,)),
    ]


def both_ways(run: Config, rows: list[Trajectory], micro: Sequence[int], repeats: int, warm: bool = False) -> Compared:
    """Measure one optimizer step on rows, in turns; where the device has to be warmed up, each way does one before."""
    ours = _learner(Cut, run, rows, "always")
    mine = _batch(ours, rows)
    if warm:
        _step(ours, mine, len(rows))
    theirs = _learner(TrlsOwn, run, rows, "never")
    batch = _batch(theirs, rows)
    sampled = (batch["completion_mask"] * batch["tool_mask"]).bool()
    apart = (mine["old_per_token_logps"] - batch["old_per_token_logps"])[sampled].abs()
    tried = dict[int, float]()
    for count in micro:
        if warm:
            _step(theirs, batch, count)
        tried[count] = _step(theirs, batch, count)
    best = min(tried, key=lambda count: tried[count])
    took, padded = list[float](), [tried[best]]
    for number in range(repeats):
        took.append(_step(ours, mine, len(rows)))
        padded += [_step(theirs, batch, best)] if number else []
    computed = ours.sizes.tokens(range(len(rows)), shared=True)
    return Compared(took, padded, best, tried, float(apart.mean()), float(apart.max()), ours.sizes.whole, computed)


def rows_of_a_question(sizes: Sizes) -> list[Trajectory]:
    """Return rows like those of debates about one passage: a speaker samples every other speech and is told others."""
    draw = torch.Generator().manual_seed(0)

    def tokens(count: int) -> tuple[int, ...]:
        return tuple(torch.randint(3, sizes.shape.vocabulary, (count,), generator=draw).tolist())

    passage, made = tokens(sizes.passage), []
    for number in range(sizes.rows):
        told = [tokens(TOLD + number) for _ in range(SPEECHES)]
        mask = [bit for k, text in enumerate(told) for bit in (*[0] * len(text), *[(k + 1) % 2] * sizes.speech)]
        completion = tuple(token for text in told for token in text + tokens(sizes.speech))[len(told[0]) :]
        ends = tuple(k for k, bit in enumerate(mask[len(told[0]) :]) if bit)[sizes.speech - 1 :: sizes.speech]
        row = TokenRow(passage + told[0], completion, tuple(mask[len(told[0]) :]), (0.0,) * len(completion), ends)
        reward = Reward(1.0, (0.0,) * len(ends))
        made.append(Trajectory("q", False, "A", Side.A, tuple(range(len(ends))), row, reward, 0))
    return made


def _learner(kind: type[Cut], run: Config, rows: list[Trajectory], share: str) -> Cut:
    alone = {"epochs": 1, "minibatches": 1, "kl": 0.0, "micro_batch_rows": None, "share_prefix": share}
    run = run.model_copy(update={"algorithm": run.algorithm.model_copy(update=alone)})
    tokenizer = loading.load_tokenizer(run.debater.model)
    trainer = kind(LearnerSetup(run, tokenizer, []), run.algorithm)  # type: ignore[arg-type]
    trainer.prepare()
    trainer.begin(sizes_of(rows), share == "always")
    return trainer


def _batch(trainer: Cut, rows: list[Trajectory]) -> Batch:
    """Return the rows as a batch, half of them better than average, with the log-probabilities that they have now."""
    batch = trainer.tensors(rows, rows[0], 0)
    batch["num_items_in_batch"] = (batch["completion_mask"] * batch["tool_mask"]).sum()
    better = torch.tensor([(-1.0) ** number for number in range(len(rows))], device=batch["tool_mask"].device)
    batch["advantages"] = better[:, None].expand(batch["tool_mask"].shape).contiguous()
    trainer.read(batch)
    return batch


def _step(trainer: Cut, batch: Batch, micro: int) -> float:
    """Return the seconds of one optimizer step on all rows, so many in memory at once."""
    trainer.cut(micro)
    start = clock()
    trainer.learn(batch, torch.arange(len(batch["prompt_ids"]), device=batch["prompt_ids"].device))
    return clock() - start
