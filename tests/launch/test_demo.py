"""The whole experiment from the command line, on random models: interrupted, finished, and run again."""

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

import pandas as pd
import pytest

from rostrum.launch.arms import Training
from rostrum.launch.cli import main
from rostrum.trainer.evaluation.preregistration import lock
from tests.launch.here import run_here

pytestmark = pytest.mark.long

OTHERS = [f"~arms.{name}" for name in ("debate-unconstrained", "debate-penalty-only", "consultancy-penalty-only")]
START = (
    "import signal, sys\nsignal.signal(signal.SIGINT, signal.default_int_handler)\n"
    "from rostrum.launch.cli import main\nsys.exit(main(sys.argv[1:]))"
)
"""A background process may have been started with interruptions ignored."""


@pytest.fixture(scope="module")
def arguments(small: list[str], tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    folder = tmp_path_factory.mktemp("demo") / "out"
    return ["demo", *small, f"output={folder}", *OTHERS]


@pytest.fixture(scope="module")
def planned(arguments: list[str]) -> Path:
    """The folder, with its plan, before anything is run."""
    assert main(["plan", *arguments[1:]]) == 0
    return _folder(arguments)


@pytest.fixture(scope="module")
def interrupted(arguments: list[str], planned: Path) -> tuple[int, str]:
    """Exit code and standard error of a demo that was interrupted after the first iteration of its first arm."""
    folder = _folder(arguments)
    command = [sys.executable, "-c", START, *arguments]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as process:
        while not list(folder.glob("arms/*/metrics.jsonl")) and process.poll() is None:
            time.sleep(0.1)
        process.send_signal(signal.SIGINT)
        _, error = process.communicate()
    return process.returncode, error


@pytest.fixture(scope="module")
def finished(arguments: list[str], interrupted: tuple[int, str]) -> Path:
    """The demo, started once more: its arms are trained by processes of their own and evaluated in this one."""
    start = Training._start

    def started(arm: Training, words: Sequence[str], variables: Mapping[str, str]) -> None:
        (run_here if words[0] == "evaluate" else start)(arm, words, variables)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Training, "_start", started)
        assert main(arguments) == 0
    return _folder(arguments)


def _folder(arguments: list[str]) -> Path:
    return Path(next(word for word in arguments if word.startswith("output=")).partition("=")[2])


def test_an_interruption_leaves_no_process_and_says_how_to_go_on(
    arguments: list[str], interrupted: tuple[int, str]
) -> None:
    code, error = interrupted
    assert code == 130, error
    assert f"stopped; continue with `rostrum {' '.join(arguments)}`" in error
    assert not _working_on(_folder(arguments))


def _working_on(folder: Path) -> list[str]:
    """Command lines of processes that name the folder."""
    if not Path("/proc").is_dir():
        pytest.skip("needs /proc")
    found = []
    for process in Path("/proc").glob("[0-9]*"):
        try:
            words = (process / "cmdline").read_bytes().replace(b"\0", b" ").decode()
        except OSError:
            continue
        if str(folder) in words and process.name != str(os.getpid()):
            found.append(words)
    return found


def test_the_second_start_finishes_what_the_first_began(finished: Path) -> None:
    assert (finished / "report.html").stat().st_size > 10_000
    for arm in ("debate", "consultancy"):
        lines = (finished / "arms" / arm / "metrics.jsonl").read_text("utf-8").splitlines()
        assert [json.loads(line)["iteration"] for line in lines] == [1, 2]


def test_the_summary_has_what_scripts_look_for(finished: Path) -> None:
    summary = json.loads((finished / "summary.json").read_text("utf-8"))
    assert [arm["name"] for arm in summary["arms"]] == ["debate", "consultancy"]
    for arm in summary["arms"]:
        assert arm["headline"] in ("raised", "lowered", "no change shown")
        assert {"protocol", "minimum_detectable_change"} <= set(arm)
        assert {"estimate", "low", "high", "by_side"} <= set(arm["win_rate"])
        assert set(arm["win_rate"]["by_side"]) == {"right", "wrong"}
        assert set(arm["verified_quotes"]) == {"base", "trained"}
        wanted = "judge role base trained change low high p n_questions n_stories n_invalid"
        assert set(wanted.split()) <= set(arm["accuracy"][0])
        assert arm["accuracy"][0]["role"] == "reward" and arm["accuracy"][0]["n_questions"] == 12


def test_the_report_says_that_it_went_as_planned(finished: Path) -> None:
    plan = json.loads((finished / "summary.json").read_text("utf-8"))["plan"]
    assert (plan["status"], plan["deviations"]) == ("as planned", [])
    page = (finished / "report.html").read_text("utf-8")
    assert "What was run is what was planned." in page
    assert plan["hash"][:12] in page


def test_what_was_run_verifies_and_what_was_tampered_with_does_not(
    finished: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    run = Path(shutil.copytree(finished, tmp_path / "copy"))
    assert main(["verify", f"run={run}"]) == 0
    shown = capfd.readouterr().out
    assert "0 do not, 0 could not be made" in shown and "differs" not in shown
    summary = json.loads((run / "summary.json").read_text("utf-8"))
    summary["arms"][0]["accuracy"][0]["change"] += 0.04
    (run / "summary.json").write_text(json.dumps(summary), "utf-8")
    config = (run / "arms" / "debate" / "config.yaml").read_text("utf-8")
    (run / "arms" / "debate" / "config.yaml").write_text(config.replace("kl: 0.01", "kl: 0.02"), "utf-8")
    table = pd.read_parquet(run / "arms" / "consultancy" / "verdicts.parquet")
    table.loc[0, "p_mean"] = 1 - table.loc[0, "p_mean"]
    table.to_parquet(run / "arms" / "consultancy" / "verdicts.parquet", index=False)
    lock = (run / "protocol.lock").read_text("utf-8")
    (run / "protocol.lock").write_text(lock.replace('"level": 0.05', '"level": 0.1'), "utf-8")
    assert main(["verify", f"run={run}"]) == 1
    wrong = [line for line in capfd.readouterr().out.splitlines() if line.startswith("  differs")]
    for words in (
        "arms[debate].accuracy[weak-judge].change is",
        "the configuration: not what",
        "consultancy/verdicts.parquet: not the file that was recorded",
        "was changed by hand",
    ):
        assert any(words in line for line in wrong), (words, wrong)


def test_a_third_start_runs_nothing_again(
    finished: Path, arguments: list[str], capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(subprocess, "Popen", lambda *_, **__: pytest.fail("a process was started"))
    assert main(arguments) == 0
    shown = capfd.readouterr().out
    assert "headline" in shown and str(finished / "report.html") in shown


def test_another_configuration_does_not_go_on_with_it(
    finished: Path, arguments: list[str], capfd: pytest.CaptureFixture[str]
) -> None:
    assert main([*arguments, "algorithm.kl=0.5"]) == 2
    error = capfd.readouterr().err
    assert "protocol.lock declares another algorithm.kl" in error and "amend=REASON" in error


def test_a_plan_is_kept_or_amended_and_never_rewritten(
    finished: Path, arguments: list[str], tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    words = ["plan", *(word for word in arguments[1:] if not word.startswith("output=")), f"output={tmp_path}"]
    assert main([*words, "amend=nothing to amend"]) == 2
    assert "to amend" in capfd.readouterr().err
    assert main(words) == 0
    before = (tmp_path / "protocol.lock").read_bytes()
    assert main(words) == 0 and (tmp_path / "protocol.lock").read_bytes() == before
    assert main([*words, "iterations=3"]) == 2
    assert "declares another iterations" in capfd.readouterr().err
    assert main([*words, "iterations=3", "amend=too noisy"]) == 0
    first, second = lock.read(tmp_path)
    assert (second.reason, second.previous) == ("too noisy", first.hash)
    assert second.changes == (
        "another iterations",
        *(f"another arms.{a}.{k}" for a in ("debate", "consultancy") for k in ("iterations", "stop")),
    )


def test_what_has_been_begun_is_not_planned_any_more(
    finished: Path, arguments: list[str], tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    run = Path(shutil.copytree(finished, tmp_path / "copy"))
    (run / "protocol.lock").unlink()
    words = [f"output={run}" if word.startswith("output=") else word for word in arguments[1:]]
    assert main(["plan", *words]) == 2
    assert "has already been begun" in capfd.readouterr().err
    assert main(["report", f"run={run}"]) == 0
    summary = json.loads((run / "summary.json").read_text("utf-8"))
    assert summary["plan"] == {"status": "nothing was declared beforehand", "deviations": []}
    assert "Nothing was declared beforehand" in (run / "report.html").read_text("utf-8")


@pytest.mark.parametrize(
    ("override", "said"),
    [
        ("plan.arm=debat", "plan.arm=debat is none"),
        ("plan.judge=nobody", "no judge of the arm"),
        ("plan.invalid=perhaps", "plan.invalid"),
    ],
)
def test_a_plan_that_cannot_be_made_is_refused(
    override: str, said: str, arguments: list[str], tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    words = [word for word in arguments[1:] if not word.startswith("output=")]
    assert main(["plan", *words, f"output={tmp_path}/new", override]) == 2
    error = capfd.readouterr().err
    assert said in error and error.count("\n") == 1


def test_a_failing_arm_ends_the_demo_with_its_words_and_its_code(
    small: list[str], tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    arguments = ["demo", *small, f"output={tmp_path}/demo", *OTHERS, "~arms.consultancy"]
    assert main([*arguments, "algorithm.minibatches=3"]) == 2
    error = capfd.readouterr().err
    assert "do not divide" in error and "arm debate failed" in error and "log.txt" in error
    assert not _working_on(tmp_path)
