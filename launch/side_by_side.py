"""Runs several trainings at once, each in its own process, and shows how far they are."""

import os
import subprocess
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Protocol

from rich.live import Live
from rich.table import Table
from rich.text import Text

from rostrum.envs.text.quotes import escape_markup
from rostrum.launch.arms import Status, Training
from rostrum.launch.errors import tell
from rostrum.launch.saved import LOG
from rostrum.trainer.progress import console, say

INTERVAL = 0.5
"""Seconds between looks at the arms."""
FIGURES = (
    ("reward", "reward", "+.2f"),
    ("verified_quotes", "verified quotes", ".0%"),
    ("debates_per_second", "debates/s", ".0f"),
)
"""What is shown of the last iteration: its name in metrics.jsonl, its label, its format."""


def run(arms: Sequence[Training], at_once: int | None = None, interval: float = INTERVAL) -> None:
    """Run every arm until it is finished, at most `at_once` of them side by side (None: as many as there are CPUs, and
    at least two); look at them every `interval` seconds. However this ends, no child is left behind.

    Raises:
        subprocess.CalledProcessError: a child failed, see `failed`.
    """
    view, variables = View(arms), variables_of(arms)
    most = at_once or max(2, os.cpu_count() or 1)
    waiting, running = [*arms], list[Training]()
    try:
        with view.live:
            while waiting or running:
                while waiting and len(running) < most:
                    running.append(waiting.pop(0))
                running = [arm for arm in running if arm.step(variables)]
                view.show()
                time.sleep(interval if running else 0)
            view.show()
    finally:
        for arm in arms:
            arm.stop()
        for arm in arms:
            arm.ended()


def failed(error: subprocess.CalledProcessError, folder: Path) -> int:
    """Tell a failed arm's own last words, and where the rest of them is; return the exit code."""
    say(escape_markup(str(error.output)))
    tell(f"arm {error.cmd} failed: see {folder / LOG}, mend it, and run the same command again.")
    return error.returncode if error.returncode > 0 else 1


def variables_of(arms: Sequence[Training], threads: int = 1) -> dict[str, str]:
    """Return the children's variables: so many threads each unless told otherwise, and no look at the hub where every
    model is on this disk."""
    settings = {"OMP_NUM_THREADS": os.environ.get("OMP_NUM_THREADS", str(threads))}
    models = [debater.model for arm in arms for debater in arm.config.debaters]
    models += [judge.model for arm in arms for judge in arm.config.judge_models if judge.endpoint is None]
    if all(model.startswith("embedded/") or Path(model).is_dir() for model in models):
        settings["HF_HUB_OFFLINE"] = "1"
    return settings


class Watched(Protocol):
    """What has a name and can say how far it is."""

    @property
    def name(self) -> str: ...

    def status(self) -> Status: ...


class View:
    """One row per arm in a terminal; elsewhere a line whenever an arm has come further."""

    def __init__(self, arms: Sequence[Watched]) -> None:
        self._arms, self._said = arms, dict[str, str]()
        self.live = Live(console=console, auto_refresh=False, transient=True)

    def show(self) -> None:
        states = {arm.name: arm.status() for arm in self._arms}
        if console.is_terminal:
            self.live.update(_progress(states), refresh=True)
            return
        for name, status in states.items():
            if self._said.get(name) != status.stage:
                self._said[name] = status.stage
                say("  ".join([name, status.stage, *_figures(status)]))


def _progress(states: dict[str, Status]) -> Table:
    table = Table("arm", "stage", *(label for _, label, _ in FIGURES), box=None)
    for name, status in states.items():
        table.add_row(Text(name), status.stage, *(_figure(status, key, form) for key, _, form in FIGURES))
    return table


def _figures(status: Status) -> list[str]:
    return [f"{label} {_figure(status, key, form)}" for key, label, form in FIGURES] if status.metrics else []


def _figure(status: Status, key: str, form: str) -> str:
    value = status.metrics.get(key)
    return "" if value is None else f"{value:{form}}"
