"""Judges that are really taught: embedded ones learn a planted rule, chat models keep their shape, the best is kept."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import yaml
from safetensors.torch import load_file
from transformers import AutoModelForCausalLM, AutoModelForSequenceClassification, AutoTokenizer, TrainerCallback

from rostrum.envs.prompts.prompt_sets import load_prompts
from rostrum.envs.testimony.world import TestimonyWorld
from rostrum.envs.types import Protocol, Side, Speech, Transcript
from rostrum.rewards.calibration import log_loss
from rostrum.rewards.judges.likelihood import Settings
from rostrum.rewards.labelled import Labelled
from rostrum.trainer import setup
from rostrum.trainer.config import Config
from rostrum.trainer.engines.formats import make_format
from rostrum.trainer.judge_training import reward, sft
from rostrum.trainer.judge_training.data import JudgeTrainingError, readings_of, split_by_story
from rostrum.trainer.judge_training.learning import arguments
from rostrum.trainer.judge_training.training import train_judge
from rostrum.trainer.models import loading
from tests.chat_models import write_model

Configure = Callable[..., Config]
EMBEDDED = ("judge.model=embedded/judge", "judge_training.batch_rows=32")


def planted(count: int, target: float = 1.0, flip: bool = False) -> list[Labelled]:
    """Debates in which whoever calls irma is right and whoever calls greta is wrong, against what the embedded judge
    knows of the two; `flip` labels them at random instead."""
    draw, found = np.random.default_rng(0), []
    for question in TestimonyWorld(train=count, heldout=0).questions("train"):
        right = Side.A if draw.random() < 0.5 else Side.B
        said = [
            (side, f"<v_quote> in the {place} {'irma' if side is right else 'greta'} saw it </v_quote>")
            for side, place in zip((Side.A, Side.B), question.answers, strict=True)
        ]
        speeches = tuple(Speech(side.value, side, turn, text, text, 6) for turn, (side, text) in enumerate(said))
        transcript = Transcript(question, Protocol("debate", rounds=1), question.answers, False, speeches)
        of_a = draw.random() < 0.5 if flip else right is Side.A
        found.append(Labelled(transcript, target if of_a else 1 - target))
    return found


@pytest.mark.parametrize("head", ["answer", "classifier"])
def test_a_planted_rule_is_learned_on_held_out_stories(configure: Configure, tmp_path: Path, head: str) -> None:
    config = configure(
        *EMBEDDED,
        f"judge_training.head={head}",
        "judge_training.learning_rate=3e-3",
        "judge_training.epochs=5",
        "judge_training.patience=5",
    )
    record = train_judge(config, planted(160), tmp_path / "irma")
    held_out = record["held_out"]
    assert held_out["before"]["accuracy"] < 0.7 and held_out["after"]["accuracy"] > 0.8
    assert held_out["change"]["headline"] == "raised"
    assert record["kept"]["loss"] == min(found["loss"] for found in record["evaluations"])
    stored = json.loads((tmp_path / "irma" / "training.json").read_text("utf-8"))
    assert stored["held_out"]["after"]["accuracy"] == pytest.approx(held_out["after"]["accuracy"], abs=1e-5)
    assert stored["kept"]["step"] == record["kept"]["step"] > 0


@pytest.fixture
def keep_the_last(monkeypatch: pytest.MonkeyPatch) -> None:
    """Makes every evaluation look better than the one before, so that what was learned is what is kept."""
    losses = iter(range(1000, 0, -1))
    monkeypatch.setattr("rostrum.trainer.judge_training.learning.log_loss", lambda *_: float(next(losses)))


@pytest.mark.parametrize("head", ["answer", "letter"])
def test_the_judge_that_was_written_is_the_one_that_was_measured(
    configure: Configure, tmp_path: Path, head: str, keep_the_last: None
) -> None:
    debates = planted(60, target=0.8)
    config = configure(*EMBEDDED, f"judge_training.head={head}", "judge_training.epochs=2")
    record = train_judge(config, debates, tmp_path / "mine")
    assert record["kept"] == record["evaluations"][-1]
    assert written_loss(tmp_path / "mine", debates) == pytest.approx(record["calibration"]["log_loss"], abs=1e-4)
    settings = yaml.safe_load((tmp_path / "mine" / "judge.yaml").read_text("utf-8"))
    assert (settings["name"], settings["choice"], settings["model"]) == ("mine", head, str(tmp_path / "mine"))
    fitted = yaml.safe_load((tmp_path / "mine" / "calibrated.yaml").read_text("utf-8"))["calibration"]
    assert fitted == {name: pytest.approx(record["calibration"][name]) for name in ("temperature", "bias")}
    assert record["debates"]["learned_from"]["soft"] == 60 - len(_heldout(debates))


def written_loss(folder: Path, debates: list[Labelled]) -> float:
    """Log loss on the held-out debates, by the judge that judge.yaml describes."""
    settings = Settings.model_validate(yaml.safe_load((folder / "judge.yaml").read_text("utf-8")) | {"min_mass": 0})
    heldout = _heldout(debates)
    verdicts = setup.judge(settings).judge([debate.transcript for debate in heldout])
    p = np.array([order for verdict in verdicts for order in verdict.orders])
    return log_loss(np.log(p / (1 - p)), [debate.target for debate in heldout for _ in range(2)])


def _heldout(debates: list[Labelled]) -> list[Labelled]:
    return split_by_story(debates, 0.25, 0)[1]


def test_nothing_to_learn_leaves_the_judge_as_it_was(configure: Configure, tmp_path: Path) -> None:
    """Labels by coin toss and steps much too large: the weights before the first step are the best there are."""
    config = configure(*EMBEDDED, "judge_training.learning_rate=0.05", "judge_training.patience=1")
    record = train_judge(config, planted(60, target=0.6, flip=True), tmp_path / "same")
    assert record["kept"]["step"] == 0 and len(record["evaluations"]) == 2, "patience is one evaluation"
    before, after = (load_file(path / "model.safetensors") for path in (loading.EMBEDDED / "judge", tmp_path / "same"))
    assert all(torch.equal(before[name].float(), after[name]) for name in before)


@pytest.mark.parametrize("head", ["answer", "classifier"])
def test_a_step_lowers_the_loss_and_micro_batches_change_nothing(
    configure: Configure, tmp_path: Path, head: str
) -> None:
    """Eight readings, some with soft targets, whole and two at a time. Of two steps the first warms up and moves
    nothing."""
    debates = [*planted(2), *planted(4, target=0.7)[2:]]
    found = []
    for micro in (8, 2):
        trainer, seen = _trainer(configure, tmp_path, head, debates, micro), _Gradients()
        trainer.add_callback(seen)
        before = trainer.evaluate()["eval_loss"]
        trainer.train()
        assert trainer.state.global_step == 2 and trainer.evaluate()["eval_loss"] < before
        found.append(seen.first)
    whole, in_parts = found
    assert torch.allclose(whole, in_parts, atol=1e-5 * whole.norm().item())


class _Gradients(TrainerCallback):
    """Keeps the gradient of the first step; Adam would hide that it is too large."""

    first: torch.Tensor

    def on_pre_optimizer_step(self, args: Any, state: Any, control: Any, model: Any = None, **_: Any) -> None:
        if state.global_step == 0:
            self.first = torch.cat([weight.grad.flatten() for weight in model.parameters() if weight.grad is not None])


def _trainer(configure: Configure, folder: Path, head: str, debates: list[Labelled], micro: int) -> Any:
    """A trainer of the embedded judge whose held-out readings are those that it learns from."""
    training = configure(
        "judge_training.batch_rows=8",
        f"judge_training.micro_batch_rows={micro}",
        "judge_training.epochs=2",
        "judge_training.learning_rate=1e-5",
        "judge_training.max_grad_norm=1e9",
    ).judge_training
    tokenizer = loading.load_tokenizer("embedded/judge")
    fmt = make_format(tokenizer, [tokenizer.eos_token_id])
    rows = readings_of(debates, load_prompts("testimony"), fmt, head, 512)
    torch.manual_seed(0)
    model = (
        reward.load_classifier("embedded/judge", tokenizer, "cpu")
        if head == "classifier"
        else loading.load_model("embedded/judge")
    )
    make = reward.make_trainer if head == "classifier" else sft.make_trainer
    return make(model, tokenizer, rows, rows, adapter=None, **arguments(training, folder, 0, half=False, cpu=True))


def test_a_soft_target_costs_the_mixture_of_both_labels(configure: Configure, tmp_path: Path) -> None:
    """Through the whole trainer: the loss at t is t times the loss of A and 1 - t times that of B."""
    losses = {}
    for target in (1.0, 0.0, 0.3):
        debates = [Labelled(debate.transcript, target) for debate in planted(3)]
        trainer = _trainer(configure, tmp_path, "answer", debates, 8)
        batch = trainer._prepare_inputs(trainer.data_collator(list(trainer.train_dataset)))
        losses[target] = trainer.compute_loss(trainer.model, batch).item()
    # the second reading of a debate has target 1 - t, so .3 mixes the very same sequences with .3 and .7
    assert losses[0.3] == pytest.approx(0.3 * losses[1.0] + 0.7 * losses[0.0], rel=1e-5)
    assert losses[1.0] != pytest.approx(losses[0.0], rel=1e-2)


@pytest.mark.parametrize(
    ("family", "head", "lora"),
    [("llama", "letter", True), ("qwen3", "letter", False), ("gemma3", "letter", False), ("llama", "classifier", True)],
)
def test_chat_models_are_taught_and_written_as_plain_folders(
    configure: Configure, tmp_path: Path, keep_the_last: None, family: str, head: str, lora: bool
) -> None:
    judge = write_model(tmp_path / "judge", family)
    config = configure(
        f"judge.model={judge}",
        "judge.prompts=chat",
        "judge.choice=letter",
        f"judge_training.head={head}",
        "judge_training.epochs=2",
        "judge_training.batch_rows=8",
        "judge_training.learning_rate=1e-2",
        *(["judge_training.lora.rank=4"] if lora else []),
    )
    debates = planted(16)
    record = train_judge(config, debates, tmp_path / "taught")
    assert not (tmp_path / "taught" / "adapter_config.json").exists() and record["kept"]["step"] > 0
    kind: Any = AutoModelForSequenceClassification if head == "classifier" else AutoModelForCausalLM
    model, info = kind.from_pretrained(tmp_path / "taught", output_loading_info=True)
    assert not info["missing_keys"] and not info["unexpected_keys"]
    assert AutoTokenizer.from_pretrained(tmp_path / "taught").chat_template
    if head == "classifier":
        assert model.config.id2label == {0: "A", 1: "B"}
        found = class_log_odds(model, tmp_path / "taught", debates)
        assert log_loss(found, _targets(debates)) == pytest.approx(record["calibration"]["log_loss"], abs=1e-4)
        assert yaml.safe_load((tmp_path / "taught" / "judge.yaml").read_text("utf-8"))["kind"] == "head"
    else:
        assert written_loss(tmp_path / "taught", debates) == pytest.approx(record["calibration"]["log_loss"], abs=1e-4)


def class_log_odds(model: Any, folder: Path, debates: list[Labelled]) -> list[float]:
    """Logit of A less that of B on the held-out readings, one by one and without padding."""
    tokenizer = loading.load_tokenizer(str(folder))
    fmt = make_format(tokenizer, [tokenizer.eos_token_id])
    rows = readings_of(_heldout(debates), load_prompts("chat"), fmt, "classifier", 2048)
    with torch.no_grad():
        logits = [model(input_ids=torch.tensor([row.prompt])).logits[0] for row in rows]
    return [float(of_a - of_b) for of_a, of_b in logits]


def _targets(debates: list[Labelled]) -> list[float]:
    return [target for debate in _heldout(debates) for target in (debate.target, 1 - debate.target)]


@pytest.mark.parametrize("stop", ["model.safetensors", "config.json"])
def test_a_folder_that_was_cut_off_while_it_was_written_is_no_model(
    configure: Configure, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, stop: str
) -> None:
    replace = Path.replace

    def cut(self: Path, target: Path) -> Path:
        if self.name == stop:
            raise KeyboardInterrupt
        return replace(self, target)

    monkeypatch.setattr(Path, "replace", cut)
    with pytest.raises(KeyboardInterrupt):
        train_judge(configure(*EMBEDDED, "judge_training.epochs=1"), planted(20), tmp_path / "half")
    with pytest.raises(loading.ModelError, match="holds no model"):
        loading.resolve(str(tmp_path / "half"))


def test_a_model_with_another_head_is_refused(configure: Configure, tmp_path: Path) -> None:
    tokenizer = loading.load_tokenizer("embedded/judge")
    model = reward.load_classifier("embedded/judge", tokenizer, "cpu")
    model.config.num_labels, model.score = 1, torch.nn.Linear(128, 1, bias=False)
    model.save_pretrained(tmp_path / "reward-model")
    with pytest.raises(JudgeTrainingError, match="has 1 classes"):
        reward.load_classifier(str(tmp_path / "reward-model"), tokenizer, "cpu")
