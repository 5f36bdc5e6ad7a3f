"""The direction of imports: envs <- rewards <- trainer <- launch, nothing heavy in the first two, and within trainer no
two packages that import each other."""

import ast
import json
import subprocess
import sys
from collections.abc import Iterator
from graphlib import TopologicalSorter
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
TRAINER = {path.parent.name for path in (ROOT / "trainer").glob("*/__init__.py")}
"""The packages in it."""
MAKE_A_RUN = {
    "algorithms",
    "cluster",
    "config",
    "engines",
    "learners",
    "models",
    "opponents",
    "rollouts",
    "store",
    "weights",
}
"""Those that make a run: they, and modules at the top of trainer, import none that measure, report or export. The
over-optimisation monitor measures during training."""


def sources(package: str) -> list[Path]:
    return sorted((ROOT / package).rglob("*.py"))


def dotted(source: str) -> Iterator[str]:
    """Everything that the source imports, at whatever depth it does so; of `from rostrum.a import b` it is a.b."""
    return (name.removeprefix("rostrum.") for name in imported_names(source))


def imported_names(source: str) -> Iterator[str]:
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, "imports are absolute"
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def imported(source: str) -> Iterator[str]:
    """Top-level names of every module that the source imports."""
    return (name.partition(".")[0] for name in dotted(source))


def packages(source: str) -> set[str]:
    """The packages of trainer that the source imports something from."""
    return {name.split(".")[1] for name in dotted(source) if name.startswith("trainer.")} & TRAINER


def test_the_reader_of_imports_sees_nested_and_dotted_ones() -> None:
    assert set(imported("def f():\n    import torch.nn as nn\n    from rostrum.rewards.types import Verdict")) == {
        "torch",
        "rewards",
    }


@pytest.mark.parametrize("folder", [*sorted(OURS), "rostrum", "tests", "benchmarks"])
def test_nobody_imports_a_package_by_a_name_that_a_user_may_have(folder: str) -> None:
    """`import trainer` would find a `trainer` in the user's own folder; it is `rostrum.trainer`."""
    wrong = {
        (str(path.relative_to(ROOT)), name)
        for path in sources(folder)
        for name in imported_names(path.read_text("utf-8"))
        if name.partition(".")[0] in OURS
    }
    assert sources(folder) and not wrong


@pytest.mark.parametrize("package", MAY_IMPORT)
def test_packages_import_downwards_only(package: str) -> None:
    wrong = {
        (path.name, name)
        for path in sources(package)
        for name in imported(path.read_text("utf-8"))
        if name in OURS - MAY_IMPORT[package]
    }
    assert sources(package) and not wrong


def test_the_wings_of_trainer_are_in_an_order() -> None:
    """No two packages of trainer need each other, not even through modules at its top. A CycleError names them."""
    graph: dict[str, set[str]] = {}
    for path in sources("trainer"):
        graph.setdefault(wing(module_of(path)), set()).update(
            wing(name) for name in dotted(path.read_text("utf-8")) if name.startswith("trainer.")
        )
    order = list(TopologicalSorter({name: needs - {name} for name, needs in graph.items()}).static_order())
    assert {"evaluation", "stats", "report"} <= set(order) & TRAINER
    assert order.index("stats") < order.index("evaluation") < order.index("report") and "cluster" in graph["setup"]


def wing(name: str) -> str:
    """What is right under trainer: a package, or a module at its top."""
    return (name.split(".") + ["__init__"])[1]


def module_of(path: Path) -> str:
    return ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__")


def test_no_modules_import_each_other() -> None:
    """Imports within functions count. A CycleError names the modules."""
    modules = {module_of(path): path for package in OURS for path in sources(package)}

    def module(name: str) -> str:
        while name not in modules:
            name = name.rpartition(".")[0]
        return name

    graph = {
        name: {module(of) for of in dotted(path.read_text("utf-8")) if of.partition(".")[0] in OURS} - {name}
        for name, path in modules.items()
    }
    assert graph["trainer.engines.vllm.process"] >= {"trainer.engines.vllm.server"}, "imported within a function"
    TopologicalSorter(graph).prepare()


def test_statistics_import_nothing_else_of_trainer() -> None:
    names = {name for path in sources("trainer/stats") for name in dotted(path.read_text("utf-8"))}
    assert "trainer.stats.paired.paired_change" in names
    assert not {name for name in names if name.startswith("trainer.") and not name.startswith("trainer.stats.")}


def test_what_trains_imports_nothing_that_measures_but_for_the_monitor() -> None:
    paths = [*(ROOT / "trainer").glob("*.py"), *(path for wing in MAKE_A_RUN for path in sources(f"trainer/{wing}"))]
    wrong = {path.name: found for path in paths if (found := packages(path.read_text("utf-8")) - MAKE_A_RUN)}
    assert len(paths) > len(MAKE_A_RUN) and wrong == {"session.py": {"evaluation"}}


@pytest.mark.parametrize("package", ["envs", "rewards"])
def test_the_game_and_the_judges_name_no_heavy_library(package: str) -> None:
    wrong = {
        (path.name, name) for path in sources(package) for name in imported(path.read_text("utf-8")) if name in HEAVY
    }
    assert not wrong


def test_importing_all_of_envs_and_rewards_loads_nothing_heavy() -> None:
    """What the syntax tree cannot show: a library that comes in through another."""
    modules = [f"rostrum.{module_of(path)}" for package in ("envs", "rewards") for path in sources(package)]
    load = f"for m in {modules!r}: importlib.import_module(m)"
    code = f"import importlib, json, sys\n{load}\nprint(json.dumps(sorted(sys.modules)))"
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=ROOT)
    loaded = {name.removeprefix("rostrum.").partition(".")[0] for name in json.loads(result.stdout)}
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
