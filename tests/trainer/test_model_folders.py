"""Model folders that other versions, other users and a hub can read."""

import json
from pathlib import Path
from typing import Any

import pytest
import torch
import transformers
import yaml

from rostrum.trainer.models import cards, model_folders
from rostrum.trainer.models.loading import ModelError, load_model, load_tokenizer
from rostrum.trainer.weights import finite
from rostrum.trainer.weights.parts import held
from rostrum.trainer.weights.trained import fingerprint
from tests.chat_models import FAMILIES, tokenizer, write_model

ROPE = {
    "rope_theta": 5e5,
    "rope_type": "llama3",
    "factor": 8.0,
    "low_freq_factor": 1.0,
    "high_freq_factor": 4.0,
    "original_max_position_embeddings": 64,
}


@pytest.mark.parametrize("family", FAMILIES)
def test_nothing_changes_for_transformers_5(family: str, tmp_path: Path) -> None:
    folder = str(write_model(tmp_path / "m", family))
    with torch.no_grad():
        before = load_model(folder)(input_ids=torch.arange(60)[None]).logits
    words = load_tokenizer(folder)
    model_folders.finish(Path(folder))
    with torch.no_grad():
        after = load_model(folder)(input_ids=torch.arange(60)[None]).logits
    assert torch.equal(before, after)
    again = load_tokenizer(folder)
    assert again.get_vocab() == words.get_vocab() and again.chat_template == words.chat_template
    assert set(again.all_special_tokens) == set(words.all_special_tokens) == set(tokenizer(family).all_special_tokens)
    text = "<|im_start|>the judge <start_of_turn> reads [INST]"
    assert again.encode(text) == words.encode(text)


@pytest.mark.parametrize(
    ("kind", "entries", "older"),
    [
        (
            "LlamaConfig",
            {"rope_parameters": ROPE},
            {"rope_theta": 5e5, "rope_scaling": {k: v for k, v in ROPE.items() if k != "rope_theta"}},
        ),
        ("Gemma3TextConfig", {}, {"rope_theta": 1e6, "rope_local_base_freq": 1e4}),
        ("GPTNeoXConfig", {}, {"rotary_emb_base": 10000.0, "rotary_pct": 0.25}),
        ("Phi3Config", {}, {"rope_theta": 10000.0, "partial_rotary_factor": 1.0}),
        ("GPT2Config", {}, {}),
    ],
)
def test_the_rotary_embedding_is_written_for_both_versions(
    kind: str, entries: dict[str, Any], older: dict[str, Any], tmp_path: Path
) -> None:
    config = getattr(transformers, kind)(**entries)
    config.save_pretrained(tmp_path)
    model_folders.finish(tmp_path)
    written = json.loads((tmp_path / "config.json").read_text("utf-8"))
    assert {name: written[name] for name in older} == older
    read = getattr(transformers, kind).from_pretrained(tmp_path)
    assert getattr(read, "rope_parameters", None) == getattr(config, "rope_parameters", None)


def test_the_text_part_of_a_multimodal_model_has_it_too() -> None:
    part = {"model_type": "llama", "rope_parameters": {"rope_theta": 7.0, "rope_type": "default"}}
    assert model_folders.with_rope_of_version_4({"text_config": part})["text_config"]["rope_theta"] == 7.0


def test_cards_name_a_base_model_only_if_it_is_on_a_hub(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def unreachable(*_: Any, **__: Any) -> str:
        raise OSError("someone/some-model is not a model identifier")

    def head(base: str) -> dict[str, Any]:
        return yaml.safe_load(cards.adapter_card(base, "one").split("---\n")[1])

    folder = write_model(tmp_path / "m", "llama")
    monkeypatch.setattr(cards, "cached_file", unreachable)
    unknown = {"license": "other", "license_name": "terms-of-the-base-model"}
    assert head("someone/some-model").items() >= {**unknown, "base_model": "someone/some-model"}.items()
    assert head("embedded/debater")["license"] == "apache-2.0" and "base_model" not in head("embedded/debater")
    assert head(str(folder)).items() >= unknown.items() and "base_model" not in head(str(folder))
    (folder / "README.md").write_text("---\nlicense: mit\nbase_model: a/b\n---\n# it\n", "utf-8")
    assert head(str(folder))["license"] == "mit"
    assert head("/no/such/folder").items() >= unknown.items(), "a training does not end because its base was moved"
    for broken in ("# nothing", "---\n[", "---\n- a\n---\n"):
        (folder / "README.md").write_text(broken, "utf-8")
        assert head(str(folder)).items() >= unknown.items()


@pytest.mark.parametrize("value", [float("nan"), float("inf"), -float("inf")])
def test_weights_that_are_no_numbers_are_found(value: float) -> None:
    weights = {"a": torch.zeros(3), "b": torch.tensor([0.0, value]), "c": torch.tensor(3)}
    with pytest.raises(finite.FiniteError, match="Since the update of iteration 3 1 of .* such as b,"):
        finite.check(weights, 3)
    with pytest.raises(finite.FiniteError, match="Before any training"):
        finite.check(weights.items(), 0)
    finite.check({"a": torch.zeros(3, dtype=torch.bfloat16)}, 3)


@pytest.mark.parametrize(("rank", "elements"), [(0, [0.0, 1.0]), (1, [2.0]), (2, [])])
def test_what_fills_a_ranks_part_up_is_nobodys_weight(rank: int, elements: list[float]) -> None:
    """ZeRO-3 gives each of three ranks two places for three elements; places left over hold whatever was in memory."""
    spread = torch.nn.Parameter(torch.empty(0))
    spread.ds_tensor = torch.tensor([*elements, *[float("nan")] * (2 - len(elements))])
    spread.ds_numel, spread.ds_zero_partition_rank = 3, rank
    assert held(spread).tolist() == elements
    finite.check({"value_head.bias": spread}, 1)
    model = torch.nn.Module()
    model.register_parameter("weight", spread)
    assert fingerprint(model) == fingerprint(model), "or a NaN would pass for a change"


def test_a_tokenizer_that_makes_nothing_of_a_text_is_refused(tmp_path: Path) -> None:
    """Its template is empty, so every prompt would be."""
    folder = write_model(tmp_path / "m", next(iter(FAMILIES)))
    path = folder / "tokenizer.json"
    damaged = json.loads(path.read_text("utf-8"))
    damaged["post_processor"] = {"type": "TemplateProcessing", "single": [], "pair": [], "special_tokens": {}}
    path.write_text(json.dumps(damaged), "utf-8")
    with pytest.raises(ModelError, match="makes no token of any text"):
        load_tokenizer(str(folder))
