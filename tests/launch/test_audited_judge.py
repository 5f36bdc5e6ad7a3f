"""Training asks for the judge's audit: none is said, a failed one is refused, another judge's is refused."""

import json
import shutil
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest

from rostrum.launch.cli import main
from rostrum.trainer.store.run_folder import RunFolder

Refused = Callable[..., str]


@pytest.fixture(scope="module")
def audit(small: Sequence[str], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The audit.json of the small runs' random judge, which fails."""
    folder = tmp_path_factory.mktemp("audit") / "audit"
    judge = [override for override in small if override.startswith(("judge.", "debater.", "heldout_judges"))]
    assert main(["audit", *judge, "questions.heldout=6", "audit.questions=6", f"output={folder}"]) == 0
    return folder / "audit.json"


@pytest.fixture
def passed(audit: Path, tmp_path: Path) -> Path:
    """The same audit with thresholds that the judge meets."""
    record = json.loads(audit.read_text("utf-8"))
    record["arms"][0] |= {"passed": True, "checks": []}
    (tmp_path / "passed.json").write_text(json.dumps(record))
    return tmp_path / "passed.json"


def manifest(run: Path) -> object:
    return json.loads(RunFolder(run).manifest.read_text("utf-8"))["audit"]


def test_a_judge_that_was_not_audited_is_told(
    small: list[str], tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    assert main(["train", *small, "iterations=1", f"output={tmp_path}/run"]) == 0
    assert capfd.readouterr().err.count("The judge weak-judge has not been audited") == 1
    assert manifest(tmp_path / "run") is None


def test_a_failed_audit_is_refused_unless_one_is_content_with_a_warning(
    small: list[str], audit: Path, tmp_path: Path, refused: Refused, capfd: pytest.CaptureFixture[str]
) -> None:
    run = ("train", *small, "iterations=1", f"output={tmp_path}/run", f"judge.audited={audit}")
    error = refused(*run)
    assert "failed its audit in" in error and "judge.audit=warn" in error
    assert not RunFolder(tmp_path / "run").config.exists()
    assert main([*run, "judge.audit=warn"]) == 0
    assert "training goes on since judge.audit=warn" in capfd.readouterr().err
    recorded = manifest(tmp_path / "run")
    assert recorded["passed"] is False and recorded["failed"] and recorded["file"] == str(audit)


def test_a_passed_audit_is_recorded(
    small: list[str], passed: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    assert main(["train", *small, "iterations=1", f"output={tmp_path}/run", f"judge.audited={passed}"]) == 0
    assert "passed its audit" in capfd.readouterr().err
    recorded = manifest(tmp_path / "run")
    assert (recorded["passed"], recorded["failed"]) == (True, [])


@pytest.mark.parametrize(
    ("override", "what"),
    [
        ("judge.name=other", "name differs"),
        ("judge.order=given", "settings differ"),
        ("judge.model={model}", "weights differ"),
    ],
)
def test_the_audit_of_another_judge_is_refused(
    override: str, what: str, small: list[str], passed: Path, tiny: Path, refused: Refused, tmp_path: Path
) -> None:
    changed = shutil.copytree(tiny / "judge", tmp_path / "changed")
    record = json.loads(passed.read_text("utf-8"))
    if "{model}" in override:  # the same settings, other weights: the file in the folder has been exchanged
        shutil.copy(tiny / "debater" / "model.safetensors", changed / "model.safetensors")
        judge = record["arms"][0]["judge"]
        judge["settings"]["model"] = str(changed)
        judge["weights"] = {str(changed): next(iter(judge["weights"].values()))}
        passed.write_text(json.dumps(record))
    run = ("train", *small, f"output={tmp_path}/run", f"judge.audited={passed}")
    assert what in refused(*run, override.format(model=changed), "judge.audit=warn")


def test_batch_size_is_no_other_judge(small: list[str], passed: Path, tmp_path: Path) -> None:
    run = ("train", *small, "iterations=1", f"output={tmp_path}/run", f"judge.audited={passed}", "judge.batch_size=3")
    assert main(run) == 0


@pytest.mark.parametrize("text", [None, "{", "[]", '{"arms": 3}', '{"arms": []}', '{"arms": [{}]}'])
def test_what_is_no_audit_is_refused(text: str | None, small: list[str], tmp_path: Path, refused: Refused) -> None:
    path = tmp_path / "audit.json"
    if text is not None:
        path.write_text(text)
    assert str(path) in refused("train", *small, f"output={tmp_path}/run", f"judge.audited={path}")
