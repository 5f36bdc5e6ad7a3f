"""`rostrum verify`: every edit of a run or experiment is found, by whoever does not compute the hashes anew."""

import copy
import json
import math
import random
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
import yaml

from rostrum.launch import compose, manifest
from rostrum.launch.cli import main
from rostrum.launch.commands import verify as command
from rostrum.trainer.evaluation.preregistration import hashes, verification
from rostrum.trainer.evaluation.summary import Summary

FEW = ("questions.heldout=3", "evaluation.attacks=1", "evaluation.browser_debates=1")
PER_FILE = 4
"""Leaves, columns or lines of a file that each kind of edit is tried on."""


@pytest.fixture(scope="module")
def run(trained: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = Path(shutil.copytree(trained, tmp_path_factory.mktemp("verify") / "run"))
    assert main(["evaluate", f"run={folder}", *FEW]) == 0
    return folder


@pytest.fixture(scope="module")
def experiment(trained: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two arms, one of them evaluated under each name, as `rostrum demo` leaves them."""
    folder = tmp_path_factory.mktemp("verify") / "experiment"
    for name in ("one", "two"):
        shutil.copytree(trained, folder / "arms" / name)
        assert main(["evaluate", f"run={folder / 'arms' / name}", *FEW]) == 0
    tested = compose.read(folder / "arms/one/evaluation/config.yaml")
    config = tested.model_copy(update={"arms": {"one": [], "two": []}, "output": folder})
    compose.save(config, folder / "config.yaml")
    manifest.write(folder / "manifest.json", config, "two arms")
    assert main(["report", f"run={folder}"]) == 0
    manifest.evaluated(config, folder)
    hashes.write(folder)
    return folder


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without what is computed anew from verdicts, questions and models: that takes seconds for each edit."""
    monkeypatch.setattr(command, "_of_run", lambda *_: [])


def copied(folder: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(folder, tmp_path / folder.name))


def told(folder: Path, capfd: pytest.CaptureFixture[str], *more: str) -> tuple[int, str]:
    capfd.readouterr()
    return main(["verify", f"run={folder}", *more]), capfd.readouterr().out


def leaves(value: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """The places of all leaves of plain values."""
    inner = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else None
    if inner is None:
        yield path
    else:
        for key, item in inner:
            yield from leaves(item, (*path, key))


def held(value: Any, path: tuple[Any, ...]) -> Any:
    for key in path:
        value = value[key]
    return value


def edited(value: Any, path: tuple[Any, ...], edit: str, other: Any = None) -> Any:
    """The values with one leaf deleted, NaN, of the other sign, or in the place of another."""
    changed = copy.deepcopy(value)
    parent, key = held(changed, path[:-1]), path[-1]
    if edit == "deleted":
        del parent[key]
    elif edit == "nan":
        parent[key] = math.nan
    elif edit == "sign":
        parent[key] = not parent[key] if isinstance(parent[key], bool) else -parent[key]
    else:
        parent[key] = other
    return changed


def edits_of(value: Any, draw: random.Random, most: int) -> Iterator[tuple[str, Any]]:
    """Edits of leaves, each with its name."""
    places = [path for path in leaves(value) if path]
    for path in places if len(places) <= most else draw.sample(places, most):
        leaf = held(value, path)
        yield f"{path} deleted", edited(value, path, "deleted")
        yield f"{path} NaN", edited(value, path, "nan")
        if isinstance(leaf, int | float) and leaf:
            yield f"{path} with the other sign", edited(value, path, "sign")
        different = [other for other in places if held(value, other) != leaf]
        if different:
            yield f"{path} exchanged", edited(value, path, "swapped", held(value, draw.choice(different)))


def edits_of_file(path: Path, draw: random.Random) -> Iterator[tuple[str, Callable[[], object]]]:
    """Edits of one file by its kind, and of any file: emptied, its first byte another, deleted."""
    if path.suffix in (".json", ".lock", ".yaml"):
        text = path.read_text("utf-8")
        value = yaml.safe_load(text) if path.suffix == ".yaml" else json.loads(text)
        for name, changed in edits_of(value, draw, PER_FILE):
            yield name, lambda changed=changed: path.write_text(json.dumps(changed, indent=1), "utf-8")
    elif path.suffix == ".jsonl":
        lines = path.read_text("utf-8").splitlines(keepends=True)
        for number in draw.sample(range(len(lines)), min(2, len(lines))):
            for name, changed in edits_of(json.loads(lines[number]), draw, 2):
                rest = [*lines[:number], json.dumps(changed) + "\n", *lines[number + 1 :]]
                yield f"{name}, line {number}", lambda rest=rest: path.write_text("".join(rest), "utf-8")
            yield f"line {number} deleted", lambda n=number: path.write_text("".join(lines[:n] + lines[n + 1 :]))
    elif path.suffix == ".parquet":
        table = pd.read_parquet(path)
        for column in draw.sample(list(table.columns), PER_FILE):
            yield from edits_of_column(table, column, path)
    content = path.read_bytes()
    if content:
        yield "emptied", lambda: path.write_bytes(b"")
        yield "another byte", lambda: path.write_bytes(bytes([content[0] ^ 1]) + content[1:])
    yield "deleted", path.unlink


def edits_of_column(table: pd.DataFrame, column: str, path: Path) -> Iterator[tuple[str, Callable[[], object]]]:
    turned = table[column][::-1].to_numpy()
    changes = {"deleted": table.drop(columns=column), "NaN": table.assign(**{column: math.nan})}
    if (turned != table[column]).any():
        changes["exchanged"] = table.assign(**{column: turned})
    if pd.api.types.is_float_dtype(table[column]):
        changes["with the other sign"] = table.assign(**{column: -table[column]})
    for name, changed in changes.items():
        yield f"{column} {name}", lambda changed=changed: changed.to_parquet(path, index=False)


@pytest.mark.parametrize("which", ["run", "experiment"])
def test_every_edit_of_a_file_is_found(which: str, request: pytest.FixtureRequest, tmp_path: Path) -> None:
    """In every round each file is edited in its next way, and each must be found."""
    folder, draw, tried = copied(request.getfixturevalue(which), tmp_path), random.Random(0), 0
    for owner in (folder, *hashes.nested(folder)[:1]):
        files = {owner / path: (owner / path).read_bytes() for path in hashes.covered(owner)}
        assert {"summary.json", "manifest.json", "verdicts.parquet"} <= {path.name for path in files}
        edits = {path: list(edits_of_file(path, draw)) for path in files}
        for number in range(max(map(len, edits.values()))):
            made = {}
            for path, content in files.items():
                name, edit = edits[path][number % len(edits[path])]
                edit()
                if not path.is_file() or path.read_bytes() != content:
                    made[str(path.relative_to(owner))] = name
            found = {change.path for change in hashes.changes(owner)}
            assert set(made) <= found, {path: made[path] for path in set(made) - found}
            tried += len(made)
            for path, content in files.items():
                path.write_bytes(content)
        assert not hashes.changes(owner)
    assert tried > 300


@pytest.mark.parametrize("which", ["run", "experiment"])
def test_the_command_fails_for_every_edit(
    which: str, request: pytest.FixtureRequest, quick: None, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    """One edit of each file, and all kinds of edits of the hashes themselves."""
    folder, draw = copied(request.getfixturevalue(which), tmp_path), random.Random(0)
    assert told(folder, capfd)[0] == 0
    files = [path for path in sorted(folder.rglob("*")) if path.is_file() and not left_out(path, folder)]
    for path in files:
        content, edits = path.read_bytes(), list(edits_of_file(path, draw))
        for name, edit in edits if path == folder / "hashes.json" else draw.sample(edits, 1):
            edit()
            expected = 0 if path.is_file() and path.read_bytes() == content else 1
            assert told(folder, capfd)[0] == expected, f"{path.relative_to(folder)}: {name}"
            path.write_bytes(content)
    assert told(folder, capfd)[0] == 0


def left_out(path: Path, folder: Path) -> bool:
    """What no figure follows from."""
    parts = path.relative_to(folder).parts
    return "trainer" in parts or parts[-1] == "log.txt" or parts[-1].startswith(".")


def test_files_and_arms_that_changed_places_are_found(
    experiment: Path, quick: None, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    folder = copied(experiment, tmp_path)
    arms, aside = folder / "arms", tmp_path / "aside"
    pairs = [
        (arms / "one", arms / "two"),
        (folder / "summary.json", arms / "one" / "summary.json"),
        (arms / "one/policies/iteration-0000", arms / "one/policies/iteration-0001"),
        (arms / "one/evaluation/base.parquet", arms / "two/evaluation/iteration-0001.parquet"),
    ]
    for one, other in pairs:
        for _ in range(2):
            one.rename(aside), other.rename(one), aside.rename(other)
            assert told(folder, capfd)[0] == (1 if _ == 0 else 0), (one, other)
    shutil.copytree(arms / "one", arms / "three")
    assert told(folder, capfd)[0] == 1
    shutil.rmtree(arms / "three")
    arms.rename(aside)
    assert told(folder, capfd)[0] == 1
    aside.rename(arms)
    (arms / "one").rename(aside)
    assert told(folder, capfd)[0] == 1


def test_a_changed_figure_is_found_even_if_the_hashes_were_computed_anew(
    experiment: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Every leaf of the summary: whoever changes figures must change the verdicts as well."""
    written = experiment / "summary.json"
    stored, summary = json.loads(written.read_text("utf-8")), Summary.read(written)
    monkeypatch.setattr(verification, "summary_of", lambda _: summary)
    path, tried = tmp_path / "summary.json", 0
    for name, changed in edits_of(stored, random.Random(0), 250):
        path.write_text(json.dumps(changed), "utf-8")
        results = {finding.result for finding in verification._figures(tmp_path, strict=True)}
        assert results == {"differs"}, name
        tried += 1
    assert tried > 600


def test_what_was_altered_is_told_and_the_rest_still_compared(
    experiment: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    code, shown = told(copied(experiment, tmp_path / "whole"), capfd)
    assert code == 0 and "differs" not in shown and " 0 do not, 0 could not be made" in shown
    assert shown.count("every figure follows from the stored verdicts") == 3
    folder = copied(experiment, tmp_path)
    summary = json.loads((folder / "summary.json").read_text("utf-8"))
    del summary["arms"][0]["accuracy"][0]["p"]
    (folder / "summary.json").write_text(json.dumps(summary), "utf-8")
    (folder / "arms/one/config.yaml").write_text("- damaged", "utf-8")
    (folder / "arms/two/verdicts.parquet").write_bytes(b"PAR1")
    code, shown = told(folder, capfd)
    assert code == 1
    for words in (
        "summary.json: not the file that was recorded",
        "arms/one/config.yaml",
        "arms/two/verdicts.parquet",
        "summary.json: not compared with what is not as recorded",
    ):
        assert words in shown, words


def test_the_root_hash_is_printed_and_held_against_the_folder(
    run: Path, quick: None, tmp_path: Path, capfd: pytest.CaptureFixture[str], refused: Callable[..., str]
) -> None:
    folder = copied(run, tmp_path)
    capfd.readouterr()
    assert main(["report", f"run={folder}"]) == 0
    root = capfd.readouterr().out.splitlines()[-1].removeprefix("Root hash: ")
    assert root == json.loads((run / "hashes.json").read_text("utf-8"))["root"], "the same report has the same root"
    assert told(folder, capfd, f"root={root}")[0] == 0
    assert told(folder, capfd, f"root={root[::-1]}")[0] == 1
    page = (folder / "report.html").read_text("utf-8")
    (folder / "report.html").write_text(page.replace("no change shown", "raised"), "utf-8")
    hashes.write(folder)
    assert told(folder, capfd)[0] == 0, "this is why the root is to be kept elsewhere"
    code, shown = told(folder, capfd, f"root={root}")
    assert code == 1 and "the root hash is" in shown
    assert "64 digits" in refused("verify", f"run={folder}", "root=abc")


def test_no_command_passes_off_what_somebody_changed(
    run: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str], refused: Callable[..., str]
) -> None:
    folder = copied(run, tmp_path)
    path = folder / "metrics.jsonl"
    path.write_text(path.read_text("utf-8").replace('"reward": ', '"reward": 1'), "utf-8")
    assert main(["report", f"run={folder}"]) == 0
    code, shown = told(folder, capfd)
    assert code == 1 and f"{path}: not the file that was recorded" in shown
    part = folder / "evaluation" / "iteration-0001.parquet"
    shutil.copy(folder / "evaluation" / "base.parquet", part)
    assert f"{part} was changed since" in refused("evaluate", f"run={folder}", *FEW)


def test_files_that_no_command_reads_are_told_and_no_fault(
    run: Path, quick: None, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    folder = copied(run, tmp_path)
    for name in ("notes.txt", "logs/debate.eval", "log.txt", ".DS_Store", "wandb/run"):
        (folder / name).parent.mkdir(exist_ok=True)
        (folder / name).write_text("mine", "utf-8")
    code, shown = told(folder, capfd)
    assert code == 0 and "notes.txt: was added" in shown and "wandb" not in shown and "log.txt" not in shown
    (folder / "watch.jsonl").write_text("", "utf-8")
    assert told(folder, capfd)[0] == 1


def test_a_run_of_an_earlier_release_has_no_hashes(
    run: Path, quick: None, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    folder = copied(run, tmp_path)
    (folder / "hashes.json").unlink()
    code, shown = told(folder, capfd)
    assert code == 1 and "hashes.json: is gone" in shown
    record = json.loads((folder / "manifest.json").read_text("utf-8"))
    del record["evaluated"]["hashes"]
    (folder / "manifest.json").write_text(json.dumps(record), "utf-8")
    code, shown = told(folder, capfd)
    assert code == 0 and "made by an earlier release" in shown
    assert told(folder, capfd, f"root={'0' * 64}")[0] == 1
