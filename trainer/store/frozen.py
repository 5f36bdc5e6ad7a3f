"""Frozen means frozen: what a judge's model consists of, as one hash, so that nobody changes it under a run.

The hash goes over the names and bytes of everything that the model's answers depend on: weights, configuration and
tokenizer. An adapter's base model counts as well.
"""

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from fnmatch import fnmatch
from pathlib import Path

from rostrum.rewards.judges import JudgeSettings
from rostrum.trainer.models import loading

Hashes = Mapping[str, Mapping[str, str]]
"""By the judge's name, then by model as the configuration names it."""
FILES = (
    "*.safetensors",
    "config.json",
    "adapter_config.json",
    "tokenizer*",
    "vocab*",
    "merges.txt",
    "added_tokens.json",
    "special_tokens_map.json",
    "*.model",
    "*.jinja",
)


class FrozenError(ValueError):
    """A judge's model is not what it was; the message names the judge and says what to do."""


def model_hash(model: str, piece: int = 2**20) -> str:
    """Return the SHA-256 of a model: a folder, embedded/NAME, or a hub id, which stands for its snapshot in the cache.

    Files are read in pieces of so many bytes.
    """
    digest = hashlib.sha256()
    for folder in dict.fromkeys((loading.resolve(model), loading.resolve_base(model))):
        for path in _files(_snapshot(folder)):
            digest.update(f"{path.name}\0{path.stat().st_size}\0".encode())
            for chunk in _chunks(path, piece):
                digest.update(chunk)
    return digest.hexdigest()


def hashes(judges: Sequence[JudgeSettings]) -> dict[str, dict[str, str]]:
    """Return the hash of every model that a judge reads with; each model is read once. What is behind an endpoint is
    not ours to look at."""
    read = [(judge.name, m.model) for judge in judges for m in judge.needs() if m.endpoint is None]
    known = {model: model_hash(model) for model in {model for _, model in read}}
    found: dict[str, dict[str, str]] = {judge.name: {} for judge in judges}
    for name, model in read:
        found[name][model] = known[model]
    return found


def check(recorded: Hashes, judges: Sequence[JudgeSettings]) -> None:
    """Compare the judges' models with what was recorded of them; judges and models without a record are passed over.

    Raises:
        FrozenError: one has changed.
    """
    for name, now in hashes([judge for judge in judges if judge.name in recorded]).items():
        for model, value in now.items():
            before = recorded[name].get(model, value)
            if before != value:
                raise FrozenError(
                    f"The judge {name} is not frozen: its model {model} was {before[:12]} at the start of the run and "
                    f"is {value[:12]} now: put the model back as it was, or start a new run with output=FOLDER."
                )


def _snapshot(model: str) -> Path:
    """Return the folder itself, or that of the hub's snapshot."""
    if Path(model).is_dir():
        return Path(model)
    from huggingface_hub import snapshot_download

    return Path(snapshot_download(model, allow_patterns=list(FILES)))


def _files(folder: Path) -> list[Path]:
    return sorted(path for path in folder.iterdir() if any(fnmatch(path.name, pattern) for pattern in FILES))


def _chunks(path: Path, piece: int) -> Iterator[bytes]:
    with path.open("rb") as file:
        while chunk := file.read(piece):
            yield chunk
