"""Does one thing ahead of its time, in a thread: the next batch is played while the learner works on the last one.

The thread is to wait for other processes and no more. What it computed itself would share the settings of torch that
hold for a whole process (the default dtype, what DeepSpeed patches) with the learner.
"""

from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor, wait
from threading import Event
from typing import Generic, TypeVar

T = TypeVar("T")


class Abandoned(Exception):
    """Nobody wants any more what is being done ahead."""


class Ahead(Generic[T]):
    """Holds what was begun ahead, by the iteration that it is for, until that takes it."""

    def __init__(self) -> None:
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="ahead")
        self._begun: dict[int, Future[T]] = {}
        self._unwanted = Event()

    def begin(self, iteration: int, work: Callable[[], T]) -> None:
        """Begin the work for an iteration. What it raises, whoever takes its result is told."""
        self._begun[iteration] = self._thread.submit(work)

    def wait(self) -> None:
        """Wait until what was begun is over."""
        wait(self._begun.values())

    def take(self, iteration: int, work: Callable[[], T]) -> Callable[[], T]:
        """Return what gives the result of what was begun ahead for an iteration; where nothing was, the work itself."""
        begun = self._begun.pop(iteration, None)
        return work if begun is None else begun.result

    def check_wanted(self) -> None:
        """Ask, from within the work, whether to go on.

        Raises:
            Abandoned: something else has failed, and nobody will take what comes of it.
        """
        if self._unwanted.is_set():
            raise Abandoned

    def abandon(self) -> None:
        """Have the work end when it next asks."""
        self._unwanted.set()

    def close(self) -> None:
        """Wait for the end of the work, if it is not over, and of the thread."""
        self.abandon()
        self._thread.shutdown(cancel_futures=True)
