"""A judge that reads the transcript first, as reward, held-out judge and monitor, in an audit beside the old one, and
taught; and what is said where it cannot be had."""

import json
from collections.abc import Callable, Sequence
from pathlib import Path

import pandas as pd
import pytest
import yaml

from rostrum.launch.cli import main
from rostrum.launch.compose import load
from rostrum.trainer.store.judge_identity import difference, fingerprint, identity
from rostrum.trainer.store.provenance import config_hash
from tests.chat_models import write_model

Refused = Callable[..., str]
FIRST = "judge.layout=transcript_first"


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> str:
    """A random chat model as judge."""
    return str(write_model(tmp_path_factory.mktemp("judge") / "chatml", "chatml", context=8192))


@pytest.fixture(scope="module")
def judged(small: list[str], model: str) -> Sequence[str]:
    """A small run with that judge, the transcript first."""
    rest = [word for word in small if not word.startswith("judge.model=")]
    return [*rest, "questions.train=24", "judge=chat", f"judge.model={model}", FIRST, "iterations=1"]


@pytest.mark.broad
def test_a_run_with_it_is_trained_monitored_evaluated_and_reported(
    judged: Sequence[str], model: str, tmp_path: Path
) -> None:
    held_out = {"kind": "likelihood", "name": "held-out", "model": model, "prompts": "prose", "choice": "letter"}
    (tmp_path / "judges.yaml").write_text(yaml.safe_dump([{**held_out, "layout": "transcript_first", "min_mass": 0}]))
    looks = ["monitor.questions=8", "monitor.level=0.4", "evaluation.browser_debates=1", "evaluation.attacks=0"]
    looks += ["questions.heldout=6"]
    run = tmp_path / "run"
    words = [*judged, f"heldout_judges={tmp_path}/judges.yaml", *looks, f"output={run}"]
    assert main(["train", *words, "judge.engine_options.prefix_cache_bytes=1000000"]) == 0
    assert main(["evaluate", f"run={run}"]) == 0
    assert main(["report", f"run={run}"]) == 0
    manifest = json.loads((run / "manifest.json").read_text("utf-8"))
    assert list(manifest["prompts"]) == ["chat, transcript_first", "prose, transcript_first", "testimony"], "by layout"
    shown = [json.loads(line) for line in (run / "debates.jsonl").read_text("utf-8").splitlines()]
    assert shown and all(sorted(debate["read_as"].items())[0][0] == "A" for debate in shown)
    assert {frozenset(debate["read_as"].values()) for debate in shown} == {frozenset("XY")}
    assert (run / "report.html").exists() and (run / "watch.jsonl").exists()
    assert set(pd.read_parquet(run / "verdicts.parquet")["judge"]) == {"judge", "held-out"}


def test_an_audit_names_both_layouts_and_is_no_audit_of_the_other_one(
    judged: Sequence[str], tmp_path: Path, refused: Refused, capfd: pytest.CaptureFixture[str]
) -> None:
    audit = ["audit.questions=2", "audit.attacked=1", "audit.variants=[answers_first,transcript_first]"]
    words = [*judged, "judge.instructions=criteria"]
    assert main(["audit", *words, *audit, f"output={tmp_path}/audit"]) == 0
    record = tmp_path / "audit" / "audit.json"
    arms = json.loads(record.read_text("utf-8"))["arms"]
    assert [arm["name"] for arm in arms] == ["judge", "judge, answers_first", "judge, transcript_first"]
    layouts = [arm["judge"]["settings"].get("layout") for arm in arms]
    assert layouts == ["transcript_first", None, "transcript_first"]
    assert [list(arm["judge"]["prompts"]) for arm in arms] == [
        ["chat, transcript_first"],
        ["chat"],
        ["chat, transcript_first"],
    ]
    assert len({fingerprint(arm["judge"]) for arm in arms}) == 3
    for name in ("answers_first", "transcript_first"):
        assert f"judge, {name}" in (tmp_path / "audit" / "audit.html").read_text("utf-8")
    capfd.readouterr()
    told = refused("train", *words, "judge.layout=answers_first", f"judge.audited={record}", f"output={tmp_path}/run")
    assert "is the audit of another judge than judge (its settings differ)" in told


def test_it_is_another_judge_and_the_default_one_is_what_it_was(model: str) -> None:
    words = ["judge=chat", f"judge.model={model}"]
    old, new = load(words), load([*words, FIRST])
    assert load([*words, "judge.layout=answers_first"]) == old and config_hash(old) != config_hash(new)
    assert "layout" not in old.judge.model_dump() and "layout" not in identity(old.judge)["settings"]
    assert identity(old.judge)["prompts"].keys() == {"chat"}
    assert difference(identity(old.judge), identity(new.judge)) == "settings"


def test_a_prompt_set_without_it_is_refused(small: list[str], tmp_path: Path, refused: Refused) -> None:
    told = refused("train", *small, FIRST, f"output={tmp_path}/run")
    assert "testimony has no prompts for judge.layout=transcript_first: add transcript_first/judge.j2" in told


@pytest.mark.broad
def test_a_judge_is_taught_in_it(judged: Sequence[str], tmp_path: Path) -> None:
    teach = ["judge_training.questions=8", "judge_training.epochs=1", "judge_training.batch_rows=8"]
    assert main(["judge", "train", *judged, *teach, f"output={tmp_path}/taught"]) == 0
    found = yaml.safe_load((tmp_path / "taught" / "judge.yaml").read_text("utf-8"))
    assert found["layout"] == "transcript_first" and found["choice"] == "letter"
