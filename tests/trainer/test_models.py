"""Where models come from: safetensors or nothing, adapters with their base, tokenizers with a padding token."""

import json
import shutil
from pathlib import Path

import pytest
import torch
from peft import LoraConfig, get_peft_model

from trainer import models
from trainer.models import ModelError
from trainer.testimony.vocabulary import build_tokenizer


@pytest.fixture
def adapter(tiny: Path, tmp_path: Path) -> Path:
    """A LoRA adapter with weights that are not zero, on the tiny debater."""
    model = get_peft_model(models.load_model(str(tiny / "debater")), LoraConfig(r=2, target_modules="all-linear"))
    torch.manual_seed(3)
    for name, parameter in model.named_parameters():
        if "lora_B" in name:
            torch.nn.init.normal_(parameter)
    model.save_pretrained(tmp_path / "adapter")
    return tmp_path / "adapter"


@pytest.mark.parametrize("name", ["pytorch_model.bin", "model.pt", "consolidated.pth", "weights.pkl", "model.ckpt"])
@pytest.mark.parametrize("config", ["config.json", "adapter_config.json"])
def test_pickled_weights_are_refused_in_one_sentence(tmp_path: Path, name: str, config: str) -> None:
    (tmp_path / name).write_bytes(b"cos\nsystem\n")
    (tmp_path / config).write_text(json.dumps({"base_model_name_or_path": str(tmp_path)}), "utf-8")
    for load in (models.load_model, models.load_tokenizer, models.resolve):
        with pytest.raises(ModelError, match="pickled.*save_pretrained") as refused:
            load(str(tmp_path))
        assert "\n" not in str(refused.value) and str(refused.value).endswith(".")


def test_an_adapter_on_a_pickled_base_is_refused(tmp_path: Path, adapter: Path) -> None:
    base = tmp_path / "base"
    base.mkdir()
    (base / "config.json").write_text("{}", "utf-8")
    (base / "pytorch_model.bin").write_bytes(b"")
    described = json.loads((adapter / "adapter_config.json").read_text("utf-8"))
    (adapter / "adapter_config.json").write_text(
        json.dumps({**described, "base_model_name_or_path": str(base)}), "utf-8"
    )
    with pytest.raises(ModelError, match="pickled"):
        models.load_model(str(adapter))


def test_an_adapters_pickle_beside_its_base_is_never_read(adapter: Path) -> None:
    (adapter / "adapter_model.safetensors").unlink()
    (adapter / "adapter_model.bin").write_bytes(b"cos\nsystem\n")
    with pytest.raises(ModelError, match="pickled"):
        models.load_model(str(adapter))


@pytest.mark.parametrize(
    ("model", "says"),
    [("/no/such/folder", "no model folder"), ("./nowhere", "no model folder"), ("embedded/nobody", "no model folder")],
)
def test_a_folder_that_is_not_there_is_no_hub_id(model: str, says: str) -> None:
    with pytest.raises(ModelError, match=says):
        models.resolve(model)


def test_folders_without_model_or_weights(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="holds no model"):
        models.resolve(str(tmp_path))
    (tmp_path / "config.json").write_text("{}", "utf-8")
    with pytest.raises(ModelError, match="has no weights"):
        models.resolve(str(tmp_path))


def test_a_hub_id_stays_one() -> None:
    assert models.resolve("someone/some-model") == "someone/some-model"


def test_loading_draws_no_random_numbers(tiny: Path, adapter: Path) -> None:
    """The learner shuffles by the same generator: a run would differ by how often its engines have loaded."""
    before = torch.get_rng_state()
    for folder in (tiny / "debater", adapter):
        models.load_model(str(folder))
        assert torch.equal(torch.get_rng_state(), before), folder


def test_an_adapter_is_loaded_with_its_base(tiny: Path, adapter: Path) -> None:
    loaded = models.load_model(str(adapter))
    names = [name for name, _ in loaded.named_parameters() if "lora_B" in name]
    assert names and all(loaded.get_parameter(name).abs().sum() > 0 for name in names)
    assert models.resolve_base(str(adapter)) == str(tiny / "debater")
    assert models.load_tokenizer(str(adapter)).get_vocab() == build_tokenizer().get_vocab()
    assert models.context_length(loaded.config) == 512


def test_end_tokens_come_from_tokenizer_and_configuration(tiny: Path, tmp_path: Path) -> None:
    tokenizer = models.load_tokenizer(str(tiny / "debater"))
    shutil.copytree(tiny / "debater", tmp_path / "chat")
    described = json.loads((tmp_path / "chat" / "config.json").read_text("utf-8"))
    (tmp_path / "chat" / "config.json").write_text(json.dumps({**described, "eos_token_id": [2, 7, 9]}), "utf-8")
    assert models.end_tokens(str(tiny / "debater"), tokenizer) == {tokenizer.eos_token_id}
    assert models.end_tokens(str(tmp_path / "chat"), tokenizer) == {2, 7, 9}


def test_a_tokenizer_without_padding_pads_with_its_end(tiny: Path, tmp_path: Path) -> None:
    shutil.copytree(tiny / "debater", tmp_path / "unpadded")
    tokenizer = models.load_tokenizer(str(tiny / "debater"))
    tokenizer.pad_token = None
    tokenizer.save_pretrained(tmp_path / "unpadded")
    loaded = models.load_tokenizer(str(tmp_path / "unpadded"))
    assert loaded.pad_token_id == loaded.eos_token_id == 2
