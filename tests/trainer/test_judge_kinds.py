"""Judges that write and judges with a head in a run: one word in the configuration, a PPO iteration with each."""

from collections.abc import Callable, Sequence
from pathlib import Path

import pytest

from rostrum.launch import checks
from rostrum.launch.compose import load
from rostrum.rewards.types import Unscored, Usage, Writing
from rostrum.trainer import setup
from rostrum.trainer.config import Config
from rostrum.trainer.models.loading import ModelError
from rostrum.trainer.run_context import RunContext
from rostrum.trainer.store.run_folder import RunFolder, read_lines
from rostrum.trainer.train import train
from tests.trainer.engines.test_classifier import write_head

TEXTS = {"verdict": "so . Verdict : {}", "rating": '{{ "reason" : " so " , "score" : {} }}'}
SAYS = {"verdict": ("A", "B"), "rating": (2, 8)}


class Planted:
    """Writes for the answer whose place is said more often, and nothing that can be read about the attic."""

    def __init__(self, kind: str) -> None:
        self.kind, self.usage, self.prompts = kind, Usage(), list[str]()

    def write(self, prompts: Sequence[str], writing: Writing) -> list[str | Unscored]:
        self.prompts += prompts
        return [self._text(prompt) for prompt in prompts]

    def _text(self, prompt: str) -> str:
        _, _, case = prompt.partition(" A : ")
        of_a, _, rest = case.partition(" B : ")
        of_b, said = rest.split()[0], rest.split()[1:]
        for_a = said.count(of_a) >= said.count(of_b)
        return "hm" if "attic" in (of_a, of_b) else TEXTS[self.kind].format(SAYS[self.kind][not for_a])


@pytest.fixture
def small(tmp_path: Path, tiny: Path) -> Callable[..., Config]:
    """A run of one iteration with six questions, the random debater and a judge."""

    def make(*judge: str) -> Config:
        few = (
            "iterations=1",
            "save_every=1",
            "questions.train=6",
            "questions.heldout=2",
            "heldout_judges=none",
            "algorithm.questions_per_iteration=6",
            "algorithm.debates_per_seating=2",
            "algorithm.minibatches=1",
        )
        return load(["experiment=demo", *judge, *few, f"output={tmp_path}/run", f"debater.model={tiny}/debater"])

    return make


def verdicts_of(config: Config) -> list[dict[str, object]]:
    return [line["extra"]["verdict"] for line in read_lines(RunFolder(config.output).transcripts)]


@pytest.mark.parametrize("kind", ["verdict", "rating"])
def test_what_a_judge_writes_is_the_reward(
    small: Callable[..., Config], monkeypatch: pytest.MonkeyPatch, kind: str
) -> None:
    writer = Planted(kind)
    monkeypatch.setattr(setup.JudgeModels, "scorer", lambda self, settings: writer)
    config = small(f"judge={kind}")
    train(config)
    (row,) = read_lines(RunFolder(config.output).metrics)
    verdicts = verdicts_of(config)
    assert row["debates"] == 24 == len(verdicts) and row["invalid"] == sum(not v["valid"] for v in verdicts)
    assert {v["judge"] for v in verdicts} == {config.judge.name}
    expected = {"verdict": {0.0, 1.0}, "rating": {1.5 / 9, 7.5 / 9}}[kind]
    found = {p for v in verdicts if v["valid"] for p in (v["given"], v["swapped"])}
    assert all(min(abs(float(str(p)) - e) for e in expected) < 1e-9 for p in found) and len(found) >= 2
    per_order = {"verdict": 3, "rating": 1}[kind]
    assert len(writer.prompts) == 24 * 2 * per_order


@pytest.mark.parametrize("outputs", [1, 2])
def test_a_head_gives_the_reward(small: Callable[..., Config], tmp_path: Path, outputs: int) -> None:
    folder = write_head(tmp_path / "head", outputs, max_position_embeddings=512)
    config = small("judge=head", f"judge.model={folder}")
    checks.check(RunContext(config))
    train(config)
    (row,) = read_lines(RunFolder(config.output).metrics)
    assert (row["debates"], row["invalid"]) == (24, 0)
    assert len({v["given"] for v in verdicts_of(config)}) > 12


def test_a_head_that_is_none_stops_a_run_before_it_starts(small: Callable[..., Config], tiny: Path) -> None:
    with pytest.raises(ModelError, match="no classification or reward head"):
        checks.check(RunContext(small("judge=head", f"judge.model={tiny}/judge")))


@pytest.mark.parametrize("kind", ["chat-verdict", "chat-rating"])
def test_judges_for_chat_models_need_a_model_and_nothing_else(kind: str) -> None:
    judge = load([f"judge={kind}", "judge.model=some/model"]).judge
    assert judge.kind == kind.removeprefix("chat-") and judge.judge_prompts()


def test_few_shot_examples_are_one_key_away(tmp_path: Path) -> None:
    missing = load([f"judge.examples={tmp_path}/none.jsonl", "judge.instructions=criteria", "judge.shots=2"]).judge
    with pytest.raises(ValueError, match="no file of labelled debates"):
        missing.judge_prompts()
