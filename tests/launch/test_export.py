"""An exported policy is a plain model that says what the policy says."""

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file
from transformers import AutoConfig, AutoModelForCausalLM, AutoTokenizer

from launch.cli import main
from trainer.models import load_model
from trainer.publish import learner_logprobs, probe_rows

Refused = Callable[..., str]


@pytest.fixture(scope="module")
def adapted(small: list[str], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run with an adapter whose weights are far from nothing."""
    run = tmp_path_factory.mktemp("adapted") / "run"
    assert main(["train", *small, "iterations=1", "debater.lora.rank=4", f"output={run}"]) == 0
    weights = run / "policies" / "iteration-0001" / "adapter_model.safetensors"
    tensors = load_file(weights)
    generator = torch.Generator().manual_seed(0)
    changed = {name: torch.randn(t.shape, generator=generator) for name, t in tensors.items()}
    save_file(changed, weights, metadata={"format": "pt"})
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


@pytest.mark.parametrize("targets", ["[q_proj,embed_tokens]", "all-linear"])
def test_an_adapter_on_tied_embeddings_is_exported_as_the_same_model(
    targets: str, small: list[str], tiny: Path, tmp_path: Path
) -> None:
    model, run, folder = tmp_path / "tied", tmp_path / "run", tmp_path / "model"
    torch.manual_seed(0)
    config = AutoConfig.from_pretrained(tiny / "debater", tie_word_embeddings=True)
    AutoModelForCausalLM.from_config(config).save_pretrained(model)
    AutoTokenizer.from_pretrained(tiny / "debater").save_pretrained(model)
    lora = ("debater.lora.rank=2", f"debater.lora.target_modules={targets}", "algorithm.learning_rate=0.1")
    words = [*small, "iterations=1", f"debater.model={model}", *lora, f"output={run}", "debater.max_tokens=4"]
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
