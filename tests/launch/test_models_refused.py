"""Models that cannot do what a run asks of them are refused in a sentence before anything is played or written."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from huggingface_hub import constants
from safetensors.torch import load_file, save_file

from rostrum.trainer.config import Lora
from rostrum.trainer.model_checks import check_model
from rostrum.trainer.models.loading import ModelError, load_model, load_tokenizer
from tests.chat_models import FAMILIES, write_model

Refused = Callable[..., str]


@pytest.fixture
def refuse(small: list[str], tmp_path: Path, refused: Refused) -> Callable[..., str]:
    """Refuses to train, and nothing is there of the run."""

    def run(*words: str) -> str:
        error = refused("train", *small, f"output={tmp_path}/run", *words)
        assert not (tmp_path / "run" / "config.yaml").exists()
        return error

    return run


def copied(model: Path, new: Path, **entries: object) -> Path:
    """A copy of a model folder with entries of its config.json exchanged."""
    shutil.copytree(model, new)
    config = json.loads((new / "config.json").read_text("utf-8"))
    (new / "config.json").write_text(json.dumps({**config, **entries}), "utf-8")
    return new


def without(folder: Path, *names: str) -> Path:
    """The folder, some weights taken away."""
    tensors = load_file(folder / "model.safetensors")
    kept = {name: tensor for name, tensor in tensors.items() if name not in names}
    save_file(kept, folder / "model.safetensors", metadata={"format": "pt"})
    return folder


@pytest.mark.parametrize("key", ["debater.model", "judge.model"])
def test_missing_weights(key: str, tiny: Path, tmp_path: Path, refuse: Refused) -> None:
    folder = without(copied(tiny / "debater", tmp_path / "m"), "model.layers.0.self_attn.q_proj.weight")
    assert "lacks 1 of its weights, such as model.layers.0.self_attn.q_proj.weight" in refuse(f"{key}={folder}")


@pytest.mark.parametrize("command", ["audit", "debate"])
def test_weights_are_looked_at_wherever_a_model_plays(
    command: str, small: list[str], tiny: Path, tmp_path: Path, refused: Refused
) -> None:
    folder = without(copied(tiny / "debater", tmp_path / "m"), "model.norm.weight")
    output = [f"output={tmp_path}/found"] if command == "audit" else []
    error = refused(command, *small, *output, f"debater.model={folder}", "audit.questions=2")
    assert "lacks 1 of its weights, such as model.norm.weight" in error


def test_a_missing_shard(tiny: Path, tmp_path: Path, refuse: Refused) -> None:
    folder = tmp_path / "m"
    load_model(str(tiny / "debater")).save_pretrained(folder, max_shard_size="20KB")
    load_tokenizer(str(tiny / "debater")).save_pretrained(folder)
    (gone, *_) = sorted(folder.glob("model-*.safetensors"))
    gone.unlink()
    assert f"lacks {gone.name}" in refuse(f"debater.model={folder}")


def test_a_tokenizer_that_is_larger_than_the_embedding(tiny: Path, tmp_path: Path, refuse: Refused) -> None:
    folder, tokenizer = copied(tiny / "debater", tmp_path / "m"), load_tokenizer(str(tiny / "debater"))
    rows = len(tokenizer)
    tokenizer.add_tokens(["elsewhere"])
    tokenizer.save_pretrained(folder)
    error = refuse(f"debater.model={folder}")
    assert f"'elsewhere' (id {rows:,}; it has {rows:,})" in error and "resize_token_embeddings" in error


def test_a_special_token_that_nobody_writes_may_lie_beyond(tiny: Path, tmp_path: Path) -> None:
    """Gemma 3's text models have one for images."""
    folder, tokenizer = copied(tiny / "debater", tmp_path / "m"), load_tokenizer(str(tiny / "debater"))
    tokenizer.add_special_tokens({"additional_special_tokens": ["<image_soft_token>"]})
    tokenizer.save_pretrained(folder)
    check_model(str(folder))
    tokenizer.pad_token = "<image_soft_token>"
    tokenizer.save_pretrained(folder)
    with pytest.raises(ModelError, match="image_soft_token"):
        check_model(str(folder))


@pytest.mark.parametrize(
    "settings",
    [
        {"quant_method": "bitsandbytes", "load_in_4bit": True},
        {"quant_method": "gptq", "bits": 4},
        {"quant_method": "awq", "bits": 4},
        {"quant_method": "compressed-tensors", "format": "pack-quantized", "config_groups": {}},
        {"quant_method": "of my own"},
        {},
    ],
    ids=lambda settings: settings.get("quant_method", "none"),
)
def test_a_quantised_model_without_its_library(
    settings: dict[str, object], tiny: Path, tmp_path: Path, refuse: Refused
) -> None:
    folder = copied(tiny / "debater", tmp_path / "m", quantization_config=settings)
    error = refuse(f"debater.model={folder}")
    assert f"{folder} is quantised" in error and "give the model as it was before" in error


@pytest.mark.parametrize(
    ("targets", "said"),
    [
        ("[no_such_layer]", "match no layer"),
        ("no_such_.*", "match no layer"),
        ("[q_proj,no_such_layer]", "names no_such_layer"),
        ("[q_proj,lm_head]", "names lm_head"),
        ("'.*(q_proj|lm_head)'", "names lm_head"),
        ("[norm]", "cannot all be adapted"),
    ],
)
def test_targets_of_lora(targets: str, said: str, refuse: Refused) -> None:
    error = refuse("debater.lora.rank=2", f"debater.lora.target_modules={targets}")
    assert said in error and "q_proj" in error and "or all-linear" in error


@pytest.mark.parametrize("family", ["gpt_neox", "gemma3"])
def test_the_layer_that_gives_the_next_token_is_known_by_any_name(family: str, tmp_path: Path) -> None:
    folder = str(write_model(tmp_path / "m", family))
    check_model(folder, lora=Lora(rank=2), trained=True)
    with pytest.raises(ModelError, match="gives the next token"):
        check_model(folder, lora=Lora(rank=2, target_modules=r".*(embed_out|lm_head)"), trained=True)


@pytest.mark.parametrize("family", FAMILIES)
def test_whole_models_of_every_family_pass(family: str, tmp_path: Path) -> None:
    check_model(str(write_model(tmp_path / "m", family)), trained=True)


@pytest.fixture
def hub(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[Path], str]:
    """Puts a folder into a hub's cache, of which the network is not asked."""
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "hub"))
    monkeypatch.setattr("transformers.utils.hub.constants.HF_HUB_CACHE", str(tmp_path / "hub"))

    def put(folder: Path) -> str:
        place = tmp_path / "hub" / "models--someone--some-model"
        shutil.copytree(folder, place / "snapshots" / ("0" * 40))
        (place / "refs").mkdir()
        (place / "refs" / "main").write_text("0" * 40, "utf-8")
        return "someone/some-model"

    return put


def test_a_model_on_the_hub_with_pickled_weights_only(
    tiny: Path, tmp_path: Path, hub: Callable[[Path], str], refuse: Refused
) -> None:
    folder = copied(tiny / "debater", tmp_path / "m")
    torch.save(load_file(folder / "model.safetensors"), folder / "pytorch_model.bin")
    whole = hub(folder)
    check_model(whole)
    for weights in (tmp_path / "hub").rglob("model.safetensors"):
        weights.unlink()
    assert "someone/some-model has no weights in *.safetensors" in refuse(f"debater.model={whole}")
