"""What has not one valid verdict stops with exit code 2, the commonest reason, and a text that could not be read."""

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from rostrum.envs.types import Failure
from rostrum.launch.cli import main
from rostrum.rewards.types import Verdict
from rostrum.trainer.rollouts.local import Worker
from rostrum.trainer.rollouts.unjudged import NothingJudgedError, check_judged, check_rows
from rostrum.trainer.store.run_folder import RunFolder, read_lines

INVALID = Verdict("j", None, None, valid=False, reason="no verdict in it", unreadable="Verdict: A\x1b[31m or B?")


def last_line(capfd: pytest.CaptureFixture[str]) -> str:
    return capfd.readouterr().err.strip().splitlines()[-1]


def test_a_training_without_a_valid_verdict_stops(
    small: list[str], tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    assert main(["train", *small, "judge.min_mass=1", f"output={tmp_path}/run"]) == 2
    said = last_line(capfd)
    assert said.startswith("rostrum: There is not one valid verdict in iteration 1: 8 verdicts are INVALID, ")
    assert "the two answers hold only" in said and "`rostrum debate`" in said
    folder = RunFolder(tmp_path / "run")
    assert len(read_lines(folder.transcripts)) == 8, "what was said is kept"
    assert not folder.metrics.exists()


def test_a_training_in_which_every_debate_fails_stops(
    small: list[str], tmp_path: Path, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(self: Worker, shard: object, policies: object) -> list[Failure]:
        return [Failure(matchup.question.id, False, "the table was too small") for matchup in shard.matchups]  # type: ignore

    monkeypatch.setattr(Worker, "play", fail)
    assert main(["train", *small, f"output={tmp_path}/run"]) == 2
    assert "8 debates failed, 8 of them because the table was too small" in last_line(capfd)


@pytest.mark.parametrize("command", ["evaluate", "compare", "tournament"])
def test_nothing_is_measured_by_a_judge_that_says_nothing(
    command: str, trained: Path, tmp_path: Path, plant: Callable[..., object], capfd: pytest.CaptureFixture[str]
) -> None:
    run = shutil.copytree(trained, tmp_path / "run")
    plant(invalid_every=1)
    words = {
        "evaluate": [f"run={run}"],
        "compare": [f"run={run}", "arms=debate,consultancy", f"output={tmp_path}/out"],
        "tournament": [f"runs={run}", f"output={tmp_path}/out"],
    }
    assert main([command, *words[command], "questions.heldout=2"]) == 2
    said = last_line(capfd)
    assert "There is not one valid verdict in the " in said and "of them because planted" in said
    assert not (run / "verdicts.parquet").exists() and not (tmp_path / "out" / "verdicts.parquet").exists()


def test_the_commonest_reason_and_one_text_are_shown() -> None:
    failures = [Failure("q", False, "too long")] * 2
    with pytest.raises(NothingJudgedError) as stopped:
        check_judged("iteration 3", [INVALID] * 3, failures)
    said = str(stopped.value)
    assert "2 debates failed and 3 verdicts are INVALID, 3 of them because no verdict in it" in said
    assert "reads 'Verdict: A [31m or B?'" in said, "as it is safe to show in a terminal"
    rows = [{"valid": False, "reason": "the debate failed: too long"}] * 2
    with pytest.raises(NothingJudgedError, match="2 debates failed, 2 of them because too long"):
        check_rows("the debates of base", rows)


def test_one_valid_verdict_is_enough() -> None:
    check_judged("iteration 1", [INVALID, Verdict("j", 0.5, 0.5)], [Failure("q", False, "too long")])
    check_judged("iteration 1", [])
    check_rows("an arm", [])
    check_rows("an arm", [{"valid": True, "reason": ""}, {"valid": False, "reason": "x"}])
