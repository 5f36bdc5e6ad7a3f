"""Which judge was it? Its settings, the words it is asked in and the weights it reads with, so that an audit of one
judge cannot be shown for another."""

import hashlib
import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from huggingface_hub import snapshot_download

from envs.prompts import load_prompts
from rewards.judges import JudgeSettings
from trainer import models

UNIMPORTANT = {"audited", "audit", "batch_size", "gpu_memory_fraction"}
"""Settings that change no verdict."""
MIB = 2**20


def identity(settings: JudgeSettings) -> dict[str, Any]:
    """Name, settings, prompt hashes and weight hashes of a judge, ready for JSON."""
    needs = settings.needs()
    return {
        "name": settings.name,
        "settings": _important(settings.model_dump(mode="json")),
        "prompts": {name: load_prompts(name).hash for name in sorted({model.prompts for model in needs})},
        "weights": {name: weights_hash(name) for name in sorted({model.model for model in needs})},
    }


def fingerprint(judge: Mapping[str, Any]) -> str:
    """A short hash of an identity; the name does not count."""
    named = {key: value for key, value in judge.items() if key != "name"}
    return hashlib.sha256(json.dumps(named, sort_keys=True).encode()).hexdigest()[:16]


def difference(one: Mapping[str, Any], other: Mapping[str, Any]) -> str | None:
    """The first of name, settings, prompts and weights in which two identities differ; None if they are one judge."""
    return next((key for key in ("name", "settings", "prompts", "weights") if one.get(key) != other.get(key)), None)


def weights_hash(model: str) -> str:
    """SHA-256 over the names and bytes of a model's safetensors files; a model on a hub is fetched first."""
    place = models.resolve(model)
    folder = Path(place) if Path(place).is_dir() else Path(snapshot_download(place, allow_patterns=["*.safetensors"]))
    digest = hashlib.sha256()
    for path in sorted(folder.glob("*.safetensors")):
        digest.update(path.name.encode())
        for part in _parts(path):
            digest.update(part)
    return digest.hexdigest()


def _parts(path: Path) -> Iterator[bytes]:
    with path.open("rb") as file:
        while part := file.read(16 * MIB):
            yield part


def _important(value: Any) -> Any:
    """Without the settings that change no verdict, also in judges inside judges, and without any judge's name."""
    if isinstance(value, dict):
        return {key: _important(item) for key, item in value.items() if key not in UNIMPORTANT | {"name"}}
    return [_important(item) for item in value] if isinstance(value, list) else value
