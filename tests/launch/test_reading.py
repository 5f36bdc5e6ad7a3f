"""What an evaluation leaves to be read: debates, transcripts, a page per arm, and logs for inspect_ai."""

import json
import shutil
import zipfile
from collections.abc import Callable, Sequence
from hashlib import sha256
from pathlib import Path

import pandas as pd
import pytest

from rostrum.envs import transcripts
from rostrum.envs.types import Transcript
from rostrum.launch.cli import main
from rostrum.rewards.types import Usage, Verdict
from rostrum.trainer.evaluation.notable import most_persuasive_wrong, most_surprising_failures, of_training
from rostrum.trainer.report.arms.cases import key_of
from rostrum.trainer.report.inputs import read_run


class Dice:
    """A judge whose verdict hangs on every word and on the speaker's version, and on nothing else."""

    name, usage = "weak-judge", Usage()

    def judge(self, transcripts: Sequence[Transcript]) -> list[Verdict]:
        return [self._verdict(transcript) for transcript in transcripts]

    def _verdict(self, transcript: Transcript) -> Verdict:
        said = "/".join(f"{s.side}{s.policy}{s.policy_version}{s.raw}" for s in transcript.speeches)
        digest = sha256(f"{transcript.question.id}{transcript.swapped_seats}{said}".encode()).digest()
        p = (digest[0] + 0.5) / 256
        return Verdict(self.name, p, p)


@pytest.fixture(scope="module")
def evaluated(trained: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Six held-out questions, of which the first debate and the most notable one of either kind are kept."""
    run = shutil.copytree(trained, tmp_path_factory.mktemp("reading") / "run")
    fast = ["questions.heldout=6", "evaluation.browser_debates=1", "evaluation.attacks=0"]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("rostrum.trainer.setup.judge", lambda *settings: Dice())
        assert main(["evaluate", f"run={run}", *fast]) == 0
    return run


def test_the_debates_that_the_lists_name_are_kept_with_what_the_base_had_said(evaluated: Path) -> None:
    table = pd.read_parquet(evaluated / "verdicts.parquet")
    rows = table[(table["arm"] != "") & (table["judge_role"] == "reward")]
    later, base = of_training(rows), rows[rows["checkpoint"] == "base"]
    failures = most_surprising_failures(later, base, 1)
    wrong = most_persuasive_wrong(later, 1)
    assert len(failures) and len(wrong), "the dice have fallen both ways"
    kept = {key_of(debate) for debate in read_run(evaluated).debates}
    for row in [*wrong.to_dict("records"), *failures.to_dict("records")]:
        found = (row["question_id"], row["swapped_seats"], row["checkpoint_seats"])
        assert (row["checkpoint"], row["matchup"], *found) in kept
    for row in failures.to_dict("records"):
        assert ("base", "self", row["question_id"], row["swapped_seats"], "AB") in kept
    lines = (evaluated / "debates.jsonl").read_text("utf-8").splitlines()
    assert len(kept) == len(lines) and all(len(json.loads(line)["p_after"]) == 5 for line in lines)


def test_every_debate_that_was_judged_has_its_transcript(evaluated: Path) -> None:
    table = pd.read_parquet(evaluated / "verdicts.parquet")
    parts = sorted((evaluated / "evaluation").glob("*.transcripts.jsonl"))
    stored = [record for part in parts for record in transcripts.read(part)]
    judged = table[(table["arm"] != "") & (table["judge_role"] == "reward")]
    assert len(stored) == len(judged) == 3 * 12


def test_there_is_a_page_with_its_figures(evaluated: Path) -> None:
    assert [path.name for path in (evaluated / "pages").iterdir()] == ["run.html"]
    assert 'href="pages/run.html"' in (evaluated / "report.html").read_text("utf-8")
    page = (evaluated / "pages" / "run.html").read_text("utf-8")
    assert "Brier score" in page and "Most persuasive wrong debates" in page and "Most surprising failures" in page
    assert (evaluated / "figures" / "checkpoints-run-judge-accuracy.svg").is_file()


def test_logs_are_exported_from_the_command_line(
    evaluated: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    assert main(["export-logs", f"run={evaluated}", f"output={tmp_path}/logs"]) == 0
    assert "3 logs are in" in capfd.readouterr().err
    (one, *_) = logs = sorted((tmp_path / "logs").iterdir())
    assert len(logs) == 3
    with zipfile.ZipFile(one) as log:
        assert len([name for name in log.namelist() if name.startswith("samples/")]) == 12


def test_logs_of_a_run_that_was_moved_and_renamed_are_the_same(evaluated: Path, tmp_path: Path) -> None:
    moved = Path(shutil.copytree(evaluated, tmp_path / "archive" / "Run of 2026, final"))
    assert main(["export-logs", f"run={evaluated}", f"output={tmp_path}/before"]) == 0
    assert main(["export-logs", f"run={moved}", f"output={tmp_path}/after"]) == 0
    before, after = (sorted((tmp_path / name).iterdir()) for name in ("before", "after"))
    assert [path.name for path in before] == [path.name for path in after] and len(after) == 3
    for one, other in zip(before, after, strict=True):
        with zipfile.ZipFile(one) as log, zipfile.ZipFile(other) as same:
            assert log.namelist() == same.namelist()
            assert all(log.read(name) == same.read(name) for name in log.namelist() if name.startswith("samples/"))


def test_what_cannot_be_exported_is_refused(trained: Path, tmp_path: Path, refused: Callable[..., str]) -> None:
    assert "output=FOLDER" in refused("export-logs", f"run={trained}")
    assert "has not been evaluated" in refused("export-logs", f"run={trained}", f"output={tmp_path}/logs")
    (tmp_path / "file").touch()
    assert "is a file" in refused("export-logs", f"run={trained}", f"output={tmp_path}/file")
    assert not (tmp_path / "logs").exists()
