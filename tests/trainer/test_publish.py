"""Publishing: what the engine serves is what the learner is, or the run stops."""

import math
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file

from rostrum.envs.types import Protocol
from rostrum.trainer.config import Config
from rostrum.trainer.engines import engine_settings
from rostrum.trainer.models import loading
from rostrum.trainer.rollouts.local import LocalRolloutWorkers, PlaySetup
from rostrum.trainer.train import train
from rostrum.trainer.types import Policy
from rostrum.trainer.weights.logprobs import flat, gap_between, learner_logprobs
from rostrum.trainer.weights.parity import sampled_rows
from rostrum.trainer.weights.publish import ParityError, Weights, check_parity, probe_rows, publish
from tests.chat_models import write_model

SETUP = PlaySetup(Protocol("debate"), "testimony", 8, 1.0, engine_settings(batch_size=3))


@pytest.fixture
def learner(tiny: Path) -> Any:
    """The tiny debater after a step away from what is on disk, with a critic attached."""
    model = loading.load_model(str(tiny / "debater"))
    torch.manual_seed(1)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(torch.randn_like(parameter) * 0.05)
    model.value_head = torch.nn.Linear(32, 1)
    return model


@pytest.fixture
def tokenizer(tiny: Path) -> Any:
    return loading.load_tokenizer(str(tiny / "debater"))


def corrupt(policy: Policy, change: Callable[[torch.Tensor], torch.Tensor]) -> None:
    path = Path(policy.path) / "model.safetensors"
    state = load_file(path)
    state["lm_head.weight"] = change(state["lm_head.weight"])
    save_file(state, path, metadata={"format": "pt"})


def test_engine_and_learner_agree_after_a_publish(learner: Any, tokenizer: Any, tmp_path: Path) -> None:
    policy = publish(Weights(learner, learner.state_dict()), tokenizer, tmp_path / "policies" / "iteration-0004", 4)
    assert (policy.name, policy.version, policy.path) == ("current", 4, str(tmp_path / "policies" / "iteration-0004"))
    rows = probe_rows(tokenizer)
    assert len({len(row) for row in rows}) > 1
    assert check_parity(learner_logprobs(learner, rows), rows, LocalRolloutWorkers(SETUP), policy, 1e-3).max < 1e-4
    names = {path.name for path in (tmp_path / "policies").iterdir()}
    assert names == {"iteration-0004"}, "nothing temporary is left"
    assert not any(path.suffix in (".bin", ".pt") for path in Path(policy.path).iterdir())
    assert not any("value_head" in name for name in load_file(Path(policy.path) / "model.safetensors"))


@pytest.mark.parametrize(
    "change", [lambda w: w + 0.05 * torch.randn_like(w), lambda w: w * torch.nan, lambda w: torch.roll(w, 1, 0)]
)
def test_weights_corrupted_on_disk_are_noticed(learner: Any, tokenizer: Any, tmp_path: Path, change: Any) -> None:
    policy = publish(Weights(learner, learner.state_dict()), tokenizer, tmp_path / "p", 4)
    corrupt(policy, change)
    rows = probe_rows(tokenizer)
    with pytest.raises(ParityError, match="publishing version 4.*parity_tolerance"):
        check_parity(learner_logprobs(learner, rows), rows, LocalRolloutWorkers(SETUP), policy, 1e-3)


WRONG: dict[str, Callable[[torch.Tensor], torch.Tensor]] = {
    "noise": lambda w: w + 0.1 * w.std() * torch.randn_like(w),
    "another order": lambda w: torch.roll(w, 1, 0),
    "nan": lambda w: w.index_fill(0, torch.tensor([0]), torch.nan),
}


def test_in_bfloat16_rounding_is_told_from_wrong_weights(tiny: Path, tokenizer: Any, tmp_path: Path) -> None:
    """The learner holds float32 and computes in bfloat16, the engine holds bfloat16. Their rounding moves random tokens
    by more than a quarter of a nat, as in pretrained models, and tokens that the model says by much less."""
    model = loading.load_model(str(tiny / "debater"))
    with torch.no_grad():
        model.lm_head.weight.mul_(4)
    workers = LocalRolloutWorkers(replace(SETUP, engine=engine_settings(batch_size=3, dtype="bfloat16")))
    policy = publish(Weights(model, model.state_dict()), tokenizer, tmp_path / "right", 0)
    rows = sampled_rows(loading.load_model(policy.path), tokenizer, [tokenizer.eos_token_id])
    assert all(tokenizer.eos_token_id not in row[1:] for row in rows) and len({len(row) for row in rows}) > 1
    learner = learner_logprobs(model, rows, autocast=True)
    assert 0 < check_parity(learner, rows, workers, policy, 0.25).mean < 0.1
    unlikely = probe_rows(tokenizer)
    (engine,) = workers.logprobs(unlikely, policy)
    assert gap_between(flat(learner_logprobs(model, unlikely, autocast=True)), flat(engine)).max > 0.25
    for version, change in enumerate(WRONG.values(), start=1):
        wrong = publish(Weights(model, model.state_dict()), tokenizer, tmp_path / f"wrong-{version}", version)
        torch.manual_seed(0)
        corrupt(wrong, change)
        with pytest.raises(ParityError):
            check_parity(learner, rows, workers, wrong, 0.25)


def test_an_engine_that_still_serves_the_old_weights_is_noticed(learner: Any, tokenizer: Any, tiny: Path) -> None:
    rows = probe_rows(tokenizer)
    with pytest.raises(ParityError):
        check_parity(
            learner_logprobs(learner, rows),
            rows,
            LocalRolloutWorkers(SETUP),
            Policy("current", 1, str(tiny / "debater")),
            1e-3,
        )


class Workers:
    """Rollouts whose workers answer the probe as they are told to."""

    def __init__(self, *answers: Sequence[tuple[float, ...]]) -> None:
        self.answers = [list(answer) for answer in answers]

    def logprobs(self, rows: Sequence[Sequence[int]], policy: Policy) -> list[list[tuple[float, ...]]]:
        return self.answers


@pytest.mark.parametrize("bad", [-1.5, math.nan, math.inf])
@pytest.mark.parametrize("where", range(3))
def test_one_bad_number_of_one_worker_is_enough(bad: float, where: int) -> None:
    good: list[tuple[float, ...]] = [(-1.0, -2.0, -3.0)]
    wrong: list[tuple[float, ...]] = [tuple(bad if i == where else x for i, x in enumerate(good[0]))]
    policy = Policy("current", 0, "")
    assert check_parity(good, [[1, 2, 3, 4]], Workers(good, good), policy, 1e-3).max == 0  # type: ignore[arg-type]
    for workers in (Workers(good, wrong), Workers(wrong, good)):
        with pytest.raises(ParityError):
            check_parity(good, [[1, 2, 3, 4]], workers, policy, 1e-3)  # type: ignore[arg-type]


def test_a_corrupted_publish_stops_a_run(
    configure: Callable[..., Config], plant: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    plant()

    def bad(*arguments: Any) -> Policy:
        policy = publish(*arguments)
        corrupt(policy, lambda w: w + 0.05 * torch.randn_like(w))
        return policy

    monkeypatch.setattr("rostrum.trainer.learners.learner.publish", bad)
    with pytest.raises(ParityError):
        train(configure())


@pytest.mark.parametrize("family", ["llama", "qwen3", "gemma3", "mistral", "gpt_neox"])
def test_what_is_sent_is_what_the_folder_holds(family: str, tmp_path: Path) -> None:
    """The same names and numbers: tensors that are one (as Gemma's embeddings are) go once, and no critic goes."""
    folder = str(write_model(tmp_path / "model", family))
    model, tokenizer = loading.load_model(folder), loading.load_tokenizer(folder)
    model.value_head = torch.nn.Linear(32, 1)
    sent: list[tuple[Policy, dict[str, torch.Tensor]]] = []
    held = Weights(model, model.state_dict())
    policy = publish(held, tokenizer, tmp_path / "p", 4, lambda policy, weights: sent.append((policy, weights)))
    ((same, weights),), written = sent, load_file(tmp_path / "p" / "model.safetensors")
    assert same == policy and weights.keys() == written.keys()
    assert all(torch.equal(weights[name], written[name]) for name in written)


def test_learner_logprobs_leave_the_model_as_it_was(learner: Any) -> None:
    learner.train()
    learner_logprobs(learner, [[5, 6, 7]])
    assert learner.training
