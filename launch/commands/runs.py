"""`rostrum runs`: what lies in a folder of runs, how far each is, and what came out."""

import sys
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from rich.table import Table
from rich.text import Text

from rostrum.launch import figures
from rostrum.launch.errors import LaunchError
from rostrum.launch.results import WIDTH
from rostrum.trainer.reading import DamagedError, Open, read_json_lines, read_yaml
from rostrum.trainer.store.run_folder import RunFolder, read_lines, read_record
from rostrum.trainer.terminal import Console

DEPTH = 4
"""Folders of folders that are looked into: runs/study/arms/debate-s1 is the fourth."""
KINDS = {
    "comparison.json": "comparison",
    "tournament.json": "tournament",
    "ablation.json": "ablation",
    "audit.json": "audit",
    "grid.html": "adversarial rounds",
}
"""What a folder is by the file that the command wrote last."""
WARMED = "rounds.jsonl"
"""The file of a warm start that has a line for each round."""


class _Config(Open, total=False):
    """What is counted on in a configuration."""

    iterations: int
    arms: dict[str, Any]
    warmstart: dict[str, Any]


@dataclass(frozen=True, slots=True)
class Listed:
    """A folder that one of our commands made."""

    folder: str
    kind: str
    state: str
    headline: str


def runs(words: Sequence[str]) -> int:
    """List runs and what else lies in a folder."""
    if len(words) > 1 or any("=" in word for word in words):
        raise LaunchError("Name one folder, or none for runs: rostrum runs [FOLDER].")
    root = Path(words[0]) if words else Path("runs")
    if not root.is_dir():
        raise LaunchError(f"There is no folder {root}: name one that holds runs, or train first.")
    found = list(_found(root, DEPTH))
    figures.keep("runs", [asdict(one) for one in found])
    table = Table("folder", "what", "state", "headline", box=None)
    for column in table.columns:
        column.no_wrap = True
    for one in found:
        table.add_row(*map(Text, asdict(one).values()))
    Console(width=None if sys.stdout.isatty() else WIDTH).print(table)
    return 0


def _found(folder: Path, depth: int) -> Iterator[Listed]:
    """Yield what the folder is, then what lies in it; what lies in a single run is not looked into."""
    listed = _listed(folder)
    if listed is not None:
        yield listed
    if depth and (listed is None or listed.kind != "run"):
        for inner in sorted(path for path in folder.iterdir() if path.is_dir() and not path.is_symlink()):
            yield from _found(inner, depth - 1)


def _listed(folder: Path) -> Listed | None:
    run = RunFolder(folder)
    name = str(folder)
    try:
        for file, kind in KINDS.items():
            if (folder / file).is_file():
                return Listed(name, kind, "finished", "")
        if (folder / "arms").is_dir():
            return Listed(name, "experiment", _state_of_arms(folder), "")
        if not run.config.is_file():
            return None
        if (folder / WARMED).is_file():
            return _warm_start(folder, run)
        return Listed(name, "run", _state(run), _headline(folder))
    except DamagedError as error:
        return Listed(name, "unreadable", str(error), "")


def _warm_start(folder: Path, run: RunFolder) -> Listed:
    """Return a warm start with the rounds that are done, and the quotes a speech before and after them."""
    from rostrum.trainer.config import WarmStart
    from rostrum.trainer.warmstart.quoting import Round

    rounds = read_json_lines(folder / WARMED, Round)
    planned = read_yaml(run.config, kind=_Config).get("warmstart", {}).get("rounds", WarmStart().rounds)
    state = f"{max(len(rounds) - 1, 0)} of {planned} rounds"
    told = " -> ".join(f"{found.heldout.quotes or 0:.2f}" for found in (rounds[:1] + rounds[-1:] if rounds else []))
    return Listed(str(folder), "warm start", state, f"{told} quotes a speech" if told else "")


def _state(run: RunFolder) -> str:
    manifest = read_record(run.manifest)
    if manifest.get("evaluated"):
        return "evaluated"
    planned, done = read_yaml(run.config, kind=_Config).get("iterations"), len(read_lines(run.metrics))
    if manifest.get("finished"):
        return f"trained, {done} iterations"
    return f"iteration {done} of {planned}" if done else "begun"


def _state_of_arms(folder: Path) -> str:
    arms = [RunFolder(arm) for arm in (folder / "arms").iterdir() if arm.is_dir()]
    done = sum(bool(read_record(arm.manifest).get("evaluated")) for arm in arms)
    config = RunFolder(folder).config
    planned = read_yaml(config, kind=_Config).get("arms") if config.is_file() else None
    return f"{done} of {len(planned or arms)} arms evaluated"


def _headline(folder: Path) -> str:
    from rostrum.trainer.evaluation.summary import NAME, Summary

    path = folder / NAME
    arms = Summary.read(path).arms if path.is_file() else []
    return (arms[0].headline or "") if arms else ""
