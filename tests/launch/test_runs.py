"""train, evaluate and report from the command line: what they leave behind, and what is not done twice."""

import json
import shutil
from pathlib import Path

import pandas as pd
import pytest

from rostrum.envs.fingerprints import record_hash
from rostrum.envs.text.attacks import ATTACKS
from rostrum.launch import manifest, saved
from rostrum.launch.cli import main
from rostrum.launch.compose import load
from rostrum.trainer.evaluation.preregistration import hashes
from rostrum.trainer.evaluation.verdict_table import BEHAVIOUR
from rostrum.trainer.store import provenance
from rostrum.trainer.store.frozen import model_hash


@pytest.fixture
def run(trained: Path, tmp_path: Path) -> Path:
    return shutil.copytree(trained, tmp_path / "moved")


def test_a_run_says_where_it_comes_from(trained: Path) -> None:
    record = json.loads((trained / "manifest.json").read_text("utf-8"))
    assert {"title", "created", "finished", "config", "versions", "git", "prompts", "platform"} <= set(record)
    assert {"python", "torch", "transformers", "trl", "ray"} <= set(record["versions"])
    assert record["config"]["iterations"] == 1
    assert set(record["prompts"]) == {"testimony"}
    assert saved.run_config(trained).iterations == 1
    config = saved.run_config(trained)
    assert record["config_hash"] == provenance.config_hash(config) == provenance.saved_config_hash(trained)
    assert record["questions"] == provenance.question_hashes(config.questions) and record["lock"] is None
    assert record["debater"] == {config.debater.model: model_hash(config.debater.model)}
    assert record["chat_templates"] == {config.debater.model: None, config.judge.model: None}
    assert record["hardware"]["cores"] >= 1 and record["hardware"]["gpus"] == [] and record["hardware"]["cpu"]


def test_a_commit_is_recorded_with_its_changes(tmp_path: Path) -> None:
    import subprocess

    assert manifest.commit(tmp_path) is None
    identity = ["-c", "user.name=n", "-c", "user.email=e", "-c", "commit.gpgsign=false"]
    for words in (["init", "-q"], [*identity, "commit", "-q", "--allow-empty", "-m", "m"]):
        subprocess.run(["git", "-C", str(tmp_path), *words], check=True)
    clean = manifest.commit(tmp_path)
    (tmp_path / "new").write_text("x")
    changed = manifest.commit(tmp_path)
    assert clean is not None and changed is not None
    assert len(str(clean["commit"])) == 40 and clean["commit"] == changed["commit"]
    assert (clean["dirty"], changed["dirty"]) == (False, True)


def test_a_moved_run_is_evaluated_and_reported_where_it_lies(run: Path, capfd: pytest.CaptureFixture[str]) -> None:
    assert main(["evaluate", f"run={run}", "questions.heldout=4"]) == 0
    shown = capfd.readouterr().out
    summary = json.loads((run / "summary.json").read_text("utf-8"))
    assert [arm["name"] for arm in summary["arms"]] == ["moved"]
    assert summary["arms"][0]["accuracy"][0]["n_questions"] == 4
    assert summary["arms"][0]["sentence"] in shown and str(run / "report.html") in shown
    (run / "report.html").unlink()
    assert main(["report", f"run={run}"]) == 0
    assert (run / "report.html").exists()
    assert main(["verify", f"run={run}"]) == 0


def test_a_run_that_was_never_evaluated_cannot_be_verified(trained: Path, capfd: pytest.CaptureFixture[str]) -> None:
    assert main(["verify", f"run={trained}"]) == 2
    assert "evaluate it first" in capfd.readouterr().err


def test_hashes_of_a_configuration_see_what_changes_results_and_nothing_else(trained: Path) -> None:
    config = saved.run_config(trained)
    same = config.model_copy(update={"output": Path("elsewhere"), "arms": {"a": []}})
    assert provenance.config_hash(same) == provenance.config_hash(config)
    for change in ({"seed": 1}, {"iterations": 2}, {"judge": config.judge.model_copy(update={"order": "given"})}):
        assert provenance.config_hash(config.model_copy(update=change)) != provenance.config_hash(config)


@pytest.mark.parametrize(
    "words",
    [
        ("wandb.mode=offline",),
        ("ablation.cpus=2",),
        ("debater.batch_size=3",),
        ("judge.batch_size=3",),
        ("debater.gpu_memory_fraction=0.1",),
        ("cluster.rollout_workers=2", "cluster.learners=2"),
        ("cluster=zero2",),
        ("heldout_judges=testimony", "heldout_judges.0.batch_size=3"),
    ],
)
def test_means_do_not_make_a_run(words: tuple[str, ...]) -> None:
    beside = [word for word in words if word.startswith("heldout_judges=")]
    assert provenance.config_hash(load(words)) == provenance.config_hash(load(beside))


@pytest.mark.parametrize(
    "word",
    [
        "cluster.shard_size=8",
        "algorithm.minibatches=2",
        "algorithm.micro_batch_rows=4",
        "judge_training.batch_rows=3",
        "debater.dtype=bfloat16",
        "algorithm.questions_per_iteration=8",
    ],
)
def test_what_is_sampled_and_learned_makes_a_run(word: str) -> None:
    assert provenance.config_hash(load([word])) != provenance.config_hash(load([]))


def test_a_run_of_the_first_edition_still_verifies(run: Path, capfd: pytest.CaptureFixture[str]) -> None:
    """All of its cluster and W&B's settings were in the hash."""
    assert main(["evaluate", f"run={run}", "questions.heldout=4"]) == 0
    path = run / "manifest.json"
    manifest = json.loads(path.read_text("utf-8"))
    values = {key: value for key, value in manifest["config"].items() if key not in ("output", "arms")}
    without = provenance.without_means(values)
    manifest["config_hash"] = record_hash(
        {{"decoding": "inference", "monitor": "watch"}.get(key, key): of for key, of in without.items()}
    )
    path.write_text(json.dumps(manifest), "utf-8")
    hashes.write(run, ("manifest.json",))
    assert main(["verify", f"run={run}"]) == 0
    assert "matches       the configuration" in capfd.readouterr().out


def test_an_evaluation_is_kept_until_its_questions_change(run: Path) -> None:
    def parts() -> dict[str, int]:
        return {part.name: part.stat().st_mtime_ns for part in (run / "evaluation").glob("*.parquet")}

    assert main(["evaluate", f"run={run}", "questions.heldout=2"]) == 0
    first = parts()
    assert main(["evaluate", f"run={run}", "questions.heldout=2", "evaluation=all"]) == 0
    assert parts() == first and first
    assert main(["evaluate", f"run={run}", "questions.heldout=4"]) == 0
    assert all(parts()[name] > first[name] for name in first)


def test_every_checkpoint_is_attacked_and_its_conduct_counted(run: Path) -> None:
    assert main(["evaluate", f"run={run}", "questions.heldout=4", "evaluation.attacks=3"]) == 0
    attacks = [json.loads(line) for line in (run / "attacks.jsonl").read_text("utf-8").splitlines()]
    assert [(row["checkpoint"], row["attack"]) for row in attacks] == [
        (checkpoint, attack) for checkpoint in ("base", "iteration-0001") for attack in ATTACKS
    ]
    assert all(row["n"] == 6 and row["judge"] == "weak-judge" and row["flips"] <= row["lost"] for row in attacks)
    table = pd.read_parquet(run / "verdicts.parquet")
    assert set(BEHAVIOUR) <= set(table.columns) and (table.loc[table["arm"] != "", "speeches"] > 0).all()
    base = json.loads((run / "summary.json").read_text("utf-8"))["arms"][0]["checkpoints"][0]
    assert set(base["conduct"]) == set(BEHAVIOUR) and base["conduct"]["addresses_judge"] == 0
    assert "Attacks on the reward judge" in (run / "report.html").read_text("utf-8")
    assert main(["evaluate", f"run={run}", "questions.heldout=4", "evaluation.attacks=0"]) == 0
    assert not (run / "attacks.jsonl").read_text("utf-8")
    assert "Attacks on the reward judge" not in (run / "report.html").read_text("utf-8")


def test_a_run_that_the_watch_stopped_counts_as_finished(
    small: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    """Every look is taken for suspicious: with a patience of 2 that is an alarm at the second, after iteration 1."""
    monkeypatch.setattr("rostrum.trainer.evaluation.monitor.shown", lambda *change: True)
    run = tmp_path / "run"
    watch = ["monitor.questions=6", "monitor.attacks=0", "monitor.stop=true", "heldout_judges=testimony"]
    assert main(["train", *small, *watch, f"output={run}", "heldout_judges.0.min_mass=0"]) == 0
    said = capfd.readouterr()
    assert "ALARM after iteration 1" in said.err and "the training stops here" in said.err
    assert "stopped the training after iteration 1 of 2" in said.out and "iteration-0001" in said.out
    record = manifest.read(run / "manifest.json")
    assert "finished" in record and record["last_iteration"] == 1
    assert main(["train", f"resume={run}"]) == 0 and not (run / "policies" / "iteration-0002").exists()
    assert main(["evaluate", f"run={run}", "questions.heldout=2", "evaluation.attacks=0"]) == 0
    page = (run / "report.html").read_text("utf-8")
    assert "The monitor during training" in page and "The training was stopped after iteration 1." in page


def test_a_finished_run_can_be_resumed_and_stays_as_it_is(run: Path) -> None:
    before = (run / "metrics.jsonl").read_text("utf-8")
    assert main(["train", f"resume={run}"]) == 0
    assert (run / "metrics.jsonl").read_text("utf-8") == before
