"""What holds the memory of GPUs between its turns, and can give it back.

Where one GPU serves the debater, the judges and the learner, the first two have nothing to do while the third works.
"""

from typing import Protocol as Interface
from weakref import WeakSet


class Resting(Interface):
    """Something that gives its memory back, and takes it again by itself when it is next asked."""

    def rest(self) -> None: ...


_known: WeakSet[Resting] = WeakSet()


def register(resting: Resting) -> None:
    """Have `rest` reach this from now on, for as long as somebody uses it."""
    _known.add(resting)


def unregister(resting: Resting) -> None:
    """Keep `rest` from this: it was closed, and asking it would start again what was ended."""
    _known.discard(resting)


def rest() -> None:
    """Give back the memory of everything in this process, and of what it has started on Ray."""
    for resting in list(_known):
        resting.rest()
