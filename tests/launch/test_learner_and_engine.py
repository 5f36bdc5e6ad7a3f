"""What is learned from is what was sampled: in bfloat16, with dropout, with padding, and with weights that stay."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
import transformers

from rostrum.launch.cli import main
from rostrum.trainer import setup
from rostrum.trainer.config import Debater, Lora
from rostrum.trainer.engines.transformers.causal import TransformersEngine
from rostrum.trainer.models import loading
from rostrum.trainer.store.run_folder import RunFolder, read_lines
from rostrum.trainer.testimony_models.vocabulary import build_tokenizer

ONE = (
    "iterations=1",
    "judge.min_mass=0",
    "heldout_judges=none",
    "questions.train=12",
    "questions.heldout=12",
    "save_every=1",
    "algorithm.questions_per_iteration=2",
)
RLOO = ("algorithm=rloo", "algorithm.debates_per_seating=2", "algorithm.minibatches=1", "algorithm.epochs=1")
DPO = ("algorithm=dpo", "algorithm.min_gap=0")
SHAPE: dict[str, Any] = {"hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 2}


@pytest.fixture
def trained(tiny: Path, tmp_path: Path) -> Callable[..., dict[str, Any]]:
    """Trains one iteration by command and returns its line of metrics."""

    def run(model: Path, *overrides: str) -> dict[str, Any]:
        output = tmp_path / "run"
        words = [f"debater.model={model}", f"judge.model={tiny}/judge", f"output={output}", *ONE, *overrides]
        assert main(["train", *words]) == 0
        (row,) = read_lines(output / "metrics.jsonl")
        return row

    return run


@pytest.fixture
def rejected(tiny: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> Callable[..., str]:
    """A training that must end with exit code 2 and a sentence, which is returned."""

    def run(model: Path, *overrides: str) -> str:
        words = [f"debater.model={model}", f"judge.model={tiny}/judge", f"output={tmp_path}/run", *ONE, *overrides]
        assert main(["train", *words]) == 2
        said = capfd.readouterr().err
        assert "Traceback" not in said
        return said.strip().rpartition("\n")[2]

    return run


def copy_of(model: Path, folder: Path, **config: Any) -> Path:
    """The model with other entries in its configuration."""
    shutil.copytree(model, folder)
    path = folder / "config.json"
    path.write_text(json.dumps(json.loads(path.read_text("utf-8")) | config), "utf-8")
    return folder


def write(folder: Path, name: str, **config: Any) -> Path:
    """A random model of another architecture that reads the testimony vocabulary."""
    words = build_tokenizer()
    tokens = {"eos_token_id": words.eos_token_id, "pad_token_id": words.pad_token_id, "bos_token_id": None}
    torch.manual_seed(0)
    settings = getattr(transformers, f"{name}Config")(
        vocab_size=len(words), initializer_range=0.2, **{**SHAPE, **tokens, **config}
    )
    kind = "GPT2LMHeadModel" if name == "GPT2" else f"{name}ForCausalLM"
    getattr(transformers, kind)(settings).save_pretrained(folder)
    words.save_pretrained(folder)
    return folder


@pytest.fixture
def sharp(tiny: Path, tmp_path: Path) -> Path:
    """A debater that is as sure of its words as pretrained models are: in bfloat16 the rounding of its large logits
    moves tokens that it would never say by more than a quarter of a nat."""
    model, tokenizer = (load(f"{tiny}/debater") for load in (loading.load_model, loading.load_tokenizer))
    with torch.no_grad():
        model.lm_head.weight.mul_(4)
    for part in (model, tokenizer):
        part.save_pretrained(tmp_path / "sharp")
    return tmp_path / "sharp"


@pytest.mark.parametrize("algorithm", [RLOO, DPO], ids=["rloo", "dpo"])
@pytest.mark.parametrize("lora", [(), ("debater.lora.rank=4",)], ids=["full", "lora"])
def test_a_model_that_is_sure_of_its_words_trains_in_bfloat16(
    trained: Callable[..., dict[str, Any]], sharp: Path, algorithm: tuple[str, ...], lora: tuple[str, ...]
) -> None:
    """Full weights are held in float32 while they are trained, and rounded where the engine has them in bfloat16. Under
    a fresh adapter both sides do the same arithmetic with the same bfloat16, so there the gap may be exactly zero: what
    another one looks like is shown by the test below."""
    row = trained(sharp, *algorithm, *lora, "debater.dtype=bfloat16")
    assert row["parity_mean"] < (0.01 if lora else 0.06) and row["parity"] < (0.05 if lora else 0.2)
    assert lora or row["parity_mean"] > 0
    assert 0 < row["engine_gap_mean"] < 0.1 and row["engine_gap_mean"] < row["engine_gap_max"]


@pytest.mark.parametrize(("lora", "noise"), [(("debater.lora.rank=4",), 0.005), ((), 0.02)], ids=["lora", "full"])
def test_weights_that_are_a_little_off_show_in_the_parity(
    sharp: Path,
    tiny: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
    lora: tuple[str, ...],
    noise: float,
) -> None:
    """Noise of half a percent is a hundred times what is seen without (zero); rounding would hide it in full weights,
    where two percent end the run."""
    serve = TransformersEngine._serve

    def off(self: TransformersEngine, model: str) -> None:
        serve(self, model)
        torch.manual_seed(1)
        with torch.no_grad():
            for name, weight in self._model.named_parameters():
                if weight.dim() > 1 and "lora_" not in name:
                    weight.add_(noise * weight.std() * torch.randn_like(weight))

    monkeypatch.setattr(TransformersEngine, "_serve", off)
    words = [f"debater.model={sharp}", f"judge.model={tiny}/judge", f"output={tmp_path}/run", *ONE, *RLOO, *lora]
    code = main(["train", *words, "debater.dtype=bfloat16"])
    if lora:
        (row,) = read_lines(tmp_path / "run" / "metrics.jsonl")
        assert code == 0 and row["parity_mean"] > 0.03 and row["parity"] > 0.1
    else:
        assert code == 2 and "After publishing version 0" in capfd.readouterr().err


NOISY: dict[str, Callable[[Path, Path], Path]] = {
    "llama": lambda tiny, folder: copy_of(tiny / "debater", folder, attention_dropout=0.5),
    "gpt2": lambda tiny, folder: write(folder, "GPT2", attn_pdrop=0.5, resid_pdrop=0.5, embd_pdrop=0.5),
    "gpt_neox": lambda tiny, folder: write(folder, "GPTNeoX", attention_dropout=0.5, hidden_dropout=0.5),
    "opt": lambda tiny, folder: write(folder, "OPT", dropout=0.5, layerdrop=0.5, ffn_dim=48, word_embed_proj_dim=32),
    "bloom": lambda tiny, folder: write(folder, "Bloom", hidden_dropout=0.5, attention_dropout=0.5),
    "mixtral": lambda tiny, folder: write(
        folder, "Mixtral", router_jitter_noise=0.5, num_key_value_heads=1, intermediate_size=48, num_local_experts=4
    ),
}


@pytest.mark.parametrize("family", NOISY)
def test_nothing_random_and_no_padding_enters_the_ratio(
    trained: Callable[..., dict[str, Any]], tiny: Path, tmp_path: Path, family: str
) -> None:
    """Before the first step the learner finds every sampled token as likely as the engine did, in passes that have
    prompts of several lengths, padded on the left."""
    row = trained(NOISY[family](tiny, tmp_path / "model"), *RLOO, "debater.max_tokens=8", "algorithm.kl=0.1")
    assert row["engine_gap_max"] < 1e-3 and abs(row["kl"]) < 1e-4 and row["clip_fraction"] == 0


@pytest.mark.parametrize("algorithm", [RLOO, DPO], ids=["rloo", "dpo"])
def test_an_adapters_dropout_is_off(
    trained: Callable[..., dict[str, Any]], tiny: Path, algorithm: tuple[str, ...]
) -> None:
    row = trained(tiny / "debater", *algorithm, "debater.lora.rank=4", "debater.lora.dropout=0.5")
    assert row["engine_gap_max"] < 1e-3
    assert abs(row.get("margin", 0)) < 1e-4


@pytest.mark.parametrize("algorithm", [RLOO, DPO], ids=["rloo", "dpo"])
def test_noise_that_cannot_be_turned_off_is_refused(
    rejected: Callable[..., str], tiny: Path, monkeypatch: pytest.MonkeyPatch, algorithm: tuple[str, ...]
) -> None:
    """PhiMoE's router, for one, samples experts while it is trained, whatever its configuration says."""
    forward = transformers.models.llama.modeling_llama.LlamaMLP.forward

    def noisy(self: Any, x: torch.Tensor) -> torch.Tensor:
        return forward(self, x) * (1 + 0.1 * torch.randn_like(x) * self.training)

    monkeypatch.setattr(transformers.models.llama.modeling_llama.LlamaMLP, "forward", noisy)
    assert "draws random numbers" in rejected(tiny / "debater", *algorithm)


@pytest.mark.parametrize("algorithm", [RLOO, DPO], ids=["rloo", "dpo"])
def test_an_engine_that_samples_from_another_policy_is_noticed_on_the_first_batch(
    rejected: Callable[..., str],
    tiny: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    algorithm: tuple[str, ...],
) -> None:
    """The probe agrees, as it asks for log-probabilities; but what is sampled comes from elsewhere."""
    complete = TransformersEngine._completion
    monkeypatch.setattr(
        TransformersEngine,
        "_completion",
        lambda self, tokens, logprobs: complete(self, tokens, [value - 0.01 for value in logprobs]),
    )
    said = rejected(tiny / "debater", *algorithm)
    assert "first batch" in said and "0.01 nats away on average" in said and "parity_tolerance=0.001" in said
    assert not (tmp_path / "run" / "metrics.jsonl").exists()


@pytest.mark.parametrize("algorithm", [RLOO, (*RLOO, "algorithm=ppo"), DPO], ids=["rloo", "ppo", "dpo"])
def test_an_iteration_that_changes_no_weight_is_an_error(
    rejected: Callable[..., str], tiny: Path, tmp_path: Path, algorithm: tuple[str, ...]
) -> None:
    """And nothing says that it was done: no line of metrics, no checkpoint, no policy."""
    said = rejected(tiny / "debater", *algorithm, "algorithm.learning_rate=1e-30", "iterations=2")
    assert "has not changed one of the policy's weights" in said and "algorithm.learning_rate (now 1e-30)" in said
    run = RunFolder(tmp_path / "run")
    assert not run.metrics.exists() and run.checkpoint() is None and run.published() == [0]


@pytest.mark.parametrize("algorithm", [RLOO, DPO], ids=["rloo", "dpo"])
@pytest.mark.parametrize("lora", [(), ("debater.lora.rank=4",)], ids=["full", "lora"])
def test_an_adapter_is_not_taken_for_a_model_that_can_be_trained(
    rejected: Callable[..., str], tiny: Path, tmp_path: Path, algorithm: tuple[str, ...], lora: tuple[str, ...]
) -> None:
    """Loaded as it is, its weights are frozen: every iteration published the same, with exit code 0."""
    model = setup.policy_model(Debater(model=f"{tiny}/debater", prompts="testimony", max_tokens=8, lora=Lora(rank=4)))
    model.save_pretrained(tmp_path / "adapter")  # type: ignore[operator]
    said = rejected(tmp_path / "adapter", *algorithm, *lora)
    assert "is an adapter" in said and "rostrum export" in said
    assert not (tmp_path / "run" / "policies").exists()
