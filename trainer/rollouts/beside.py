"""Judges beside players: shards are judged while others are played.

Whichever of the two only waits for other processes does so in a thread. The other computes in the thread that called:
torch keeps by thread which GPU is meant, and what computed beside it would share settings that hold for a whole
process.

Neither thread is waited for when something fails: what is left of a run ends at once, as it does where there is none.
"""

import time
from collections.abc import Callable, Iterator
from queue import SimpleQueue
from threading import Event, Thread
from types import TracebackType
from typing import Generic, Literal, Self, TypeVar

T = TypeVar("T")
Waiting = Literal["players", "judge"] | None
"""Who waits for other processes, in a thread; nobody: playing and judging take turns."""


class PlayedInThread(Generic[T]):
    """What an iterator gives, in its order, while a thread asks it for the next."""

    def __init__(self, items: Iterator[T]) -> None:
        self._items = items
        self._come: SimpleQueue[tuple[T] | BaseException | None] = SimpleQueue()
        self._unwanted = Event()
        self.seconds = 0.0
        """How long the iterator has taken, once all has come."""

    def __enter__(self) -> Self:
        Thread(target=self._ask, name="players", daemon=True).start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Have the thread end with what it waits for now."""
        self._unwanted.set()

    def __iter__(self) -> Iterator[T]:
        """Yield what comes.

        Raises:
            BaseException: the iterator did, after what it gave before.
        """
        while (come := self._come.get()) is not None:
            if isinstance(come, BaseException):
                raise come
            yield come[0]

    def _ask(self) -> None:
        start = time.monotonic()
        try:
            for item in self._items:
                self._come.put((item,))
                if self._unwanted.is_set():
                    return
        except BaseException as error:  # the thread ends here: whoever takes what comes raises it
            self._come.put(error)
        self.seconds = time.monotonic() - start
        self._come.put(None)


class JudgedInThread(Generic[T]):
    """Work that a thread does, in the order in which it is handed over."""

    def __init__(self, work: Callable[[T], None]) -> None:
        self._work = work
        self._handed: SimpleQueue[tuple[T] | None] = SimpleQueue()
        self._unwanted = Event()
        self._error: BaseException | None = None
        self._thread = Thread(target=self._do, name="judge", daemon=True)

    def __enter__(self) -> Callable[[T], None]:
        self._thread.start()
        return self._hand

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Wait until all has been done; where something failed, have the thread end with what it does now.

        Raises:
            BaseException: the work did.
        """
        if error is not None:
            self._unwanted.set()
        self._handed.put(None)
        if error is None:
            self._thread.join()
            self._check()

    def _hand(self, item: T) -> None:
        """Give the thread something more.

        Raises:
            BaseException: the work on something before has.
        """
        self._check()
        self._handed.put((item,))

    def _check(self) -> None:
        if self._error is not None:
            raise self._error

    def _do(self) -> None:
        try:
            while (item := self._handed.get()) is not None and not self._unwanted.is_set():
                self._work(item[0])
        except BaseException as error:  # the thread ends here: whoever hands something over raises it
            self._error = error
