"""Models with a head: what is read of a batch, contexts that are too long, folders that must not be loaded."""

import json
import math
import shutil
from pathlib import Path

import pytest
import torch
from transformers import BertConfig, BertForSequenceClassification, LlamaConfig, LlamaForSequenceClassification

from rostrum.launch.compose import ConfigError, load
from rostrum.rewards.judges.head import Settings
from rostrum.trainer import model_checks
from rostrum.trainer.engines import EngineError, engine_settings, make_classifier
from rostrum.trainer.engines.transformers.classifier import TransformersClassifier
from rostrum.trainer.models import loading
from rostrum.trainer.models.loading import ModelError
from rostrum.trainer.testimony_models.vocabulary import build_tokenizer

PROMPTS = ["A says : kitchen", "B says : attic kitchen in the office", "A", "attic garden cellar", "B says :"]


def write_head(folder: Path, outputs: int = 2, architecture: str = "llama", **settings: object) -> str:
    """A random model with a head that reads the testimony vocabulary."""
    tokenizer = build_tokenizer()
    shape = dict(
        vocab_size=len(tokenizer),
        hidden_size=32,
        intermediate_size=64,
        num_hidden_layers=2,
        num_attention_heads=2,
        max_position_embeddings=64,
        num_labels=outputs,
        initializer_range=0.2,
        pad_token_id=tokenizer.pad_token_id,
    )
    torch.manual_seed(outputs)
    if architecture == "llama":
        shape |= {"eos_token_id": 2, "bos_token_id": None, **settings}
        model = LlamaForSequenceClassification(LlamaConfig(**shape))
    else:
        model = BertForSequenceClassification(BertConfig(**shape))
        tokenizer.eos_token = None
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return str(folder)


@pytest.mark.parametrize("outputs", [1, 2])
@pytest.mark.parametrize("architecture", ["llama", "bert"])
def test_a_batch_is_read_as_each_prompt_alone(tmp_path: Path, outputs: int, architecture: str) -> None:
    folder = write_head(tmp_path, outputs, architecture)
    model, tokenizer = loading.load_classifier(folder).eval(), loading.load_tokenizer(folder, speaks=False)
    with torch.inference_mode():
        alone = [tuple(model(**tokenizer(prompt, return_tensors="pt")).logits[0].tolist()) for prompt in PROMPTS]
    for batch_size in (1, 2, 8):
        classifier = TransformersClassifier(folder, engine_settings(batch_size=batch_size))
        for found, expected in zip(classifier.logits(PROMPTS), alone, strict=True):
            assert found == pytest.approx(expected, abs=1e-5) and len(found) == outputs == classifier.outputs
    assert len(set(alone)) == len(PROMPTS)
    assert classifier.usage.requests == len(PROMPTS)
    assert classifier.usage.prompt_tokens == sum(len(prompt.split()) for prompt in PROMPTS)
    assert classifier.logits([]) == []


def test_a_model_without_a_padding_token_reads_the_last_token_of_each(tmp_path: Path) -> None:
    """Else transformers refuses a batch, or pools the padding."""
    folder = write_head(tmp_path, pad_token_id=None)
    config = json.loads((tmp_path / "tokenizer_config.json").read_text("utf-8"))
    del config["pad_token"]
    (tmp_path / "tokenizer_config.json").write_text(json.dumps(config), "utf-8")
    batch, single = (
        TransformersClassifier(folder, engine_settings(batch_size=size)).logits(PROMPTS) for size in (8, 1)
    )
    for found, expected in zip(batch, single, strict=True):
        assert found == pytest.approx(expected, abs=1e-5)


def test_a_prompt_beyond_the_context_has_no_number(tmp_path: Path) -> None:
    classifier = TransformersClassifier(write_head(tmp_path))
    fits, too_long = classifier.logits(["A " * 64, "A " * 65])
    assert all(map(math.isfinite, fits)) and all(map(math.isnan, too_long)) and len(too_long) == 2
    assert classifier.usage.requests == 1


def test_a_language_model_is_not_given_a_random_head(tiny: Path, tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="no classification or reward head"):
        loading.load_classifier(f"{tiny}/judge")
    shutil.copytree(tiny / "judge", tmp_path / "posing")
    config = json.loads((tmp_path / "posing" / "config.json").read_text("utf-8"))
    config["architectures"] = ["LlamaForSequenceClassification"]
    (tmp_path / "posing" / "config.json").write_text(json.dumps(config), "utf-8")
    with pytest.raises(ModelError, match="lacks weights .score.weight."):
        loading.load_classifier(str(tmp_path / "posing"))


def test_heads_of_other_sizes_adapters_and_pickles_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="has 3 outputs"):
        loading.head_outputs(write_head(tmp_path / "three", 3))
    folder = Path(write_head(tmp_path / "adapter"))
    (folder / "adapter_config.json").write_text("{}", "utf-8")
    with pytest.raises(ModelError, match="is an adapter"):
        loading.head_outputs(str(folder))
    folder = Path(write_head(tmp_path / "pickled"))
    (folder / "model.safetensors").rename(folder / "pytorch_model.bin")
    with pytest.raises(ModelError, match="pickled"):
        loading.load_classifier(str(folder))


def test_folders_with_heads_pass_the_checks_of_a_run_and_others_do_not(tiny: Path, tmp_path: Path) -> None:
    model_checks.check_model(write_head(tmp_path / "llama"), has_head=True)
    model_checks.check_model(write_head(tmp_path / "bert", architecture="bert"), has_head=True)
    with pytest.raises(ModelError, match="no classification or reward head"):
        model_checks.check_model(f"{tiny}/judge", has_head=True)
    assert Settings(kind="head", name="j", model="m", prompts="prose").has_head


def test_a_head_is_served_by_engines_that_say_so_alone() -> None:
    with pytest.raises(ConfigError, match="has a head, which engine=vllm does not serve: choose transformers"):
        load(["judge=head", "judge.engine=vllm"])
    with pytest.raises(EngineError, match="serves no models with a head"):
        make_classifier("m", engine_settings("vllm"))
