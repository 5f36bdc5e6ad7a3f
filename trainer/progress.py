"""What tells people, while something takes long, that it goes on: a bar or a line at a terminal, and where standard
error is a file, a line every ten seconds.
"""

import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from threading import Event, Thread

from rich.progress import BarColumn, Progress, TaskID, TextColumn, TimeElapsedColumn

from rostrum.trainer.terminal import Console, visible

console = Console(stderr=True)
PATIENCE = 3.0
"""Seconds that may pass before a terminal tells what is being waited for."""
PULSE = 10.0
"""Seconds after which a file is told again what goes on."""
_OPEN: list["Activity"] = []
"""What goes on now, from the outermost to the innermost."""
_SPOKEN = [time.monotonic()]
"""When the last line was written."""


class Activity:
    """Something that takes long: what it is, how far it has come, and since when. Handed to whoever does it."""

    def __init__(self, what: str, total: int | None = None, unit: str = "", after: float = PATIENCE) -> None:
        self.what, self.total, self.unit, self.after = what, total, unit, after
        self.done, self.note, self.start = 0, "", time.monotonic()

    def advance(self, count: int = 1, note: str = "") -> None:
        """Count what is finished; `note` stands beside the rate, e.g. the current reward."""
        self.done, self.note = self.done + count, note

    @property
    def seconds(self) -> float:
        """Return how long it has gone on."""
        return time.monotonic() - self.start

    def __str__(self) -> str:
        """Return the line that tells of it, without the time it has taken."""
        if self.total is None:
            return f"{self.what} …"
        far = f"{self.what}: {self.done:,} of {self.total:,} {self.unit}".rstrip()
        rate = f"{per_second(self.done / max(self.seconds, 1e-9))} {self.unit}/s" if self.done and self.unit else ""
        return ", ".join(part for part in (far, rate, self.note) if part)


def per_second(rate: float) -> str:
    """Return a rate with two digits that say something: 0.067, 1.2, 35, 1,200."""
    return f"{rate:,.0f}" if rate >= 10 else f"{rate:.2g}"


@contextmanager
def activity(
    what: str, total: int | None = None, unit: str = "", after: float = PATIENCE, pulse: float = PULSE
) -> Iterator[Activity]:
    """Tell of something while it is done.

    At a terminal that is a line, with a bar where the `total` is known, that appears once `after` seconds have passed
    and disappears at the end; what is done inside of it has lines below. In a file it is a line every `pulse` seconds,
    about the innermost.
    """
    it, ended = Activity(what, total, unit, after), Event()
    outermost = not _OPEN and os.environ.get("RANK", "0") == "0"  # of several ranks the first tells
    _OPEN.append(it)
    teller = Thread(target=partial(_show, ended) if console.is_interactive else partial(_write, ended, pulse))
    teller.daemon = True
    if outermost:
        teller.start()
    try:
        yield it
    finally:
        if outermost:
            ended.set()
            teller.join()
        _OPEN.remove(it)


def _show(ended: Event) -> None:
    """Keep the lines on a terminal up to date."""
    line, bar = TextColumn("{task.description}", markup=False), BarColumn()
    lines: dict[Activity, TaskID] = {}
    with Progress(line, bar, TimeElapsedColumn(), console=console, transient=True) as shown:
        while not ended.wait(0.1):
            going = [it for it in list(_OPEN) if it in lines or it.seconds >= it.after]
            for it in lines.keys() - going:
                shown.remove_task(lines.pop(it))
            for it in going:
                if it not in lines:
                    lines[it] = shown.add_task("", total=it.total)
                shown.update(lines[it], description=visible(str(it)), completed=it.done)


def _write(ended: Event, pulse: float) -> None:
    """Write a line whenever nothing has been written for some time."""
    while not ended.wait(pulse / 10):
        if time.monotonic() - _SPOKEN[0] >= pulse and (it := next(reversed(list(_OPEN)), None)) is not None:
            say(f"{it} ({it.seconds:.0f} s)")


def say(text: str) -> None:
    """Print one line on standard error; the text is not interpreted as markup."""
    _SPOKEN[0] = time.monotonic()
    console.print(text, markup=False, highlight=False, soft_wrap=True)
