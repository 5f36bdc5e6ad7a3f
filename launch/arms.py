"""Runs in processes of their own: what is to be done next for each, and what is known of how far it is."""

import os
import signal
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rostrum.envs.files import check_way, checked
from rostrum.launch import compose, environment, manifest, saved
from rostrum.launch.errors import LaunchError
from rostrum.launch.saved import LOG
from rostrum.trainer.config import Config
from rostrum.trainer.store.run_folder import RunFolder, read_lines

PATIENCE = 20.0
"""Seconds that a stopped child gets to end by itself."""


@dataclass(frozen=True, slots=True)
class Status:
    """How far a run is. `metrics` is the last line of its metrics.jsonl, empty before the first iteration."""

    stage: str
    metrics: Mapping[str, Any]


class Training:
    """A run that is to be trained, in its folder. `step` starts whatever is to be done next, until nothing is."""

    def __init__(self, name: str, config: Config) -> None:
        self.name, self.folder = name, config.output
        self._config = config
        self._run = RunFolder(self.folder)
        self._child: subprocess.Popen[bytes] | None = None

    @property
    def config(self) -> Config:
        """What it is trained with."""
        return self._config

    def check(self) -> None:
        """Refuse what is already there, if it was made with another configuration.

        Raises:
            LaunchError: it was not.
            FilesError: a link leads to its folder, which the process that is started would follow.
        """
        check_way(self.folder)
        if self._run.config.exists() and (key := saved.difference(saved.run_config(self.folder), self._config)):
            raise LaunchError(
                f"{self.folder} holds a run with another {key}: choose another output=FOLDER, or remove that folder."
            )

    @property
    def trained(self) -> bool:
        return "finished" in manifest.read(self._run.manifest)

    def step(self, variables: Mapping[str, str]) -> bool:
        """Start the next process, with these variables in its environment, if none is running; return False once there
        is nothing left to do. The process ends with this one, however this one ends.

        Raises:
            subprocess.CalledProcessError: the last one failed; its output is the end of its log.
        """
        if self._child is not None:
            code = self._child.poll()
            if code is None:
                return True
            self._child = None
            if code:
                raise subprocess.CalledProcessError(code, self.name, self._end_of_log())
        words = self._next()
        if words:
            self._start(words, variables)
        return bool(words)

    def _next(self) -> list[str]:
        if self.trained:
            return []
        if not self._run.config.exists():
            manifest.write(self._run.manifest, self._config, self.name)
            compose.save(self._config, self._run.config)
        return ["train", f"resume={self.folder}", *saved.confirmations(self._config)]

    def _start(self, words: Sequence[str], variables: Mapping[str, str]) -> None:
        with checked(self.folder / LOG).open("ab") as log:
            self._child = subprocess.Popen(
                [sys.executable, "-P", "-m", "rostrum", *words],
                stdin=subprocess.PIPE,
                stdout=log,
                stderr=log,
                env={**environment.ours_first(), **variables, environment.CHILD: "1"},
                start_new_session=True,
            )

    def stop(self) -> None:
        """Ask the child to end."""
        if self._child is not None and self._child.poll() is None:
            self._child.terminate()

    def ended(self) -> None:
        """Wait for a stopped child, and end it and its own children if it takes too long."""
        if self._child is None:
            return
        try:
            self._child.wait(PATIENCE)
        except subprocess.TimeoutExpired:
            os.killpg(self._child.pid, signal.SIGKILL)
            self._child.wait()

    def status(self) -> Status:
        """Read from the files that the child writes."""
        lines = read_lines(self._run.metrics)
        return Status(" ".join(self._stage(len(lines))), lines[-1] if lines else {})

    def _stage(self, iterations: int) -> Iterator[str]:
        if self.trained:
            yield "finished"
        else:
            begun = "starting" if self._child is not None else "waiting"
            yield f"training, iteration {iterations}/{self._config.iterations}" if iterations else begun

    def _end_of_log(self, lines: int = 12) -> str:
        return "\n".join((self.folder / LOG).read_text("utf-8", errors="replace").splitlines()[-lines:])


class Arm(Training):
    """One arm of an experiment: trained from its overrides, then evaluated."""

    def __init__(self, name: str, overrides: Sequence[str], folder: Path) -> None:
        self.overrides = tuple(overrides)
        self._words = [*overrides, f"output={compose.quoted(folder)}"]
        super().__init__(name, compose.load(self._words))

    @property
    def evaluated(self) -> bool:
        return self.trained and (self.folder / "verdicts.parquet").exists()

    def _next(self) -> list[str]:
        if self.evaluated:
            return []
        given_anew = [override for override in self._words if saved.is_means(override.partition("=")[0])]
        given_anew += saved.confirmations(self._config)
        if self.trained:
            return ["evaluate", f"run={self.folder}", *given_anew]
        resumed = ["train", f"resume={self.folder}", *given_anew]
        return resumed if self._run.config.exists() else ["train", *self._words]

    def _stage(self, iterations: int) -> Iterator[str]:
        if self.trained and not self.evaluated:
            yield f"evaluating, {len(list((self.folder / 'evaluation').glob('*.parquet')))} of {self._parts()} parts"
        else:
            yield from super()._stage(iterations)

    def _parts(self) -> int:
        """Return the references and every chosen checkpoint."""
        chosen, last = self._config.evaluation.checkpoints, self._run.final(self._config.iterations)
        middle = self._run.published() if chosen == "all" else [] if chosen == "final" else chosen
        return 1 + len({0, *middle, last})


def arms_of(config: Config, given: Sequence[str]) -> list[Arm]:
    """Return the arms of an experiment, from its configuration and the overrides that it was composed of.

    Raises:
        LaunchError: there are none, or an override is what they differ in.
    """
    if not config.arms:
        raise LaunchError("The experiment has no arms: name them under `arms`, as configs/experiment/demo.yaml does.")
    shared = [override for override in given if override.partition("=")[0] != "output"]
    for name, own in config.arms.items():
        for override in own:
            if compose.sets(shared, key := override.partition("=")[0]):
                raise LaunchError(f"{key} is what the arms differ in: change it with 'arms.{name}=[...]' instead.")
    return [Arm(name, [*shared, *own], config.output / "arms" / name) for name, own in config.arms.items()]
