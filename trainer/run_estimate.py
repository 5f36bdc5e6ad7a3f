"""What a run will take, from what its rehearsal came to: seconds of an iteration by its parts, and memory."""

import json
import resource
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path

import torch

from rostrum.envs.files import write_atomically
from rostrum.trainer.config import Config
from rostrum.trainer.machine import memory_room

GIB = 2**30


class RehearsalError(RuntimeError):
    """A run that does not fit into the memory; the message says what to lower."""


@dataclass(frozen=True, slots=True)
class Memory:
    """Bytes of the GPU, or without one of the machine."""

    peak: int
    """Taken at once in the rehearsal, by this process, and on a GPU by others."""
    optimizer: int
    """Of the optimizer's state, which comes with the first step."""
    room: int
    of: str
    """GPU or machine."""

    @classmethod
    def after(cls, optimizer: int) -> "Memory":
        """Return what has been taken at once since `begin_peak`; on a GPU with what other processes take now."""
        if torch.cuda.is_available():
            free, room = torch.cuda.mem_get_info()
            others = room - free - torch.cuda.memory_reserved()
            return cls(torch.cuda.max_memory_allocated() + others, optimizer, room, "GPU")
        return cls(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024, optimizer, memory_room(), "machine")

    @property
    def needed(self) -> int:
        """Return what the run takes at once."""
        return self.peak + self.optimizer


@dataclass(frozen=True, slots=True)
class Estimate:
    """What a run will take: the seconds of an iteration by its parts, and bytes."""

    iterations: int
    play: float
    judge: float
    learn: float
    publish: float
    overlaps: bool
    """Whether the next debates are played while the learner works."""
    memory: Memory
    micro_batches: Mapping[str, tuple[int, int]]
    """Rows of each policy's largest micro-batch, and tokens of the longest of them."""
    left_out: tuple[str, ...] = ()
    """What the times do not hold."""

    @property
    def iteration(self) -> float:
        """Return the seconds of an iteration."""
        played = self.play + self.judge
        return self.publish + (max(played, self.learn) if self.overlaps else played + self.learn)

    def __str__(self) -> str:
        """Return the line that a run begins with."""
        parts = {name: getattr(self, name) for name in ("play", "judge", "learn", "publish")}
        each = ", ".join(f"{name} {span(seconds)}" for name, seconds in parts.items() if seconds)
        told = (
            f"estimate: about {span(self.iterations * self.iteration)} for {self.iterations:,} "
            f"iteration{'s' * (self.iterations > 1)} "
            f"({span(self.iteration)} each: {each}) with speeches of full length, "
            f"peak memory {gib(self.memory.needed)} of {gib(self.memory.room)} GiB"
        )
        return told + (f"; not in it: {'; '.join(self.left_out)}" if self.left_out else "")

    def check(self, config: Config) -> None:
        """Refuse a run that cannot fit.

        Raises:
            RehearsalError: the peak and the optimizer's state exceed the memory.
        """
        memory = self.memory
        if memory.needed > memory.room:
            raise RehearsalError(
                f"The run would need {gib(memory.needed)} GiB and the {memory.of} has {gib(memory.room)} "
                f"({gib(memory.peak)} for its largest batches and {gib(memory.optimizer)} for the optimizer): "
                f"{remedies(config)}; or try it all the same with rehearse=never."
            )

    def write(self, path: Path) -> None:
        """Write it as JSON."""
        record = asdict(self) | {"iteration": self.iteration, "run": self.iterations * self.iteration}
        write_atomically(path, json.dumps(record, indent=1))


def begin_peak() -> None:
    """Begin to measure anew how much memory is taken at once, as far as the system can."""
    if torch.cuda.is_available():
        torch.cuda.reset_peak_memory_stats()
    with suppress(OSError):
        Path("/proc/self/clear_refs").write_text("5", "ascii")  # Linux: proc(5); resets what ru_maxrss tells


def remedies(config: Config) -> str:
    """Return what a learner's memory can be lowered by and is not yet."""
    algorithm, debater, found = config.algorithm, config.debater, list[str]()
    if (tokens := getattr(algorithm, "micro_batch_tokens", None)) is not None:
        found.append(f"lower algorithm.micro_batch_tokens (now {tokens:,})")
    elif algorithm.micro_batch_rows is None:
        found.append("set algorithm.micro_batch_rows (1 needs least)")
    elif algorithm.micro_batch_rows > 1:
        found.append(f"lower algorithm.micro_batch_rows (now {algorithm.micro_batch_rows})")
    if not debater.gradient_checkpointing:
        found.append("set debater.gradient_checkpointing=true")
    if debater.lora is None:
        found.append("train an adapter (debater.lora.rank=16)")
    shorter = "shorten speeches and passages (debater.max_tokens, debater.window.tokens)"
    return f"{', '.join([*found, f'or {shorter}' if found else shorter])} in a new run"


def span(seconds: float) -> str:
    """Return a time with two digits that say something: 0.4 s, 57 s, 12 min, 3 h 10 min, 2 d 3 h."""
    if seconds < 99.5:
        return f"{seconds:.0f} s" if seconds >= 9.5 else f"{seconds:.2g} s"
    minutes = round(seconds / 60)
    if minutes < 100:
        return f"{minutes} min"
    hours, left = divmod(minutes, 60)
    return f"{hours} h {left} min" if hours < 48 else f"{hours // 24} d {hours % 24} h"


def gib(count: int) -> str:
    """Return bytes in GiB."""
    return f"{count / GIB:.0f}" if count >= 10 * GIB else f"{count / GIB:.1f}"
