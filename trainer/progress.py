"""What the terminal shows while something takes longer than a few seconds."""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from threading import Timer

from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from rostrum.trainer.terminal import Console

console = Console(stderr=True)
PATIENCE = 3.0
"""Seconds that may pass before something tells that it is being waited for."""


@contextmanager
def debates_bar(title: str, total: int) -> Iterator["DebatesBar"]:
    """Show a bar that counts debates, with debates/s and what the judge last thought."""
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn("{task.fields[rate]} {task.fields[note]}"),
        TimeElapsedColumn(),
    )
    with Progress(*columns, console=console, transient=True) as progress:
        yield DebatesBar(progress, title, total)


@contextmanager
def waiting(what: str, after: float = PATIENCE, screen: Console = console) -> Iterator[None]:
    """Show a line with what is waited for and the time it takes, once that is more than `after` seconds; it disappears
    at the end. Where nobody sits at a terminal there is none."""
    if not screen.is_interactive:
        yield
        return
    columns = (TextColumn("{task.description}", markup=False), TimeElapsedColumn())
    progress = Progress(*columns, console=screen, transient=True)
    progress.add_task(what, total=None)
    timer = Timer(after, progress.start)
    timer.daemon = True
    timer.start()
    try:
        yield
    finally:
        timer.cancel()
        timer.join()
        progress.stop()


class DebatesBar:
    """Handed to whoever plays; call `advance` with the debates just finished."""

    def __init__(self, progress: Progress, title: str, total: int) -> None:
        self._progress, self._start, self._done = progress, time.monotonic(), 0
        self._task = progress.add_task(title, total=total, rate="", note="")

    def advance(self, debates: int, note: str = "") -> None:
        """Count finished debates; `note` stands beside the rate, e.g. the current reward."""
        self._done += debates
        rate = self._done / max(time.monotonic() - self._start, 1e-9)
        self._progress.update(self._task, advance=debates, rate=f"{rate:,.0f} debates/s", note=note)


def say(text: str) -> None:
    """Print one line on standard error; the text is not interpreted as markup."""
    console.print(text, markup=False, highlight=False, soft_wrap=True)
