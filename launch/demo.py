"""`rostrum demo`: every arm of an experiment at once, each in its own process, and one report on all of them.

Processes because tiny models do not get faster with threads: each arm computes on one.
"""

import os
import subprocess
import time
from collections.abc import Sequence
from pathlib import Path

from rich.live import Live
from rich.table import Table
from rich.text import Text

from envs.quotes import escape_markup
from launch import compose, manifest, saved
from launch.arms import LOG, Arm, Status
from launch.errors import LaunchError, continued_with, tell
from launch.results import show_summary
from trainer.config import Config
from trainer.progress import console, say
from trainer.run_folder import RunFolder

INTERVAL = 0.5
"""Seconds between looks at the arms."""
FIGURES = (
    ("reward", "reward", "+.2f"),
    ("verified_quotes", "verified quotes", ".0%"),
    ("debates_per_second", "debates/s", ".0f"),
)
"""What is shown of the last iteration: its name in metrics.jsonl, its label, its format."""


def demo(overrides: Sequence[str]) -> int:
    """Runs what is not finished yet of an experiment, then reports; returns 0, or the code of an arm that failed."""
    given = list(overrides) if _sets(overrides, "experiment") else ["experiment=demo", *overrides]
    config = compose.load(given)
    arms = _arms(config, given)
    with saved.reserved(config.output), continued_with(" ".join(["rostrum demo", *overrides])):
        _begin(config, arms)
        try:
            _run(arms, _environment(arms))
        except subprocess.CalledProcessError as failed:
            return _failed(failed, config.output)
        from trainer.experiment import report

        summary = report(config.output, list(config.arms))
        manifest.finish(RunFolder(config.output).manifest)
    show_summary(summary, config.output)
    return 0


def _sets(overrides: Sequence[str], key: str) -> bool:
    return any(override.lstrip("+").partition("=")[0] == key for override in overrides)


def _arms(config: Config, given: Sequence[str]) -> list[Arm]:
    if not config.arms:
        raise LaunchError("The experiment has no arms: name them under `arms`, as configs/experiment/demo.yaml does.")
    shared = [override for override in given if override.partition("=")[0] != "output"]
    for name, own in config.arms.items():
        for override in own:
            if _sets(shared, key := override.partition("=")[0]):
                raise LaunchError(f"{key} is what the arms differ in: change it with 'arms.{name}=[...]' instead.")
    return [Arm(name, [*shared, *own], config.output / "arms" / name) for name, own in config.arms.items()]


def _begin(config: Config, arms: Sequence[Arm]) -> None:
    """An experiment in the same folder is gone on with if it is the same one."""
    folder = RunFolder(config.output)
    if not folder.config.exists():
        title = f"Does persuasion training make the judge right more often? ({config.output.name})"
        manifest.write(folder.manifest, config, title)
        compose.save(config, folder.config)
    elif key := saved.difference(saved.run_config(config.output), config):
        raise LaunchError(f"{config.output} holds something with another {key}: choose another output=FOLDER.")
    for arm in arms:
        arm.check()


def _environment(arms: Sequence[Arm]) -> dict[str, str]:
    """For the children: one thread each unless told otherwise, and no look at the hub where every model is at hand."""
    settings = {"OMP_NUM_THREADS": os.environ.get("OMP_NUM_THREADS", "1")}
    models = [arm.config.debater.model for arm in arms]
    models += [judge.model for arm in arms for judge in arm.config.judge_models if judge.endpoint is None]
    if all(model.startswith("embedded/") or Path(model).is_dir() for model in models):
        settings["HF_HUB_OFFLINE"] = "1"
    return settings


def _run(arms: Sequence[Arm], environment: dict[str, str]) -> None:
    """Until every arm is finished. However this ends, no child is left behind."""
    view = _View(arms)
    try:
        with view.live:
            while any([arm.step(environment) for arm in arms]):  # a list: every arm is to take its step
                view.show()
                time.sleep(INTERVAL)
            view.show()
    finally:
        for arm in arms:
            arm.stop()
        for arm in arms:
            arm.ended()


class _View:
    """One row per arm in a terminal; elsewhere a line whenever an arm has come further."""

    def __init__(self, arms: Sequence[Arm]) -> None:
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


def _failed(failed: subprocess.CalledProcessError, output: Path) -> int:
    """An arm's own last words, and where the rest of them is."""
    say(escape_markup(str(failed.output)))
    log = output / "arms" / str(failed.cmd) / LOG
    tell(f"arm {failed.cmd} failed: see {log}, mend it, and run the same command again.")
    return failed.returncode if failed.returncode > 0 else 1
