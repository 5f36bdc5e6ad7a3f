"""The size of functions, the names of modules, how docstrings begin, and how often tests patch our own modules."""

import ast
from collections import Counter
from collections.abc import Iterator
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


def test_a_name_of_a_file_of_tests_is_given_once() -> None:
    """pytest imports a file that lies in no package by its name alone: a second one of that name is an error."""
    names = Counter(path.name for path in (ROOT / "tests").rglob("test_*.py"))
    assert names and not {name for name, number in names.items() if number > 1}


MOST_PATCHES = 80
"""Patches of our own modules in the tests. A seam is better: an argument, an object handed in, an entry point."""
OURS = ("rostrum", *PACKAGES)


def patches(source: str) -> Iterator[str]:
    """Yield what of our own modules is replaced by `setattr` of a monkeypatch or by `patch` of unittest.mock."""
    tree, names = ast.parse(source), dict[str, str]()
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and node.module:
            names |= {alias.asname or alias.name: f"{node.module}.{alias.name}" for alias in node.names}
        elif isinstance(node, ast.Import):
            names |= {alias.asname or alias.name.split(".")[0]: alias.name for alias in node.names}
    for call in (node for node in ast.walk(tree) if isinstance(node, ast.Call) and node.args):
        function, target = ast.unparse(call.func), ast.unparse(call.args[0]).removeprefix("f").strip("'\"")
        if function.endswith(".setattr") or function.split(".")[0] in ("mock", "patch"):
            root, _, rest = target.partition(".")
            full = f"{names.get(root, root)}.{rest}"
            if full.split(".")[0] in OURS:
                yield full


def test_patches_are_seen_by_name_and_by_import() -> None:
    source = "from rostrum.launch import cli\nimport os\n"
    source += (
        "m.setattr(cli, 'main', 1)\nm.setattr('rostrum.trainer.setup.judge', 1)\nm.setattr(os, 'getcwd', 1)\nx(cli)\n"
    )
    assert list(patches(source)) == ["rostrum.launch.cli.", "rostrum.trainer.setup.judge"]


def test_tests_patch_our_own_modules_seldom() -> None:
    found = [name for path in sorted((ROOT / "tests").rglob("*.py")) for name in patches(path.read_text("utf-8"))]
    assert len(found) <= MOST_PATCHES, Counter(found).most_common()


IMPERATIVES = set(
    """
    Add Ask Audit Begin Build Carry Charge Check Close Collect Compare Compose Compute Count Declare Divide Do Draw Drop
    End Enter Evaluate Expect Fill Fine-tune Fit Flush Free Give Go Have Import Interrupt Join Judge Keep Learn Leave
    Let List Live Load Log Look Make Measure Merge Move Name Note Open Pack Place Play Prepare Print Publish Put
    Raise Rate Read Record Refuse Remove Repeat Reserve Return Rewrite Run Sample Save Say Send Serve Set Share Show
    Silence Stand Start Stop Store Take Teach Tell Train Turn Wait Write Yield
    """.split()
)
"""How docstrings of functions may begin. A new one joins if it is a verb that says what to do; properties are what they
hold."""


def descriptions(source: str) -> Iterator[str]:
    """Yield the docstring of every function that begins otherwise, properties left out."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and (said := ast.get_docstring(node)):
            is_property = any("property" in ast.unparse(decorator) for decorator in node.decorator_list)
            if not is_property and said.split()[0].rstrip(",:.") not in IMPERATIVES:
                yield f"{node.name}: {said.splitlines()[0]}"


def test_a_description_is_told_from_an_imperative() -> None:
    source = 'class A:\n    """Plays."""\n    @property\n    def b(self):\n        """The b."""\n'
    assert list(descriptions(source + '    def c(self):\n        """Return c."""\n')) == []
    for begins in ("Returns c.", "The c.", "Whether c.", "What c is.", "(N,) c."):
        assert list(descriptions(f'{source}    async def c(self):\n        """{begins}"""\n')) == [f"c: {begins}"]


@pytest.mark.parametrize("package", PACKAGES)
def test_docstrings_of_functions_are_imperative(package: str) -> None:
    paths = sorted((ROOT / package).rglob("*.py"))
    found = {str(path.relative_to(ROOT)): list(descriptions(path.read_text("utf-8"))) for path in paths}
    assert paths and not {path: said for path, said in found.items() if said}
