"""Where models come from: safetensors or nothing, adapters with their base, tokenizers with a padding token."""

import json
import shutil
from pathlib import Path

import pytest
import torch
from peft import LoraConfig, get_peft_model
from safetensors.torch import load_file, save_file

from rostrum.trainer.models import loading
from rostrum.trainer.models.loading import ModelError
from rostrum.trainer.testimony_models.vocabulary import build_tokenizer
from tests.chat_models import write_model


@pytest.fixture
def adapter(tiny: Path, tmp_path: Path) -> Path:
    """A LoRA adapter with weights that are not zero, on the tiny debater."""
    model = get_peft_model(loading.load_model(str(tiny / "debater")), LoraConfig(r=2, target_modules="all-linear"))
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
    for load in (loading.load_model, loading.load_tokenizer, loading.resolve):
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
        loading.load_model(str(adapter))


def test_an_adapters_pickle_beside_its_base_is_never_read(adapter: Path) -> None:
    (adapter / "adapter_model.safetensors").unlink()
    (adapter / "adapter_model.bin").write_bytes(b"cos\nsystem\n")
    with pytest.raises(ModelError, match="pickled"):
        loading.load_model(str(adapter))


@pytest.mark.parametrize(
    ("model", "says"),
    [("/no/such/folder", "no model folder"), ("./nowhere", "no model folder"), ("embedded/nobody", "no model folder")],
)
def test_a_folder_that_is_not_there_is_no_hub_id(model: str, says: str) -> None:
    with pytest.raises(ModelError, match=says):
        loading.resolve(model)


def test_folders_without_model_or_weights(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="holds no model"):
        loading.resolve(str(tmp_path))
    (tmp_path / "config.json").write_text("{}", "utf-8")
    with pytest.raises(ModelError, match="has no weights"):
        loading.resolve(str(tmp_path))


def test_a_hub_id_stays_one() -> None:
    assert loading.resolve("someone/some-model") == "someone/some-model"


def test_loading_draws_no_random_numbers(tiny: Path, adapter: Path) -> None:
    """The learner shuffles by the same generator: a run would differ by how often its engines have loaded."""
    before = torch.get_rng_state()
    for folder in (tiny / "debater", adapter):
        loading.load_model(str(folder))
        assert torch.equal(torch.get_rng_state(), before), folder


def test_an_adapter_is_loaded_with_its_base(tiny: Path, adapter: Path) -> None:
    loaded = loading.load_model(str(adapter))
    names = [name for name, _ in loaded.named_parameters() if "lora_B" in name]
    assert names and all(loaded.get_parameter(name).abs().sum() > 0 for name in names)
    assert loading.resolve_base(str(adapter)) == str(tiny / "debater")
    assert loading.load_tokenizer(str(adapter)).get_vocab() == build_tokenizer().get_vocab()
    assert loading.context_length(loaded.config) == 512


def test_end_tokens_come_from_tokenizer_and_configuration(tiny: Path, tmp_path: Path) -> None:
    tokenizer = loading.load_tokenizer(str(tiny / "debater"))
    shutil.copytree(tiny / "debater", tmp_path / "chat")
    described = json.loads((tmp_path / "chat" / "config.json").read_text("utf-8"))
    (tmp_path / "chat" / "config.json").write_text(json.dumps({**described, "eos_token_id": [2, 7, 9]}), "utf-8")
    assert loading.end_tokens(str(tiny / "debater"), tokenizer) == {tokenizer.eos_token_id}
    assert loading.end_tokens(str(tmp_path / "chat"), tokenizer) == {2, 7, 9}


def test_a_tokenizer_without_padding_pads_with_its_end(tiny: Path, tmp_path: Path) -> None:
    shutil.copytree(tiny / "debater", tmp_path / "unpadded")
    tokenizer = loading.load_tokenizer(str(tiny / "debater"))
    tokenizer.pad_token = None
    tokenizer.save_pretrained(tmp_path / "unpadded")
    loaded = loading.load_tokenizer(str(tmp_path / "unpadded"))
    assert loaded.pad_token_id == loaded.eos_token_id == 2


def changed(folder: Path, new: Path, name: str = "model.safetensors", **weights: torch.Tensor | None) -> Path:
    """A copy of a model folder with some weights exchanged, or left out (None)."""
    shutil.copytree(folder, new)
    tensors = load_file(new / name) | weights
    save_file({n: t for n, t in tensors.items() if t is not None}, new / name, metadata={"format": "pt"})
    return new


def described(folder: Path, file: str = "config.json", **entries: object) -> Path:
    """The folder, with entries of one of its JSON files exchanged."""
    path = folder / file
    before = json.loads(path.read_text("utf-8")) if path.exists() else {}
    path.write_text(json.dumps({**before, **entries}), "utf-8")
    return folder


def test_missing_weights_are_never_made_up(tiny: Path, tmp_path: Path) -> None:
    folder = changed(tiny / "debater", tmp_path / "m", **{"model.layers.1.mlp.up_proj.weight": None})
    with pytest.raises(ModelError, match="lacks 1 of its weights, such as model.layers.1.mlp.up_proj.weight"):
        loading.load_model(str(folder))


def test_a_head_that_is_not_tied_is_not_made_up(tiny: Path, tmp_path: Path) -> None:
    folder = changed(tiny / "debater", tmp_path / "m", **{"lm_head.weight": None})
    with pytest.raises(ModelError, match="such as lm_head.weight"):
        loading.load_model(str(folder))


def test_weights_of_another_shape_are_refused(tiny: Path, tmp_path: Path) -> None:
    folder = changed(tiny / "debater", tmp_path / "m", **{"model.norm.weight": torch.zeros(7)})
    with pytest.raises(ModelError, match="other shapes than its config.json says"):
        loading.load_model(str(folder))


@pytest.mark.parametrize("renamed", [None, "base_model.model.model.layers.9.mlp.up_proj.lora_A.weight"])
def test_an_adapter_that_lacks_weights_is_refused(adapter: Path, tmp_path: Path, renamed: str | None) -> None:
    name = "base_model.model.model.layers.1.mlp.up_proj.lora_A.weight"
    weight = load_file(adapter / "adapter_model.safetensors")[name]
    more = {renamed: weight} if renamed else {}
    folder = changed(adapter, tmp_path / "m", "adapter_model.safetensors", **{name: None, **more})
    with pytest.raises(ModelError, match=f"The adapter {folder} lacks 1 of its weights, such as {name}"):
        loading.load_model(str(folder))


def test_an_adapter_of_another_model_is_refused(adapter: Path, tmp_path: Path) -> None:
    base = write_model(tmp_path / "other", "gpt_neox")
    with pytest.raises(ModelError, match=r"adapter .* does not fit its base model"):
        loading.load_model(str(described(adapter, "adapter_config.json", base_model_name_or_path=str(base))))
    with pytest.raises(ModelError, match="names no base model"):
        loading.load_model(str(described(adapter, "adapter_config.json", base_model_name_or_path=None)))


def test_a_missing_shard_is_named(tiny: Path, tmp_path: Path) -> None:
    loading.load_model(str(tiny / "debater")).save_pretrained(tmp_path, max_shard_size="20KB")
    (gone, *_) = sorted(tmp_path.glob("model-*.safetensors"))
    gone.unlink()
    with pytest.raises(ModelError, match=f"lacks {gone.name}, which model.safetensors.index.json names"):
        loading.resolve(str(tmp_path))


def test_a_relative_folder_is_absolute_from_then_on(
    tiny: Path, tmp_path: Path, adapter: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tiny)
    assert loading.resolve("debater") == str(tiny / "debater")
    saved = get_peft_model(loading.load_model("debater"), LoraConfig(r=2, target_modules="all-linear"))
    saved.save_pretrained(tmp_path / "new")
    monkeypatch.chdir(tmp_path)
    assert loading.resolve_base("new") == str(tiny / "debater")


@pytest.mark.parametrize("place", ["config.json", "text part", "generation_config.json", "tokenizer"])
@pytest.mark.parametrize("kind", [int, list])
def test_the_end_of_a_speech_may_be_named_in_one_place_alone(
    tiny: Path, tmp_path: Path, place: str, kind: type
) -> None:
    """Gemma 3 names it beside its text part, Phi 3 and the first Llama 3 in the generation_config alone."""
    end = 7 if kind is int else [7]
    text = json.loads((tiny / "debater" / "config.json").read_text("utf-8"))
    multimodal = {"model_type": "gemma3", "text_config": {"model_type": "gemma3_text", "eos_token_id": 2}}
    named = {
        "config.json": multimodal | {"eos_token_id": end},
        "text part": multimodal | {"text_config": {"model_type": "gemma3_text", "eos_token_id": end}},
    }.get(place, text)
    folder = tmp_path / "m"
    shutil.copytree(tiny / "debater", folder)
    (folder / "config.json").write_text(json.dumps(named), "utf-8")
    (folder / "generation_config.json").write_text("{}", "utf-8")
    tokenizer = loading.load_tokenizer(str(folder))
    if place == "generation_config.json":
        described(folder, place, eos_token_id=end)
    if place == "tokenizer":
        tokenizer.eos_token = tokenizer.convert_ids_to_tokens(7)
    assert 7 in loading.end_tokens(str(folder), tokenizer)


@pytest.mark.parametrize(
    ("settings", "kept"),
    [
        ({"temperature": 0.6, "top_p": 0.9}, {}),
        ({"temperature": 0.6, "do_sample": True}, {"temperature": 0.6, "do_sample": True}),
        ({"early_stopping": "perhaps", "top_k": 5, "do_sample": True}, {"top_k": 5, "do_sample": True}),
        ({"max_new_tokens": 0, "repetition_penalty": 1.1}, {"repetition_penalty": 1.1}),
        ({"cache_implementation": "of my own", "num_return_sequences": 4}, {}),
    ],
)
def test_a_generation_config_is_saved_as_far_as_it_validates(
    settings: dict[str, object], kept: dict[str, object], tiny: Path, tmp_path: Path
) -> None:
    folder = Path(shutil.copytree(tiny / "debater", tmp_path / "m"))
    described(folder, "generation_config.json", eos_token_id=[2, 7], **settings)
    loading.load_model(str(folder)).save_pretrained(tmp_path / "saved")
    saved = json.loads((tmp_path / "saved" / "generation_config.json").read_text("utf-8"))
    assert saved["eos_token_id"] == [2, 7]
    assert {name: saved[name] for name in settings if name in saved} == kept
