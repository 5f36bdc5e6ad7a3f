"""A command reads the questions once, and the tokenizer of each model once."""

from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from transformers import AutoTokenizer

from rostrum.envs.questions import testimony
from rostrum.launch.cli import main
from rostrum.trainer.models import loading


@pytest.fixture
def read(monkeypatch: pytest.MonkeyPatch) -> Iterator[Counter[str]]:
    """What was read, and how often."""
    found: Counter[str] = Counter()
    tokenizer, questions = AutoTokenizer.from_pretrained, testimony.Settings.load

    def from_pretrained(folder: str, **options: Any) -> Any:
        found[Path(folder).name] += 1
        return tokenizer(folder, **options)

    def load(settings: testimony.Settings) -> Any:
        found["questions"] += 1
        return questions(settings)

    monkeypatch.setattr(AutoTokenizer, "from_pretrained", from_pretrained)
    monkeypatch.setattr(testimony.Settings, "load", load)
    loading._READ.clear()
    yield found
    loading._READ.clear()


def test_training_and_evaluation_read_questions_and_tokenizers_once(
    tiny: Path, tmp_path: Path, read: Counter[str]
) -> None:
    run = tmp_path / "run"
    small = f"questions.train=12 questions.heldout=2 judge.min_mass=0 iterations=1 debater.model={tiny}/debater"
    few = "algorithm.questions_per_iteration=2 algorithm.debates_per_seating=2 algorithm.minibatches=1"
    more = f"judge.model={tiny}/judge heldout_judges=none evaluation.attacks=0 output={run}"
    assert main(["train", *small.split(), *few.split(), *more.split()]) == 0
    assert read["questions"] == 1 and read["debater"] == read["judge"] == 1, read
    read.clear()
    loading._READ.clear()
    assert main(["evaluate", f"run={run}"]) == 0
    assert read["questions"] == 1, read
    assert set(read.values()) == {1}, read


def test_a_tokenizer_whose_files_change_is_read_again(tiny: Path, tmp_path: Path) -> None:
    import shutil

    folder = Path(shutil.copytree(tiny / "debater", tmp_path / "model"))
    (folder / "notes").symlink_to("nowhere")
    first = loading.load_tokenizer(str(folder))
    assert loading.load_tokenizer(str(folder)) is first
    path = folder / "tokenizer_config.json"
    path.write_text(path.read_text().replace("{", '{"chat_template": "{{ messages }}", ', 1))
    again = loading.load_tokenizer(str(folder))
    assert again is not first
    again.add_tokens(["elsewhere"])
    assert len(loading.load_tokenizer(str(folder))) == len(first), "what somebody changed is not handed on"
