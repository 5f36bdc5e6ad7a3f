"""Commands that are called from a program of somebody's: they leave nothing behind, and speak to any terminal."""

import io
import os
import shutil
import signal
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace

import pytest

from rostrum.launch.cli import main
from rostrum.trainer.cluster import cluster


def report(does: Callable[[], int]) -> int:
    """Run `rostrum report` with a function in the place of what it does."""
    return main(["report"], lambda _: lambda _: does())


def test_nothing_stays_behind(monkeypatch: pytest.MonkeyPatch) -> None:
    ray = SimpleNamespace(running=False, is_initialized=lambda: ray.running)
    monkeypatch.setitem(sys.modules, "ray", ray)
    monkeypatch.setattr(cluster, "leave", lambda: setattr(ray, "running", False))
    monkeypatch.setenv("KEPT", "before")
    monkeypatch.delenv("WANDB_SILENT", raising=False)

    def does() -> int:
        assert signal.getsignal(signal.SIGTERM) is signal.default_int_handler and os.environ["WANDB_SILENT"]
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        os.environ.update(KEPT="after", NEW="1")
        os.environ.pop("HOME", None)
        ray.running = True
        return 3

    before = dict(os.environ), [signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGINT)]
    assert report(does) == 3
    assert (dict(os.environ), [signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGINT)]) == before
    assert not ray.running
    ray.running = True
    assert report(does) == 3 and ray.running, "a Ray that was there before is its owner's"


def test_a_command_can_be_called_from_a_thread() -> None:
    codes: list[int] = []
    before = signal.getsignal(signal.SIGTERM)
    thread = threading.Thread(target=lambda: codes.append(report(lambda: 4)))
    thread.start()
    thread.join()
    assert codes == [4] and signal.getsignal(signal.SIGTERM) is before


@pytest.mark.parametrize("encoding", ["ascii", "latin-1"])
def test_a_debate_is_shown_in_a_terminal_that_is_not_utf_8(
    encoding: str, trained: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = Path(shutil.copytree(trained, tmp_path / "Läufe-Ω"))
    shown = io.TextIOWrapper(io.BytesIO(), encoding=encoding)
    monkeypatch.setattr(sys, "stdout", shown)
    assert main(["debate", f"a={run}", "questions.heldout=2"]) == 0
    shown.flush()
    text = shown.buffer.getvalue().decode(encoding)  # type: ignore[attr-defined]
    assert "P(A) = " in text and "#" in text and "judge picks" in text
    assert shown.errors == "strict", "as it was"


def test_verify_keeps_its_exit_code_when_nobody_reads_on(
    trained: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = Path(shutil.copytree(trained, tmp_path / "run"))
    (run / "verdicts.parquet").write_text("none", "utf-8")
    reading, writing = os.pipe()
    os.close(reading)
    with open(writing, "w") as pipe:
        monkeypatch.setattr(sys, "stdout", pipe)
        assert main(["verify", f"run={run}"]) == 1
