"""The size of functions and the names of modules."""

import ast
from collections import Counter
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PACKAGES = ("envs", "rewards", "trainer", "launch", "benchmarks")
MOST_LINES = 60
SHARED = {"__init__.py", "__main__.py", "base.py"}
"""Names that say which part a module is of its package."""


def too_long(source: str) -> list[str]:
    """Return the functions with more lines than they may have; the docstring counts, decorators do not."""
    return [
        node.name
        for node in ast.walk(ast.parse(source))
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
        and (node.end_lineno or 0) - node.lineno + 1 > MOST_LINES
    ]


def test_long_functions_are_seen_wherever_they_are() -> None:
    body = "        pass\n" * (MOST_LINES - 1)
    assert too_long(f"class A:\n    def just(self):\n{body}") == []
    assert too_long(f"class A:\n    async def over(self):\n{body}        pass\n") == ["over"]


@pytest.mark.parametrize("package", PACKAGES)
def test_functions_are_short(package: str) -> None:
    paths = sorted((ROOT / package).rglob("*.py"))
    found = {str(path.relative_to(ROOT)): too_long(path.read_text("utf-8")) for path in paths}
    assert paths and not {path: names for path, names in found.items() if names}


@pytest.mark.parametrize("package", PACKAGES)
def test_a_name_of_a_module_is_given_once(package: str) -> None:
    names = Counter(path.name for path in (ROOT / package).rglob("*.py"))
    assert names and not {name: number for name, number in names.items() if number > 1 and name not in SHARED}
