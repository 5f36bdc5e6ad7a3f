"""What a user can get wrong is said in one sentence, with exit code 2, before anything is started."""

import errno
import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from safetensors import SafetensorError
from transformers import PreTrainedModel

from rostrum.launch import compose, errors
from rostrum.launch.cli import main
from rostrum.trainer.config import Config
from rostrum.trainer.store.run_folder import STATE, RunFolder, read_lines
from rostrum.trainer.weights.publish import ParityError

Refused = Callable[..., str]


@pytest.mark.parametrize(
    ("override", "said"),
    [
        ("iteratons=3", "iteratons"),
        ("algorithm.epoch=3", "algorithm.epoch"),
        ("protocol.round=3", "round"),
        ("iterations=many", "iterations"),
        ("iterations=0", "greater than or equal to 1"),
        ("debater.temperature=-1", "greater than 0"),
        ("judge.order=sideways", "'both', 'given' or 'swapped'"),
        ("protocol=parliament", "parliament"),
        ("questions=jsonl", "questions.path"),
        ("nonsense", "nonsense"),
        ("algorithm.credit=gae", "choose algorithm=ppo"),
        ("algorithm.minibatches=3", "do not divide"),
        ("evaluation.checkpoints=[3]", "evaluation.checkpoints"),
        ("protocol=naive", "no debaters to train"),
        ("debater.prompts=sonnets", "sonnets"),
        ("judge.model=/no/such/folder", "/no/such/folder"),
        ("judge.model=embedded/no-such-judge", "no-such-judge"),
        ("debater.format=chat", "use format=plain"),
        ("debater.max_tokens=9999", "debater.window.tokens"),
        ("cluster=zero2", "torchrun"),
        ("cluster=zero2", "cluster.learners=N"),
        ("cluster.gpus_per_worker=1", "GPU"),
        ("cluster.gpus_per_learner=1", "GPU"),
        ("cluster.gpus_per_judge=1", "GPU"),
        ("cluster.learners=3", "do not divide"),
        ("cluster.offload=optimizer", "zero2 or zero3"),
        ("cluster.judge_timeout=0", "greater than 0"),
        ("cluster.weight_transfer=gloo", "debater.engine=vllm"),
        ("cluster.sleep=true", "judge.engine=vllm"),
        ("monitor.questions=6", "heldout_judges"),
        ("monitor.level=0.5", "less than 0.5"),
        ("evaluation.attacks=-1", "greater than or equal to 0"),
    ],
)
def test_a_wrong_value_is_refused(override: str, said: str, small: list[str], tmp_path: Path, refused: Refused) -> None:
    error = refused("train", *small, f"output={tmp_path}/run", override)
    assert said in error
    assert not (tmp_path / "run" / "config.yaml").exists()


@pytest.mark.parametrize("override", ["debater.engine=vllm", "judge.engine=vllm"])
def test_vllm_that_is_not_installed_is_refused(
    override: str, small: list[str], tmp_path: Path, refused: Refused, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("rostrum.trainer.engines.vllm.find_spec", lambda name: None)
    error = refused("train", *small, f"output={tmp_path}/run", override)
    assert "pip install vllm==0.32.0" in error and "make test-vllm" in error


def test_a_build_that_was_cut_off_is_not_waited_for(
    small: list[str], tmp_path: Path, refused: Refused, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TORCH_EXTENSIONS_DIR", str(tmp_path / "extensions"))
    lock = tmp_path / "extensions" / "py311_cpu" / "operator" / "lock"
    lock.parent.mkdir(parents=True)
    lock.touch()
    os.utime(lock, (0, 0))
    ranks = ("cluster.learners=2", "cluster.deepspeed=zero2")
    assert f"{lock}: remove that file" in refused("train", *small, f"output={tmp_path}/run", *ranks)


def test_offloading_without_a_compiler_is_refused(
    small: list[str], tmp_path: Path, refused: Refused, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CXX", "no-such-compiler")
    ranks = ("cluster.learners=2", "cluster.deepspeed=zero3", "cluster.offload=all")
    assert "install a C++ compiler and ninja" in refused("train", *small, f"output={tmp_path}/run", *ranks)


def test_dpo_that_would_forget_its_updates_is_refused(configure: Callable[..., Config]) -> None:
    """At a learning rate of 1e-6 an iteration changed 37 of 24,096 weights, and in float32 24,000."""
    from rostrum.trainer.run_context import RunContext
    from rostrum.trainer.section import SectionError

    half = ("debater.dtype=bfloat16", "algorithm=dpo")
    lossy = configure(*half, "cluster=zero3")
    with pytest.raises(SectionError, match="round full weights to bfloat16.*debater.lora.rank=16"):
        lossy.algorithm.check(RunContext(lossy))
    for kept in (half, (*half, "cluster=zero3", "debater.lora.rank=4"), ("algorithm=dpo", "cluster=zero3")):
        config = configure(*kept)
        config.algorithm.check(RunContext(config))


def test_a_missing_questions_file_is_refused(small: list[str], tmp_path: Path, refused: Refused) -> None:
    path = tmp_path / "none.jsonl"
    assert str(path) in refused("train", *small, f"output={tmp_path}/run", "questions=jsonl", f"questions.path={path}")


def test_questions_of_a_single_story_cannot_be_split(small: list[str], tmp_path: Path, refused: Refused) -> None:
    path = tmp_path / "one.jsonl"
    path.write_text(json.dumps({"id": "1", "question": "q", "answers": ["x", "y"], "passage": "p", "correct": 0}))
    error = refused("train", *small, f"output={tmp_path}/run", "questions=jsonl", f"questions.path={path}")
    assert "give questions about two stories or more" in error


def test_pickled_weights_are_refused(small: list[str], tiny: Path, tmp_path: Path, refused: Refused) -> None:
    folder = shutil.copytree(tiny / "debater", tmp_path / "pickled")
    (folder / "model.safetensors").rename(folder / "pytorch_model.bin")
    assert "pickled" in refused("train", *small, f"output={tmp_path}/run", f"debater.model={folder}")


def test_damaged_weights_are_refused(small: list[str], tiny: Path, tmp_path: Path, refused: Refused) -> None:
    folder = shutil.copytree(tiny / "debater", tmp_path / "damaged")
    weights = folder / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:1000])
    assert "damaged" in refused("train", *small, f"output={tmp_path}/run", f"debater.model={folder}")


def test_a_damaged_tokenizer_is_refused(small: list[str], tiny: Path, tmp_path: Path, refused: Refused) -> None:
    """The library that reads it raises a bare Exception."""
    folder = shutil.copytree(tiny / "debater", tmp_path / "damaged")
    words = json.loads((folder / "tokenizer.json").read_text("utf-8"))
    words["added_tokens"][0]["id"] = ""
    (folder / "tokenizer.json").write_text(json.dumps(words), "utf-8")
    error = refused("train", *small, f"output={tmp_path}/run", f"debater.model={folder}")
    assert str(folder) in error and "copy it again" in error


def test_a_model_that_cannot_be_fetched_is_named(small: list[str], tmp_path: Path, refused: Refused) -> None:
    error = refused("train", *small, f"output={tmp_path}/run", "debater.model=nobody/no-such-model")
    assert "nobody/no-such-model" in error and "folder" in error


def test_checkpoints_that_do_not_fit_the_disk_are_refused(
    small: list[str], tmp_path: Path, refused: Refused, monkeypatch: pytest.MonkeyPatch
) -> None:
    usage = type(shutil.disk_usage(tmp_path))(total=10**6, used=10**6, free=1000)
    monkeypatch.setattr(shutil, "disk_usage", lambda _: usage)
    assert "MiB free" in refused("train", *small, f"output={tmp_path}/run")


def test_an_output_that_holds_a_run_is_refused(small: list[str], trained: Path, refused: Refused) -> None:
    error = refused("train", *small, f"output={trained}")
    assert f"rostrum train resume={trained}" in error and "another output" in error


def test_a_second_process_in_the_same_run_is_refused(trained: Path, refused: Refused) -> None:
    from rostrum.launch.saved import reserved

    with reserved(trained):
        assert "Another process" in refused("evaluate", f"run={trained}")


@pytest.mark.parametrize("command", [("train", "resume="), ("evaluate", "run="), ("report", "run=")])
def test_a_folder_that_is_no_run_is_refused(command: tuple[str, str], tmp_path: Path, refused: Refused) -> None:
    name, key = command
    assert "give the folder of a run" in refused(name, f"{key}{tmp_path / 'empty'}")


def test_a_resumed_run_keeps_its_configuration(trained: Path, refused: Refused) -> None:
    assert "keeps its configuration" in refused("train", f"resume={trained}", "seed=1")
    assert "resume with 64" in refused("train", f"resume={trained}", "cluster.shard_size=8")


def test_sharded_optimizer_state_is_refused_on_other_ranks(trained: Path, tmp_path: Path, refused: Refused) -> None:
    run = shutil.copytree(trained, tmp_path / "run")
    (state,) = run.glob(f"trainer/*/{STATE}")
    written = json.loads(state.read_text("utf-8"))
    assert written["ranks"] == {"world": 1, "deepspeed": None}
    state.write_text(json.dumps(written | {"ranks": {"world": 2, "deepspeed": "zero2"}}), "utf-8")
    error = refused("train", f"resume={run}")
    assert "written by 2 ranks" in error and f"rostrum export run={run} iteration=1" in error


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"iteration": 0}, "tells of iteration 0"),
        ({"iteration": 10**400}, "and checkpoint-1 is of another"),
        ({"ranks": {"world": "x", "deepspeed": None}}, "ranks.world"),
    ],
)
def test_a_checkpoint_that_contradicts_itself_is_named(
    change: dict[str, Any], said: str, trained: Path, tmp_path: Path, refused: Refused
) -> None:
    run = shutil.copytree(trained, tmp_path / "run")
    (path,) = run.glob(f"trainer/*/{STATE}")
    before = (run / "metrics.jsonl").read_bytes()
    path.write_text(json.dumps(json.loads(path.read_text("utf-8")) | change), "utf-8")
    error = refused("train", f"resume={run}")
    assert f"{path}" in error and said in error and (run / "metrics.jsonl").read_bytes() == before


def test_a_full_disk_leaves_a_run_that_can_go_on(
    small: list[str], tmp_path: Path, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    run, save = RunFolder(tmp_path / "run"), PreTrainedModel.save_pretrained

    def full(self: PreTrainedModel, folder: Path, *arguments: Any, **named: Any) -> None:
        if "iteration-0001" in str(folder):
            (Path(folder) / "config.json").touch()
            raise SafetensorError("Error while serializing: I/O error: No space left on device (os error 28)")
        save(self, folder, *arguments, **named)

    with monkeypatch.context() as patch:
        patch.setattr(PreTrainedModel, "save_pretrained", full)
        assert main(["train", *small, f"output={run.path}"]) == errors.USER_ERROR
    assert "rostrum: The disk is full" in capfd.readouterr().err
    assert run.published() == [0]
    assert main(["train", f"resume={run.path}"]) == 0
    assert run.published() == [0, 1, 2] and not list(run.policies.glob(".*"))
    assert [row["iteration"] for row in read_lines(run.metrics)] == [1, 2]


def test_an_unfinished_run_cannot_be_evaluated(trained: Path, tmp_path: Path, refused: Refused) -> None:
    run = shutil.copytree(trained, tmp_path / "run")
    shutil.rmtree(run / "policies" / "iteration-0001")
    assert f"rostrum train resume={run}" in refused("evaluate", f"run={run}")


def test_a_run_that_was_not_evaluated_has_no_report(trained: Path, refused: Refused) -> None:
    assert f"rostrum evaluate run={trained}" in refused("report", f"run={trained}")


@pytest.mark.parametrize("override", ["seed=3", "protocol=consultancy", "judge.order=given"])
def test_what_was_trained_cannot_be_changed_afterwards(override: str, trained: Path, refused: Refused) -> None:
    assert "cannot be changed after training" in refused("evaluate", f"run={trained}", override)


def test_an_unknown_choice_for_an_evaluation_is_refused(trained: Path, refused: Refused) -> None:
    assert "all, final" in refused("evaluate", f"run={trained}", "evaluation=some")


@pytest.mark.parametrize(("number", "said"), [("0", "question=12"), ("13", "question=12"), ("one", "'one'")])
def test_a_question_that_is_not_there_is_refused(number: str, said: str, small: list[str], refused: Refused) -> None:
    assert said in refused("debate", *small, f"question={number}")


def test_an_override_that_the_arms_set_is_refused(small: list[str], tmp_path: Path, refused: Refused) -> None:
    assert "arms" in refused("demo", *small, f"output={tmp_path}/demo", "reward=win")


def test_an_experiment_without_arms_is_refused(small: list[str], tmp_path: Path, refused: Refused) -> None:
    none = [f"~arms.{name}" for name in compose.load(["experiment=demo"]).arms]
    assert "no arms" in refused("demo", *small, f"output={tmp_path}/demo", *none)


@pytest.mark.parametrize(
    ("error", "said"),
    [
        (OSError(errno.ENOSPC, "No space left on device", "/x/y"), "disk is full"),
        (SafetensorError("I/O error: No space left on device (os error 28)"), "disk is full"),
        (RuntimeError("[enforce fail at inline_container.cc:672] . unexpected pos 576 vs 534"), "disk is full"),
        (PermissionError(errno.EACCES, "Permission denied", "/x/y"), "/x/y may not"),
        (RuntimeError("[enforce fail] DefaultCPUAllocator: can't allocate memory: you tried"), "batch_size"),
        (ParityError("The engine\ndiffers."), "The engine differs."),
    ],
)
def test_trouble_on_the_way_is_told_in_a_sentence(
    error: Exception, said: str, capfd: pytest.CaptureFixture[str]
) -> None:
    def fail(_: object) -> int:
        raise error

    assert main(["train"], lambda _: fail) == 2
    told = capfd.readouterr().err
    assert said in told and told.startswith("rostrum: ") and told.count("\n") == 1


def test_a_bug_keeps_its_traceback() -> None:
    def fail(_: object) -> int:
        raise KeyError("oops")

    with pytest.raises(KeyError):
        main(["train"], lambda _: fail)


def test_an_interruption_says_how_to_go_on(
    small: list[str], tmp_path: Path, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupted(_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("rostrum.trainer.train.train", interrupted)
    assert main(["train", *small, f"output={tmp_path}/run"]) == errors.STOPPED
    assert f"stopped; continue with `rostrum train resume={tmp_path}/run`" in capfd.readouterr().err


def test_other_ranks_leave_the_telling_to_the_first(
    monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("RANK", "1")
    assert main(["train", "iterations=0"]) == 2
    assert capfd.readouterr().err == ""
