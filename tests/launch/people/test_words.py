"""What a person at a page can be told comes from the one file that is translated."""

import ast
from pathlib import Path
from string import Formatter

import pytest
import yaml
from starlette.testclient import TestClient

from rostrum.launch.people import access, judging, password, researcher_pages, wording
from rostrum.launch.people.judge_pages import JudgePages
from rostrum.launch.people.researcher_pages import ResearcherPages
from rostrum.rewards.people import controls, live, mail, verdicts
from rostrum.trainer.config.people import People
from tests.launch.people import pages
from tests.launch.people.test_researcher_pages import PASSWORD, enter, send

REACHED = (access, controls, judging, live, mail, researcher_pages, verdicts)
"""Modules whose `StudyError`s reach pages; others are of the command line, or of making and serving a study."""
PROBLEMS = yaml.safe_load(Path(wording.__file__).with_name("words.yaml").read_text("utf-8"))["problems"]


def raised() -> list[tuple[str, ast.Call]]:
    """Return every `StudyError` that these modules raise, with where."""
    return [
        (f"{module.__name__}, line {node.lineno}", node)
        for module in REACHED
        for node in ast.walk(ast.parse(Path(module.__file__).read_text("utf-8")))
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "StudyError"
    ]


@pytest.mark.parametrize(("where", "error"), raised(), ids=[where for where, _ in raised()])
def test_a_sentence_is_in_the_words_of_the_pages(where: str, error: ast.Call) -> None:
    """And the English there is what the command line says, gap for gap."""
    sentence, key = error.args
    assert isinstance(key, ast.Constant)
    parts = list(Formatter().parse(PROBLEMS[key.value]))
    assert {field for _, field, _, _ in parts if field} == {keyword.arg for keyword in error.keywords}
    values = sentence.values if isinstance(sentence, ast.JoinedStr) else [sentence]
    said = [value.value for value in values if isinstance(value, ast.Constant)]
    assert said == [text for text, *_ in parts if text]


def test_every_sentence_is_used() -> None:
    assert {error.args[1].value for _, error in raised()} == set(PROBLEMS)  # type: ignore[attr-defined]


def test_pages_say_it_in_their_own_words(tmp_path: Path) -> None:
    db = pages.make(tmp_path)
    db.execute("INSERT INTO judge (id, number, state) VALUES ('ann', 0, 'main')")
    password.keep(db, PASSWORD)
    site = ResearcherPages(tmp_path, People())
    site.words["problems"]["say_why"] = "Bitte einen Grund nennen."  # type: ignore[index]
    client = TestClient(site.application(), follow_redirects=True)
    enter(client, PASSWORD)
    assert "Bitte einen Grund nennen." in send(client, "/judges/ann", "/judges/ann/stop", reason=" ").text
    judges = JudgePages(tmp_path, People())
    judges.words["problems"]["not_yours"] = "Das ist nicht Ihre Debatte."  # type: ignore[index]
    judge = pages.Judge(tmp_path, People(), [1_000_000.0])
    judge.browser = TestClient(judges.application(), follow_redirects=True)
    token, judges.now = judge.link, lambda: 1_000_000.0
    assert token and "Das ist nicht Ihre Debatte." in judge.send(judge.join(), "/judge", place="made-up", p="80").text
