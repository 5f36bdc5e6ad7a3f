"""manifest.json: where a run came from, so that its numbers can be traced and played again."""

import json
import platform
import subprocess
from collections.abc import Mapping
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from envs.prompts import load_prompts
from trainer.config import Config
from trainer.run_folder import write_atomically

PACKAGES = ("torch", "transformers", "trl", "accelerate", "peft", "ray", "deepspeed", "vllm", "numpy", "pandas")
ROOT = Path(__file__).parents[1]


def write(path: Path, config: Config, title: str, audit: Mapping[str, Any] | None = None) -> None:
    """Records title, time, configuration, the judge's audit if it has one, versions, commit, hashes of prompts and
    judges, and platform."""
    from trainer import frozen

    record: dict[str, Any] = {
        "title": title,
        "created": _now(),
        "config": config.model_dump(mode="json"),
        "audit": audit,
        "versions": versions(),
        "git": commit(ROOT),
        "prompts": prompt_hashes(config),
        "judges": frozen.hashes(config.judges),
        "platform": platform.platform(),
    }
    write_atomically(path, json.dumps(record, indent=1))


def finish(path: Path, last: int | None = None) -> None:
    """Notes that the run came to its end, and after which iteration."""
    notes = {"finished": _now()} | ({} if last is None else {"last_iteration": last})
    write_atomically(path, json.dumps(read(path) | notes, indent=1))


def read(path: Path) -> dict[str, Any]:
    """The manifest; empty if there is none."""
    return dict(json.loads(path.read_text("utf-8"))) if path.is_file() else {}


def check_judges(path: Path, config: Config) -> None:
    """The judges' models must be what they were when the manifest was written.

    Raises:
        FrozenError: one has changed.
    """
    from trainer import frozen

    frozen.check(read(path).get("judges", {}), config.judges)


def versions() -> dict[str, str]:
    """Python and those of the packages that a result may depend on, as far as they are installed."""
    found = {"python": platform.python_version()}
    for package in PACKAGES:
        try:
            found[package] = version(package)
        except PackageNotFoundError:
            continue
    return found


def commit(checkout: Path) -> Mapping[str, str | bool] | None:
    """The commit that a checkout is at and whether files differ from it; None where there is no git checkout."""
    if not (checkout / ".git").exists():
        return None
    try:
        head, changes = (_git(checkout, *words) for words in (("rev-parse", "HEAD"), ("status", "--porcelain")))
    except (OSError, subprocess.CalledProcessError):
        return None
    return {"commit": head, "dirty": bool(changes)}


def prompt_hashes(config: Config) -> dict[str, str]:
    """The version of each prompt set in use, by name."""
    names = {config.debater.prompts, *(judge.prompts for judge in config.judge_models)}
    return {name: load_prompts(name).hash for name in sorted(names)}


def _git(checkout: Path, *words: str) -> str:
    command = ["git", "-C", str(checkout), *words]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip()


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="seconds")
