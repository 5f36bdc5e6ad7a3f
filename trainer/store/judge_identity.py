"""Which judge was it? Its settings, the words it is asked in and the weights it reads with, so that an audit of one
judge cannot be shown for another."""

import hashlib
import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from rostrum.envs.prompts.prompt_sets import judge_hashes
from rostrum.rewards.judges import JudgeSettings
from rostrum.trainer.store.frozen import model_hash

UNIMPORTANT = {
    "audited",
    "audit",
    "sample",
    "batch_size",
    "gpu_memory_fraction",
    "tensor_parallel",
    "probe",
    "taught_on",
    "queue",
    "key_variable",
}
"""Settings that change no verdict, but for rounding."""
PARTS = ("name", "settings", "prompts", "weights", "files")


def identity(settings: JudgeSettings) -> dict[str, Any]:
    """Return name and settings of a judge, with hashes of its prompts, its weights and any other file that it names,
    ready for JSON."""
    needs = settings.needs()
    given = [said for judge in settings.within() if (said := judge.given())]
    return {
        "name": settings.name,
        "settings": _important(settings.model_dump(mode="json")),
        "prompts": judge_hashes((model.prompts, model.layout) for model in needs),
        "weights": {model.model: model_hash(model.model) for model in needs if model.endpoint is None},
        "files": {str(path): file_hash(path) for path in sorted(set(_files(_important(settings.model_dump()))))},
        **({"given": given} if given else {}),
    }


def fingerprint(judge: Mapping[str, Any]) -> str:
    """Return a short hash of an identity; the name does not count."""
    named = {key: value for key, value in judge.items() if key != "name"}
    return hashlib.sha256(json.dumps(named, sort_keys=True).encode()).hexdigest()[:16]


def difference(one: Mapping[str, Any], other: Mapping[str, Any]) -> str | None:
    """Return the first of `PARTS` in which two identities differ; None if they are one judge."""
    one, other = (
        {part: _important(judge.get(part)) if part == "settings" else judge.get(part) for part in PARTS}
        for judge in (one, other)
    )
    return next((part for part in PARTS if one[part] != other[part]), None)


def file_hash(path: Path) -> str:
    """Return the SHA-256 of a file's bytes."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _files(value: Any) -> Iterator[Path]:
    """Yield the files that settings name, also those of judges inside judges."""
    if isinstance(value, Path) and value.is_file():
        yield value
    elif isinstance(value, dict | list | tuple):
        for item in value.values() if isinstance(value, dict) else value:
            yield from _files(item)


def _important(value: Any) -> Any:
    """Return the settings without those that change no verdict, also in judges inside judges, and without any judge's
    name."""
    if isinstance(value, dict):
        return {key: _important(item) for key, item in value.items() if key not in UNIMPORTANT | {"name"}}
    return [_important(item) for item in value] if isinstance(value, list) else value
