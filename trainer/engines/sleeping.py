"""What holds the memory of GPUs between its turns, and can give it back.

Where one GPU serves the debater, the judges and the learner, the first two have nothing to do while the third works.
"""

from typing import Protocol as Interface
from weakref import WeakSet


class Sleeper(Interface):
    """Something that gives its memory back, and takes it again by itself when it is next asked."""

    def sleep(self) -> None: ...


_known: WeakSet[Sleeper] = WeakSet()


def register(sleeper: Sleeper) -> None:
    """Have `all_sleep` reach this from now on, for as long as somebody uses it."""
    _known.add(sleeper)


def unregister(sleeper: Sleeper) -> None:
    """Keep `all_sleep` from this: it was closed, and asking it would start again what was ended."""
    _known.discard(sleeper)


def all_sleep() -> None:
    """Give back the memory of everything in this process, and of what it has started on Ray."""
    for sleeper in list(_known):
        sleeper.sleep()
