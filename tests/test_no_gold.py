"""Gold labels never reach training: permute them all, or make them unreadable, and not one byte changes."""

import json
from collections.abc import Callable, Sequence
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest
import yaml

from rostrum.envs.questions import JsonLinesQuestions, testimony
from rostrum.envs.testimony.world import TestimonyWorld
from rostrum.envs.types import AnswerKey, Question
from rostrum.trainer.config import Config
from rostrum.trainer.engines.transformers.causal import TransformersEngine
from rostrum.trainer.learners.clipped_surrogate import ClippedSurrogate
from rostrum.trainer.store.run_folder import read_lines
from rostrum.trainer.train import train
from rostrum.trainer.warmstart.warm_rounds import warm_start

WORLD = TestimonyWorld(train=24, heldout=0)
ALGORITHMS = {
    "rloo": ("algorithm=rloo",),
    "rae": ("algorithm=rae", "protocol=interactive"),
    "ppo": ("algorithm=ppo",),
    "dpo": ("algorithm=dpo", "algorithm.min_gap=0"),
}


def write_questions(path: Path, flipped: bool) -> None:
    key = WORLD.answer_key("train")
    records = [
        {
            "id": q.id,
            "story_id": q.story_id,
            "question": q.text,
            "answers": list(q.answers),
            "passage": q.passage,
            "correct": 1 - key[q.id] if flipped else key[q.id],
        }
        for q in WORLD.questions("train")
    ]
    path.write_text("".join(json.dumps(record) + "\n" for record in records), "utf-8")


@pytest.fixture
def seen(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """Everything that passes between the game and the models, and every advantage, in order."""
    log: list[Any] = []
    generate, score = TransformersEngine.generate, TransformersEngine.choice_logprobs
    learn = ClippedSurrogate.learn

    def spy_generate(self: TransformersEngine, prompts: Sequence[Sequence[int]], sampling: Any) -> Any:
        log.append(("debater reads", [list(prompt) for prompt in prompts]))
        return generate(self, prompts, sampling)

    def spy_score(self: TransformersEngine, prompts: Sequence[str], choices: Sequence[tuple[str, ...]]) -> Any:
        log.append(("judge reads", list(prompts), list(choices)))
        return score(self, prompts, choices)

    def spy_batch(self: ClippedSurrogate, batch: Any, order: Any) -> Any:
        log.append(("advantages", batch["advantages"].numpy().tobytes(), order.tolist()))
        return learn(self, batch, order)

    monkeypatch.setattr(TransformersEngine, "generate", spy_generate)
    monkeypatch.setattr(TransformersEngine, "choice_logprobs", spy_score)
    monkeypatch.setattr(ClippedSurrogate, "learn", spy_batch)
    return log


@pytest.fixture
def quoting(tmp_path: Path) -> list[str]:
    """A warm start of one round of the embedded debater, which quotes without training."""
    question = WORLD.questions("train")[0]
    sentences = question.passage.split(" . ")
    speeches = [next(f"<quote> {s} </quote>" for s in sentences if answer in s) for answer in question.answers]
    entry = {"passage": question.passage, "question": question.text, "answers": list(question.answers)}
    (tmp_path / "examples.yaml").write_text(yaml.safe_dump([{**entry, "speeches": speeches}]), "utf-8")
    settings = {"rounds": 1, "questions": 2, "heldout": 1, "candidates": 2, "most_quoted": 1, "epochs": 1}
    settings |= {"examples": tmp_path / "examples.yaml", "example": "'<quote> {quote} </quote>'"}
    return ["debater.model=embedded/debater", *(f"warmstart.{key}={value}" for key, value in settings.items())]


def digest(path: Path) -> str:
    return sha256(path.read_bytes()).hexdigest()


@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_permuting_every_gold_label_changes_nothing(
    configure: Callable[..., Config], seen: list[Any], tmp_path: Path, algorithm: str
) -> None:
    found = []
    for flipped in (False, True):
        write_questions(tmp_path / "questions.jsonl", flipped)
        folder = tmp_path / f"run-{flipped}"
        questions = ("questions=jsonl", f"questions.path={tmp_path}/questions.jsonl", f"output={folder}")
        final = train(configure(*questions, *ALGORITHMS[algorithm]))
        found.append((list(seen), digest(folder / "transcripts.jsonl"), digest(final / "model.safetensors")))
        seen.clear()
    assert {kind for kind, *_ in found[0][0]} >= {"debater reads", "judge reads"}
    assert any(kind == "advantages" for kind, *_ in found[0][0]) == (algorithm != "dpo")
    assert found[0] == found[1]
    keys = [JsonLinesQuestions(tmp_path / "questions.jsonl").answer_key("train").correct]
    assert keys[0] != {q: WORLD.answer_key("train")[q] for q in keys[0]}, "the labels were in fact permuted"


def test_permuting_every_gold_label_changes_nothing_about_a_warm_start(
    configure: Callable[..., Config], seen: list[Any], quoting: Sequence[str], tmp_path: Path
) -> None:
    """Neither what is written nor what is kept of it, nor what is learned."""
    found = []
    for flipped in (False, True):
        write_questions(tmp_path / "questions.jsonl", flipped)
        folder = tmp_path / f"warm-{flipped}"
        questions = ("questions=jsonl", f"questions.path={tmp_path}/questions.jsonl", f"output={folder}")
        rounds = warm_start(configure(*questions, *quoting))
        files = ("speeches/round-0001.jsonl", "heldout/round-0001.jsonl", "model/model.safetensors")
        found.append((list(seen), [line.kept for line in rounds], [digest(folder / name) for name in files]))
        seen.clear()
    assert found[0] == found[1]
    assert {kind for kind, *_ in found[0][0]} == {"debater reads"}, "no judge was asked"
    assert found[0][1][1] > 0


@pytest.mark.parametrize("algorithm", ["rloo", "dpo"])
def test_the_watch_is_given_labels_and_passes_none_on(
    configure: Callable[..., Config], seen: list[Any], tmp_path: Path, algorithm: str
) -> None:
    """With every label permuted the monitor finds the opposite, and nothing else in the run differs by a byte."""
    found, accuracy = [], []
    for flipped in (False, True):
        write_questions(tmp_path / "questions.jsonl", flipped)
        folder = tmp_path / f"run-{flipped}"
        questions = ("questions=jsonl", f"questions.path={tmp_path}/questions.jsonl", f"output={folder}")
        watch = ("monitor.questions=6", "monitor.attacks=1", "heldout_judges=testimony", "save_every=1")
        final = train(configure(*questions, *ALGORITHMS[algorithm], *watch))
        found.append((list(seen), digest(folder / "transcripts.jsonl"), digest(final / "model.safetensors")))
        looks = read_lines(folder / "watch.jsonl")
        assert [look["iteration"] for look in looks] == [0, 1]
        accuracy.append([look["judges"][0]["accuracy"] for look in looks])
        seen.clear()
    assert any(kind == "advantages" for kind, *_ in found[0][0]) == (algorithm != "dpo")
    assert found[0] == found[1]
    right, wrong = accuracy
    assert right == pytest.approx([1 - share for share in wrong], abs=1e-5) and right != wrong


class Sealed:
    """A question set that lets nobody look at its answers."""

    def questions(self, split: str) -> Sequence[Question]:
        return TestimonyWorld(train=24, heldout=4).questions(split)

    def answer_key(self, split: str) -> AnswerKey:
        raise AssertionError(f"training asked for the answers of {split}")


@pytest.fixture
def sealed(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever reads the questions may not look at the answers."""
    monkeypatch.setattr(testimony.Settings, "load", lambda settings: Sealed())


@pytest.mark.usefixtures("sealed")
@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_training_never_asks_for_the_answers(configure: Callable[..., Config], algorithm: str) -> None:
    assert train(configure(*ALGORITHMS[algorithm])).is_dir()


@pytest.mark.usefixtures("sealed")
def test_a_warm_start_never_asks_for_the_answers(
    configure: Callable[..., Config], quoting: Sequence[str], tmp_path: Path
) -> None:
    assert warm_start(configure(*quoting))[-1].kept > 0


def test_what_a_question_is_made_of_does_not_tell_the_answer(tmp_path: Path) -> None:
    write_questions(tmp_path / "a.jsonl", flipped=False)
    write_questions(tmp_path / "b.jsonl", flipped=True)
    a, b = (JsonLinesQuestions(tmp_path / name) for name in ("a.jsonl", "b.jsonl"))
    for split in ("train", "heldout"):
        assert a.questions(split) == b.questions(split)
        assert all(a.answer_key(split)[q.id] == 1 - b.answer_key(split)[q.id] for q in a.questions(split))
    assert "correct" not in Question.__dataclass_fields__
