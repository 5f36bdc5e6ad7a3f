"""What a program can learn from ids, order and headers about the condition or the right answer: nothing."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from starlette.testclient import TestClient

from rostrum.launch.people import access
from rostrum.launch.people.judge_pages import JudgePages
from rostrum.launch.people.scripted import Forms
from rostrum.rewards.people import database
from rostrum.rewards.people.debates import bare
from rostrum.trainer.config.people import People
from rostrum.trainer.evaluation.people.new_study import Chosen, Condition, write
from tests.rewards.people.study import transcript

QUESTIONS, JUDGES, FOLDS = 24, 8, 10
PEOPLE = People(training=0, qualification=0, words=1, reading="whole", verdicts=JUDGES // 2)
ERRORS = 4.0
"""Standard errors above chance from which on something can be learned: by chance once in 30,000 runs."""
Matrix = NDArray[np.float64]


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> tuple[Matrix, dict[str, Matrix]]:
    """Everything that comes with a debate but its text, as numbers (N, F), and what it must not tell, as 0 or 1 (N)."""
    folder = tmp_path_factory.mktemp("study")
    correct = np.random.default_rng(0).integers(2, size=QUESTIONS)
    chosen = [
        Chosen("main", n, bare(transcript(question, n)), "AB"[correct[question]], PEOPLE.verdicts)
        for question in range(QUESTIONS)
        for n in range(2)
    ]
    write(folder, [Condition("run", f"it{n}", n, "debate", {}) for n in range(2)], chosen, "Read both sides.", 0.0)
    db = database.connect(folder)
    items = [item for judge in range(JUDGES) for item in _shown(folder, access.invite(db), judge)]
    truth = {
        row["token"]: (row["condition"], row["first"] == row["correct"])
        for row in db.execute(
            "SELECT p.token, d.condition, p.first, a.correct FROM place p JOIN debate d ON d.id = p.debate "
            "JOIN answer a ON a.debate = d.id"
        )
    }
    db.close()
    told = np.array([truth[token] for token, _ in items], dtype=np.float64)
    return np.array([numbers for _, numbers in items]), {"condition": told[:, 0], "answer": told[:, 1]}


def _shown(folder: Path, link: str, judge: int) -> list[tuple[str, list[float]]]:
    browser = TestClient(JudgePages(folder, PEOPLE).application(), follow_redirects=True)
    page = browser.post(f"/join/{link}", data=Forms(browser.get(f"/join/{link}").text).forms[f"/join/{link}"])
    page = browser.post("/guidelines", data=Forms(page.text).forms["/guidelines"])
    found = []
    while "/judge" in (forms := Forms(page.text).forms):
        fields = forms["/judge"]
        found.append((fields["place"], _numbers(page, fields, len(found), judge)))
        page = browser.post("/judge", data=fields | {"p": "80", "explanation": "So."})
    return found


def _numbers(page: Any, fields: dict[str, str], order: int, judge: int) -> list[float]:
    """Return the order, whether it is even for this judge, and letters of each id and of each header but the length."""
    by_judge = [(-1.0) ** order * (each == judge) for each in range(JUDGES)]
    letters = [ord(letter) for name in ("place", "key", "csrf") for letter in fields[name][:6]]
    heads = [value.decode() for name, value in page.headers.raw if name != b"content-length"]
    return [float(order), (-1.0) ** order, *by_judge, *letters, len(heads), *(sum(map(ord, head)) for head in heads)]


def learned(features: Matrix, target: Matrix) -> float:
    """Return how many standard errors above chance (the larger class) ridge regression on features (N, F) predicts a
    target (N) that it was not shown."""
    x = (features - features.mean(0)) / np.maximum(features.std(0), 1e-9)
    x = np.column_stack([np.ones(len(x)), x])
    fold = np.random.default_rng(1).permutation(len(x)) % FOLDS
    right = 0
    for held in range(FOLDS):
        a, y = x[fold != held], 2 * target[fold != held] - 1
        weights = np.linalg.solve(a.T @ a + np.eye(a.shape[1]), a.T @ y)
        right += int(((x[fold == held] @ weights > 0) == (target[fold == held] == 1)).sum())
    chance = max(target.mean(), 1 - target.mean())
    return float((right / len(x) - chance) / np.sqrt(0.25 / len(x)))


@pytest.mark.parametrize("hidden", ["condition", "answer"])
def test_nothing_is_learned(served: tuple[Matrix, dict[str, Matrix]], hidden: str) -> None:
    features, told = served
    assert len(features) == QUESTIONS * JUDGES and 0.3 < told[hidden].mean() < 0.7
    assert learned(features, told[hidden]) < ERRORS


@pytest.mark.parametrize("hidden", ["condition", "answer"])
def test_a_leak_would_be_learned(served: tuple[Matrix, dict[str, Matrix]], hidden: str) -> None:
    """One letter of one id that knows it in 85 of 100 cases is enough."""
    features, told = served
    knows = np.random.default_rng(2).random(len(features)) < 0.85
    leak = np.where(knows, told[hidden], 1 - told[hidden])
    assert learned(np.column_stack([features, leak]), told[hidden]) > ERRORS
