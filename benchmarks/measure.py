"""What a benchmark hands over: a quantity measured several times, and the meters it is measured with."""

import resource
import statistics
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import torch

MIB = 2**20


@dataclass(frozen=True, slots=True)
class Measurement:
    """One line of the table: `values` holds one number per repeat, `target` is what the median should reach."""

    section: str
    name: str
    unit: str
    values: tuple[float, ...]
    target: float | None = None
    less: bool = False
    """Whether the target is reached by less."""

    @property
    def median(self) -> float:
        return statistics.median(self.values)

    @property
    def reached(self) -> bool:
        """Whether the median reaches the target, if there is one."""
        target = self.median if self.target is None else self.target
        return self.median <= target if self.less else self.median >= target


def clock() -> float:
    """Return the time in seconds, once everything that was sent to a GPU is done."""
    if torch.cuda.is_available():
        torch.cuda.synchronize()
    return time.perf_counter()


def seconds(work: Callable[[], object]) -> float:
    """Return how long `work` takes."""
    start = clock()
    work()
    return clock() - start


def rates(section: str, name: str, unit: str, amount: float, durations: list[float]) -> Measurement:
    """Return `amount` per second, for each duration in seconds."""
    return Measurement(section, name, unit, tuple(amount / duration for duration in durations))


def ratios(section: str, name: str, floor: list[float], ours: list[float], target: float | None = None) -> Measurement:
    """Return seconds of the floor over seconds of ours, pair by pair: 1 means that nothing is lost."""
    return Measurement(section, name, "x", tuple(a / b for a, b in zip(floor, ours, strict=True)), target)


def memory(worker_pids: list[int]) -> list[Measurement]:
    """Return peak memory (MiB) of this process, its largest child, each rollout worker, and the GPU if there is one."""
    unit = 1 if sys.platform == "darwin" else 1024  # macOS counts ru_maxrss in bytes, Linux in KiB
    peaks = {
        "this process (judge, learner, a local engine)": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit,
        "largest child process that has ended": resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss * unit,
    } | {f"rollout worker {i}": _peak_of(pid) for i, pid in enumerate(worker_pids)}
    if torch.cuda.is_available():
        peaks["GPU, allocated by this process"] = torch.cuda.max_memory_allocated()
    return [Measurement("peak memory", name, "MiB", (peak / MIB,)) for name, peak in peaks.items() if peak]


def _peak_of(pid: int) -> int:
    """Return the peak in bytes; 0 where the system has no /proc. Ray's workers are no children of ours, so getrusage
    does not see them."""
    status = Path(f"/proc/{pid}/status")
    lines = status.read_text().splitlines() if status.exists() else []
    return next((int(line.split()[1]) * 1024 for line in lines if line.startswith("VmHWM:")), 0)
