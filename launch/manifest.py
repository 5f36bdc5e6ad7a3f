"""manifest.json: where a run came from, so that its numbers can be traced and played again."""

import json
import platform
import subprocess
from collections.abc import Mapping
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from rostrum.envs.files import write_atomically
from rostrum.envs.prompts.prompt_sets import judge_hashes, load_prompts
from rostrum.trainer.config import Config
from rostrum.trainer.store.run_folder import read_record

PACKAGES = ("torch", "transformers", "trl", "accelerate", "peft", "ray", "deepspeed", "vllm", "numpy", "pandas")
ROOT = Path(__file__).parents[2]


def write(path: Path, config: Config, title: str, audit: Mapping[str, Any] | None = None) -> None:
    """Record title, time, configuration, the judge's audit if it has one, versions, commit, platform and hardware.

    Hashes say what the run is made with: configuration, plan, questions, prompts, chat templates, debater and judges.
    `chat_template_date` is what templates that ask for today's date are told.
    """
    from rostrum.trainer.engines.templates import TODAY
    from rostrum.trainer.evaluation.preregistration import lock
    from rostrum.trainer.store import frozen, provenance

    debaters = sorted({debater.model for debater in config.debaters})
    models = sorted({*debaters, *(m.model for m in config.judge_models if m.endpoint is None)})

    record: dict[str, Any] = {
        "title": title,
        "created": _now(),
        "config": config.model_dump(mode="json"),
        "audit": audit,
        "versions": versions(),
        "git": commit(ROOT),
        "config_hash": provenance.config_hash(config),
        "lock": lock.current_hash(config.output),
        "questions": provenance.question_hashes(config.questions),
        "prompts": prompt_hashes(config),
        "chat_templates": provenance.chat_template_hashes(models),
        "chat_template_date": TODAY.isoformat(),
        "debater": {model: frozen.model_hash(model) for model in debaters},
        "judges": frozen.hashes(config.judges),
        "platform": platform.platform(),
        "hardware": provenance.hardware(),
    }
    write_atomically(path, json.dumps(record, indent=1))


def finish(path: Path, last: int | None = None) -> None:
    """Note that the run came to its end, when it first did, and after which iteration."""
    before = read(path)
    notes = {"finished": before.get("finished", _now())} | ({} if last is None else {"last_iteration": last})
    if before | notes != before:
        write_atomically(path, json.dumps(before | notes, indent=1))


def evaluated(config: Config, run: Path) -> None:
    """Note what the verdicts in the run's folder are, and which questions and judges they were made with."""
    from rostrum.trainer.evaluation.preregistration import hashes
    from rostrum.trainer.evaluation.verdict_table import read_verdicts
    from rostrum.trainer.store import frozen, provenance

    path = run / "manifest.json"
    record = {
        "hashes": hashes.NAME,
        "verdicts": provenance.verdicts_hash(read_verdicts(run / "verdicts.parquet")),
        "config_hash": provenance.config_hash(config),
        "questions": provenance.question_hashes(config.test_questions)["heldout"],
        "judges": frozen.hashes(config.judges),
    }
    before = read(path)
    if {**(before.get("evaluated") or {}), "at": None} != {**record, "at": None}:  # the same again keeps its date
        write_atomically(path, json.dumps(before | {"evaluated": {"at": _now(), **record}}, indent=1))


def read(path: Path) -> dict[str, Any]:
    """Return the manifest; empty if there is none."""
    return read_record(path)


def check_judges(path: Path, config: Config) -> None:
    """Refuse judges whose models are not what they were when the manifest was written.

    Raises:
        FrozenError: one has changed.
    """
    from rostrum.trainer.store import frozen

    frozen.check(read(path).get("judges", {}), config.judges)


def versions() -> dict[str, str]:
    """Return the versions of Python and of the packages that a result may depend on, as far as they are installed."""
    found = {"python": platform.python_version()}
    for package in PACKAGES:
        try:
            found[package] = version(package)
        except PackageNotFoundError:
            continue
    return found


def commit(checkout: Path) -> Mapping[str, str | bool] | None:
    """Return the commit that a checkout is at and whether files differ from it; None where there is no git checkout."""
    if not (checkout / ".git").exists():
        return None
    try:
        head, changes = (_git(checkout, *words) for words in (("rev-parse", "HEAD"), ("status", "--porcelain")))
    except (OSError, subprocess.CalledProcessError):
        return None
    return {"commit": head, "dirty": bool(changes)}


def prompt_hashes(config: Config) -> dict[str, str]:
    """Return the version of each prompt set in use, by name."""
    found = judge_hashes((judge.prompts, judge.layout) for judge in config.judge_models)
    found[config.debater.prompts] = load_prompts(config.debater.prompts).hash_with(config.protocol)
    return dict(sorted(found.items()))


def _git(checkout: Path, *words: str) -> str:
    command = ["git", "-C", str(checkout), *words]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip()


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="seconds")
