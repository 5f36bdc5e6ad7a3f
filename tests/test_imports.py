"""The direction of imports: envs <- rewards <- trainer <- launch, and nothing heavy in the first two."""

import ast
import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
OURS = {"envs", "rewards", "trainer", "launch"}
MAY_IMPORT = {
    "envs": {"envs"},
    "rewards": {"rewards", "envs"},
    "trainer": {"trainer", "rewards", "envs"},
    "launch": OURS,
}
HEAVY = {"torch", "ray", "vllm", "trl", "deepspeed", "transformers"}


def sources(package: str) -> list[Path]:
    return sorted((ROOT / package).rglob("*.py"))


def imported(source: str) -> Iterator[str]:
    """Top-level names of every module that the source imports, at whatever depth it does so."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            yield from (alias.name.partition(".")[0] for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, "imports are absolute"
            yield str(node.module).partition(".")[0]


def test_the_reader_of_imports_sees_nested_and_dotted_ones() -> None:
    assert set(imported("def f():\n    import torch.nn as nn\n    from rewards.types import Verdict")) == {
        "torch",
        "rewards",
    }


@pytest.mark.parametrize("package", MAY_IMPORT)
def test_packages_import_downwards_only(package: str) -> None:
    wrong = {
        (path.name, name)
        for path in sources(package)
        for name in imported(path.read_text("utf-8"))
        if name in OURS - MAY_IMPORT[package]
    }
    assert sources(package) and not wrong


@pytest.mark.parametrize("package", ["envs", "rewards"])
def test_the_game_and_the_judges_name_no_heavy_library(package: str) -> None:
    wrong = {
        (path.name, name) for path in sources(package) for name in imported(path.read_text("utf-8")) if name in HEAVY
    }
    assert not wrong


def test_importing_all_of_envs_and_rewards_loads_nothing_heavy() -> None:
    """What the syntax tree cannot show: a library that comes in through another."""
    modules = [
        ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__")
        for package in ("envs", "rewards")
        for path in sources(package)
    ]
    load = f"for m in {modules!r}: importlib.import_module(m)"
    code = f"import importlib, json, sys\n{load}\nprint(json.dumps(sorted(sys.modules)))"
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=ROOT)
    loaded = {name.partition(".")[0] for name in json.loads(result.stdout)}
    assert {"envs", "rewards"} <= loaded
    assert not loaded & (HEAVY | {"trainer", "launch"})


@pytest.mark.parametrize("package", sorted(OURS))
def test_nothing_pickled_evaluated_or_trusted(package: str) -> None:
    for path in sources(package):
        source = path.read_text("utf-8")
        calls = {
            n.func.id for n in ast.walk(ast.parse(source)) if isinstance(n, ast.Call) and isinstance(n.func, ast.Name)
        }
        assert not calls & {"eval", "exec"}, path
        assert not set(imported(source)) & {"pickle", "dill", "joblib", "cloudpickle"}, path
        assert "trust_remote_code=True" not in source, path
