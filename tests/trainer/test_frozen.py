"""Frozen judges: what the hash sees, who is told, and that training leaves the judge's weights in memory alone."""

import hashlib
import json
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from rostrum.rewards.judges import JudgeSettings
from rostrum.trainer import setup
from rostrum.trainer.config import Config
from rostrum.trainer.models.loading import EMBEDDED
from rostrum.trainer.store import frozen
from rostrum.trainer.train import train
from tests.chat_models import write_model

Configure = Callable[..., Config]


@pytest.fixture
def judge(tiny: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(tiny / "judge", tmp_path / "judge"))


def flip_last_byte(path: Path) -> None:
    content = path.read_bytes()
    path.write_bytes(content[:-1] + bytes([content[-1] ^ 1]))


@pytest.mark.parametrize("name", ["model.safetensors", "config.json", "tokenizer.json", "tokenizer_config.json"])
def test_a_byte_of_what_answers_depend_on_changes_the_hash(judge: Path, name: str) -> None:
    before = frozen.model_hash(str(judge))
    flip_last_byte(judge / name)
    after = frozen.model_hash(str(judge))
    assert after != before and len(after) == 64
    flip_last_byte(judge / name)
    assert frozen.model_hash(str(judge)) == before


def test_the_place_and_the_card_do_not_count_but_names_do(judge: Path, tmp_path: Path) -> None:
    before = frozen.model_hash(str(judge))
    (judge / "README.md").write_text("another card", "utf-8")
    elsewhere = judge.rename(tmp_path / "elsewhere")
    assert frozen.model_hash(str(elsewhere)) == before
    (elsewhere / "model.safetensors").rename(elsewhere / "model-00001-of-00001.safetensors")
    assert frozen.model_hash(str(elsewhere)) != before


def test_an_adapter_counts_with_its_base(judge: Path, tmp_path: Path) -> None:
    adapter = tmp_path / "adapter"
    adapter.mkdir()
    (adapter / "adapter_config.json").write_text(json.dumps({"base_model_name_or_path": str(judge)}), "utf-8")
    (adapter / "adapter_model.safetensors").write_bytes(b"adapter")
    before = frozen.model_hash(str(adapter))
    flip_last_byte(judge / "model.safetensors")
    assert frozen.model_hash(str(adapter)) != before


def test_a_hub_id_stands_for_its_snapshot(judge: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[str] = []

    def download(model: str, allow_patterns: list[str]) -> str:
        asked.append(model)
        assert "*.safetensors" in allow_patterns
        return str(judge)

    monkeypatch.setattr("huggingface_hub.snapshot_download", download)
    assert frozen.model_hash("someone/judge") == frozen.model_hash(str(judge)) and asked == ["someone/judge"]


def test_every_judge_is_recorded_and_a_change_names_it(configure: Configure, judge: Path) -> None:
    config = configure(f"judge.model={judge}", "heldout_judges=testimony")
    recorded = frozen.hashes(config.judges)
    embedded = frozen.model_hash("embedded/judge-heldout")
    assert recorded["heldout-judge"] == {"embedded/judge-heldout": embedded}
    assert recorded["weak-judge"] == {str(judge): frozen.model_hash(str(judge))}
    frozen.check(recorded, config.judges)
    flip_last_byte(judge / "model.safetensors")
    with pytest.raises(frozen.FrozenError, match="The judge weak-judge is not frozen: its model"):
        frozen.check(recorded, config.judges)
    frozen.check({}, config.judges)


def test_judges_that_were_not_recorded_are_not_read(configure: Configure, judge: Path) -> None:
    judges = configure(f"judge.model={judge}").judges
    shutil.rmtree(judge)
    frozen.check({"another": {}}, judges)
    with pytest.raises(Exception, match="judge"):
        frozen.check({judges[0].name: {}}, judges)


def test_large_files_are_read_in_pieces(judge: Path) -> None:
    assert frozen.model_hash(str(judge), piece=1000) == frozen.model_hash(str(judge))


def test_the_embedded_judge_by_hand() -> None:
    digest = hashlib.sha256()
    for name in ("config.json", "model.safetensors", "tokenizer.json", "tokenizer_config.json"):
        content = (EMBEDDED / "judge" / name).read_bytes()
        digest.update(f"{name}\0{len(content)}\0".encode() + content)
    assert frozen.model_hash("embedded/judge") == digest.hexdigest()


@pytest.mark.parametrize("algorithm", ["ppo", "dpo"])
def test_training_leaves_the_judge_in_memory_as_it_was(
    configure: Configure, monkeypatch: pytest.MonkeyPatch, algorithm: str
) -> None:
    made: list[Any] = []
    make = setup.judge

    def keep(settings: JudgeSettings, run: Config | None = None) -> Any:
        judge = make(settings, run)
        model = judge.base.scorer._model
        made.append((model, _state(model)))
        return judge

    monkeypatch.setattr("rostrum.trainer.setup.judge", keep)
    train(configure(f"algorithm={algorithm}", *(["algorithm.min_gap=0"] if algorithm == "dpo" else [])))
    ((model, before),) = made
    assert _state(model) == before and not model.training
    assert not any(weight.requires_grad or weight.grad is not None for weight in model.parameters())


def _state(model: Any) -> str:
    digest = hashlib.sha256()
    for name, tensor in sorted(model.state_dict().items()):
        digest.update(name.encode() + tensor.numpy().tobytes())
    return digest.hexdigest()


def test_chat_templates_count(tmp_path: Path) -> None:
    judge = write_model(tmp_path / "judge", "chatml")
    before = frozen.model_hash(str(judge))
    templates: Iterator[Path] = judge.glob("*.jinja")
    for template in [*templates, judge / "tokenizer_config.json"]:
        flip_last_byte(template)
    assert frozen.model_hash(str(judge)) != before
