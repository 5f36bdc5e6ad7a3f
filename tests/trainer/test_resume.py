"""A run that is cut off at any moment and started again ends as if nothing had happened."""

import multiprocessing
import os
import pkgutil
import random
import signal
import sys
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from rostrum.trainer.config import Config
from rostrum.trainer.cost import OF_THE_MACHINE
from rostrum.trainer.store.run_folder import STATE, RunFolder, append_line, read_lines
from rostrum.trainer.train import train

pytestmark = pytest.mark.long

PPO = (
    "iterations=5",
    "save_every=2",
    "algorithm=rae",
    "algorithm.epochs=2",
    "algorithm.minibatches=2",
    "algorithm.questions_per_iteration=2",
    "algorithm.learning_rate=3e-3",
)
DPO = (
    "algorithm=dpo",
    "iterations=5",
    "algorithm.min_gap=0",
    "algorithm.questions_per_iteration=2",
    "algorithm.learning_rate=3e-3",
    "algorithm.reference=previous",
)
PROCESSES = multiprocessing.get_context("forkserver")
"""Processes of their own that have what a run needs loaded already, by one server for all of them."""
PROCESSES.set_forkserver_preload(["rostrum.trainer.train"])


def metrics(settings: Config) -> list[dict[str, Any]]:
    rows = read_lines(RunFolder(settings.output).metrics)
    return [{key: value for key, value in row.items() if key not in OF_THE_MACHINE} for row in rows]


def debates(settings: Config) -> list[tuple[Any, ...]]:
    """Iteration, match and branch of every stored debate."""
    found = []
    for line in read_lines(RunFolder(settings.output).transcripts):
        provenance = line["record"]["provenance"]
        found.append((line["extra"]["iteration"], provenance["match"], provenance["branch"]))
    return found


def kill_after(settings: Config, lines: int, pause: float) -> None:
    """Starts the run as a process of its own and kills it `pause` seconds after that many iterations were recorded."""
    process = PROCESSES.Process(target=train, args=(settings,))
    process.start()
    deadline = time.monotonic() + 240
    while len(read_lines(RunFolder(settings.output).metrics)) < lines:
        assert process.is_alive(), "the run ended by itself"
        assert time.monotonic() < deadline, "the run does not get on"
        time.sleep(0.005)
    time.sleep(pause)
    os.kill(process.pid, signal.SIGKILL)
    process.join()
    assert process.exitcode == -signal.SIGKILL, "it was killed before its end"


@pytest.mark.parametrize(("algorithm", "seed"), [(PPO, 1), (DPO, 2)], ids=["ppo", "dpo"])
def test_killed_and_resumed_equals_undisturbed(
    configure: Callable[..., Config], tmp_path: Path, algorithm: tuple[str, ...], seed: int
) -> None:
    whole, killed = (configure(*algorithm, f"output={tmp_path}/{name}") for name in ("whole", "killed"))
    final = train(whole)
    moment = random.Random(seed)
    kill_after(killed, lines=moment.randint(3, 4), pause=moment.uniform(0, 0.4))
    before = len(metrics(killed))
    assert train(killed) == killed.output / "policies" / "iteration-0005"
    assert before < 5, "it was killed before its end"
    assert metrics(killed) == metrics(whole)
    assert Counter(debates(killed)) == Counter(debates(whole)) and max(Counter(debates(killed)).values()) == 1
    names = {path.name for path in RunFolder(whole.output).policies.iterdir()}
    assert {path.name for path in RunFolder(killed.output).policies.iterdir()} == names
    weights = [folder / "model.safetensors" for folder in (final, killed.output / "policies" / "iteration-0005")]
    assert weights[0].read_bytes() == weights[1].read_bytes()


class PowerCut(BaseException):
    """Nothing in the program may catch this."""


@pytest.mark.parametrize(("cut", "algorithm"), [("before the first checkpoint", "ppo"), ("while saving", "rae")])
def test_cut_off_where_it_hurts(
    configure: Callable[..., Config], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, cut: str, algorithm: str
) -> None:
    """Before anything was saved (iteration 2 of 2), and when a checkpoint lacks only our own last file."""
    every = "save_every=2" if "before" in cut else "save_every=1"
    small = (*PPO, f"algorithm={algorithm}", "iterations=3", every, "algorithm.share_prefix=always")
    whole, broken = (configure(*small, f"output={tmp_path}/{name}") for name in ("whole", "broken"))
    train(whole)
    target = "rostrum.trainer.session.Session.record" if "before" in cut else "rostrum.trainer.store.checkpoints.seal"

    def fail(*arguments: Any) -> None:
        if len(read_lines(RunFolder(broken.output).metrics)) >= (1 if "before" in cut else 2):
            raise PowerCut
        original(*arguments)

    original = pkgutil.resolve_name(target)
    with monkeypatch.context() as patch, pytest.raises(PowerCut):
        patch.setattr(target, fail)
        train(broken)
    assert metrics(broken) != metrics(whole)
    train(broken)
    assert metrics(broken) == metrics(whole)
    assert debates(broken) == debates(whole)


def test_a_finished_run_started_again_does_nothing(configure: Callable[..., Config]) -> None:
    settings = configure("iterations=2")
    final = train(settings)
    before = (RunFolder(settings.output).metrics.read_bytes(), (final / "model.safetensors").read_bytes())
    assert train(settings) == final
    assert (RunFolder(settings.output).metrics.read_bytes(), (final / "model.safetensors").read_bytes()) == before


def test_an_adapters_run_resumes(
    configure: Callable[..., Config], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    small = (*PPO, "iterations=3", "save_every=1", "debater.lora.rank=4", "algorithm=ppo")
    whole, broken = (configure(*small, f"output={tmp_path}/{name}") for name in ("whole", "broken"))
    train(whole)
    with monkeypatch.context() as patch, pytest.raises(PowerCut):
        record = sys.modules["rostrum.trainer.session"].Session.record

        def fail(self: Any, learned: dict[str, Any], seconds: dict[str, float]) -> None:
            if len(read_lines(RunFolder(broken.output).metrics)) == 2:
                raise PowerCut
            record(self, learned, seconds)

        patch.setattr("rostrum.trainer.session.Session.record", fail)
        train(broken)
    train(broken)
    assert metrics(broken) == metrics(whole)


def test_cutting_back_forgets_later_iterations_and_torn_lines(tmp_path: Path) -> None:
    folder = RunFolder(tmp_path)
    for iteration in (1, 2, 3):
        append_line(folder.metrics, {"iteration": iteration})
        look = {"iteration": iteration, "stop": iteration == 3, "suspicious": False, "by_question": {}}
        append_line(folder.monitor, look)
        append_line(folder.transcripts, {"extra": {"iteration": iteration}})
        folder.policy(iteration).mkdir(parents=True)
        (folder.trainer / f"checkpoint-{iteration}").mkdir(parents=True)
    (folder.trainer / "checkpoint-2" / STATE).write_text('{"iteration": 2}', "utf-8")
    with folder.metrics.open("a") as file:
        file.write('{"iterat')
    found = folder.checkpoint()
    assert found is not None and (found[0].name, found[1]) == ("checkpoint-2", {"iteration": 2})
    assert (folder.stopped(), folder.final(5)) == (3, 3)
    folder.cut_back(2)
    assert [look["iteration"] for look in read_lines(folder.monitor)] == [1, 2]
    assert (folder.stopped(), folder.final(5)) == (None, 5)
    assert read_lines(folder.metrics) == [{"iteration": 1}, {"iteration": 2}]
    assert len(read_lines(folder.transcripts)) == 2 and folder.metrics.read_text("utf-8").endswith("}\n")
    assert folder.published() == [1, 2]
    assert [path.name for path in folder.trainer.iterdir()] == ["checkpoint-2"]
