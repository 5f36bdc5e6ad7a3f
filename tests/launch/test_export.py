"""An exported policy is a plain model that says what the policy says."""

import contextlib
import json
import os
import shutil
import stat
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import torch
import yaml
from safetensors.torch import load_file, save_file
from transformers import AutoConfig, AutoModelForCausalLM, AutoTokenizer

from rostrum.launch import compose
from rostrum.launch.cli import main
from rostrum.trainer.models.loading import load_model
from rostrum.trainer.weights.logprobs import learner_logprobs
from rostrum.trainer.weights.publish import probe_rows

Refused = Callable[..., str]


@contextlib.contextmanager
def umask(mask: int) -> Iterator[None]:
    before = os.umask(mask)
    try:
        yield
    finally:
        os.umask(before)


@pytest.fixture(scope="module")
def adapted(small: list[str], tiny: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run with an adapter whose weights are far from nothing, on a model that was given by a relative path, under a
    umask that lets the group read."""
    run = tmp_path_factory.mktemp("adapted") / "run"
    words = ["iterations=1", "debater.lora.rank=4", "debater.model=debater", f"output={run}"]
    with contextlib.chdir(tiny), umask(0o027):
        assert main(["train", *small, *words]) == 0
    weights = run / "policies" / "iteration-0001" / "adapter_model.safetensors"
    tensors = load_file(weights)
    generator = torch.Generator().manual_seed(0)
    changed = {name: torch.randn(t.shape, generator=generator) for name, t in tensors.items()}
    mode = weights.stat().st_mode
    save_file(changed, weights, metadata={"format": "pt"})
    weights.chmod(mode)
    return run


def test_a_merged_adapter_says_what_the_policy_says(adapted: Path, tiny: Path, tmp_path: Path) -> None:
    folder = tmp_path / "model"
    assert main(["export", f"run={adapted}", f"output={folder}"]) == 0
    assert {"config.json", "model.safetensors", "tokenizer.json", "README.md"} <= {p.name for p in folder.iterdir()}
    assert not list(folder.glob("adapter*")) and not list(folder.glob("*.bin"))
    exported, tokenizer = AutoModelForCausalLM.from_pretrained(folder), AutoTokenizer.from_pretrained(folder)
    rows = probe_rows(tokenizer)
    ours, theirs, base = (
        torch.tensor([p for row in learner_logprobs(model, rows) for p in row])
        for model in (exported, load_model(str(adapted / "policies" / "iteration-0001")), load_model(f"{tiny}/debater"))
    )
    assert torch.allclose(ours, theirs, atol=1e-3)
    assert (ours - base).abs().max() > 0.1


def test_a_folder_given_by_a_relative_path_is_found_from_everywhere(
    adapted: Path, tiny: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert compose.read(adapted / "config.yaml").debater.model == f"{tiny}/debater"
    adapter = json.loads((adapted / "policies" / "iteration-0001" / "adapter_config.json").read_text("utf-8"))
    assert adapter["base_model_name_or_path"] == f"{tiny}/debater"
    assert main(["export", f"run={adapted}", "output=model"]) == 0
    assert f"a local folder, `{tiny}/debater`" in Path("model/README.md").read_text("utf-8")


def test_a_folder_that_is_gone_is_not_sought_on_the_hub(
    small: list[str], tiny: Path, tmp_path: Path, refused: Refused, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    shutil.copytree(tiny / "debater", "some/model")
    config = compose.load([*small, "debater.model=some/model", "judge.model=some/model", "output=run"])
    assert config.debater.model == config.judge.needs()[0].model == f"{tmp_path}/some/model"
    shutil.rmtree("some")
    compose.save(config, Path("run/config.yaml"))
    assert f"There is no model folder {tmp_path}/some/model" in refused("train", "resume=run")


def test_all_files_of_a_model_have_the_mode_that_the_umask_leaves(adapted: Path, tmp_path: Path) -> None:
    with umask(0o027):
        assert main(["export", f"run={adapted}", f"output={tmp_path}/model"]) == 0
    folders = (adapted / "policies", adapted / "trainer", tmp_path / "model")
    files = [path for folder in folders for path in folder.rglob("*") if path.is_file()]
    assert {path.name for path in files if stat.S_IMODE(path.stat().st_mode) != 0o640} == set()
    assert {path.suffix for path in files} >= {".safetensors", ".json", ".md"}


def test_cards_can_be_pushed_to_a_hub(adapted: Path, tmp_path: Path) -> None:
    assert main(["export", f"run={adapted}", f"output={tmp_path}/model"]) == 0
    for card, library in ((adapted / "policies" / "iteration-0001", "peft"), (tmp_path / "model", "transformers")):
        text = (card / "README.md").read_text("utf-8")
        head = yaml.safe_load(text.split("---\n")[1])
        assert head["library_name"] == library and head["license"] == "other" and head["license_name"]
        assert "base_model" not in head, "it is a folder, and a stranger may have a model of that name"
        assert "More Information Needed" not in text and "[optional]" not in text


@pytest.mark.parametrize("targets", ["[q_proj,embed_tokens]", "all-linear"])
def test_an_adapter_on_tied_embeddings_is_exported_as_the_same_model(
    targets: str, small: list[str], tiny: Path, tmp_path: Path
) -> None:
    model, run, folder = tmp_path / "tied", tmp_path / "run", tmp_path / "model"
    torch.manual_seed(0)
    config = AutoConfig.from_pretrained(tiny / "debater", tie_word_embeddings=True)
    AutoModelForCausalLM.from_config(config).save_pretrained(model)
    AutoTokenizer.from_pretrained(tiny / "debater").save_pretrained(model)
    generation = model / "generation_config.json"
    generation.write_text(json.dumps({"temperature": 0.6, "eos_token_id": [2, 7]}), "utf-8")
    lora = ("debater.lora.rank=2", f"debater.lora.target_modules={targets}", "algorithm.learning_rate=0.1")
    short = ("debater.max_tokens=4", "limits.cut_speeches=off", "iterations=1")
    words = [*small, *short, f"debater.model={model}", *lora, f"output={run}"]
    assert main(["train", *words]) == 0
    assert main(["export", f"run={run}", f"output={folder}"]) == 0
    exported, rows = AutoModelForCausalLM.from_pretrained(folder), probe_rows(AutoTokenizer.from_pretrained(folder))
    ours, theirs, base = (
        torch.tensor([p for row in learner_logprobs(model, rows) for p in row])
        for model in (exported, load_model(str(run / "policies" / "iteration-0001")), load_model(str(model)))
    )
    assert torch.allclose(ours, theirs, atol=1e-3)
    assert (ours - base).abs().max() > 0.1
    assert exported.config.tie_word_embeddings == (targets == "all-linear")
    saved = json.loads((folder / "generation_config.json").read_text("utf-8"))
    assert saved["eos_token_id"] == [2, 7] and "temperature" not in saved, "a temperature without do_sample is no use"


def test_what_transformers_4_reads_stands_beside_what_version_5_reads(adapted: Path, tmp_path: Path) -> None:
    folder = tmp_path / "model"
    assert main(["export", f"run={adapted}", f"output={folder}"]) == 0
    config = json.loads((folder / "config.json").read_text("utf-8"))
    assert config["rope_theta"] == config["rope_parameters"]["rope_theta"]
    tokenizer = json.loads((folder / "tokenizer_config.json").read_text("utf-8"))
    assert tokenizer["tokenizer_class"] == "PreTrainedTokenizerFast"
    assert not isinstance(tokenizer.get("extra_special_tokens"), list), "version 4 wants a dictionary"
    assert "transformers 4" in (folder / "README.md").read_text("utf-8")


def test_full_weights_are_copied_with_a_card(trained: Path, tmp_path: Path) -> None:
    folder = tmp_path / "model"
    assert main(["export", f"run={trained}", f"output={folder}", "iteration=0"]) == 0
    ours, theirs = (load_file(f / "model.safetensors") for f in (folder, trained / "policies" / "iteration-0000"))
    assert ours.keys() == theirs.keys() and all(torch.equal(ours[name], theirs[name]) for name in ours)
    card = (folder / "README.md").read_text("utf-8")
    for said in ("iteration 0 of 1", "debate, 2 rounds", "PPO", "`testimony`", "run"):
        assert said in card


def test_what_cannot_be_exported_is_refused(trained: Path, tmp_path: Path, refused: Refused) -> None:
    assert "choose among [0, 1]" in refused("export", f"run={trained}", f"output={tmp_path}/new", "iteration=7")
    (tmp_path / "full").mkdir()
    shutil.copy(trained / "config.yaml", tmp_path / "full")
    assert "is not empty" in refused("export", f"run={trained}", f"output={tmp_path}/full")
    assert "output=FOLDER" in refused("export", f"run={trained}")
    assert "'last'" in refused("export", f"run={trained}", f"output={tmp_path}/new", "iteration=last")
