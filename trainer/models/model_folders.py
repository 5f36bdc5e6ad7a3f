"""The last touches to a model folder that transformers has written: everybody can read it, and so can its version 4."""

import json
import os
import secrets
import stat
from pathlib import Path
from typing import Any

from rostrum.envs.files import write_atomically

TOKENIZER = "PreTrainedTokenizerFast"
"""What version 4 calls the class that version 5 calls TokenizersBackend; version 5 knows both names."""


def finish(folder: Path, card: str | None = None) -> None:
    """Make a folder of save_pretrained's readable for transformers 4 and for other users, with this card if given."""
    if card is not None:
        write_atomically(folder / "README.md", card)
    _change(folder / "config.json", with_rope_of_version_4)
    _change(folder / "tokenizer_config.json", _with_class_of_version_4)
    follow_umask(folder)


def with_rope_of_version_4(config: dict[str, Any]) -> dict[str, Any]:
    """Return a config.json's entries with those beside `rope_parameters` that transformers 4 reads in their place.

    Without them it takes its defaults, another base of the rotary embedding among them, and says nothing.
    """
    found = {key: with_rope_of_version_4(value) if key == "text_config" else value for key, value in config.items()}
    rope = found.get("rope_parameters")
    if not isinstance(rope, dict):
        return found
    whole = rope.get("full_attention", rope)
    if not isinstance(whole, dict) or "rope_theta" not in whole:
        return found
    older = {"rope_theta": whole["rope_theta"], "partial_rotary_factor": whole.get("partial_rotary_factor")}
    if found.get("model_type") == "gpt_neox":
        older = {"rotary_emb_base": older["rope_theta"], "rotary_pct": older["partial_rotary_factor"]}
    if isinstance(sliding := rope.get("sliding_attention"), dict):
        older["rope_local_base_freq"] = sliding.get("rope_theta")
    if whole.get("rope_type", "default") != "default":
        older["rope_scaling"] = {key: value for key, value in whole.items() if key != "rope_theta"}
    return {**found, **{key: value for key, value in older.items() if value is not None}}


def _with_class_of_version_4(config: dict[str, Any]) -> dict[str, Any]:
    """Return a tokenizer_config.json's entries under the names that transformers 4 knows."""
    found = dict(config)
    if found.get("tokenizer_class") == "TokenizersBackend":
        found["tokenizer_class"] = TOKENIZER
    if isinstance(found.get("extra_special_tokens"), list):  # version 4 wants a dictionary under this name
        found["additional_special_tokens"] = found.pop("extra_special_tokens")
    return found


def _change(path: Path, change: Any) -> None:
    if path.exists():
        before = json.loads(path.read_text("utf-8"))
        if (after := change(before)) != before:
            write_atomically(path, json.dumps(after, indent=2, ensure_ascii=False) + "\n")


def follow_umask(folder: Path) -> None:
    """Give every file in the folder the mode that a new file has here; safetensors alone writes its own as 0600."""
    probe = folder / f".{secrets.token_hex(8)}.tmp"
    handle = os.open(probe, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o666)
    try:
        mode = stat.S_IMODE(os.fstat(handle).st_mode)
    finally:
        os.close(handle)
        probe.unlink()
    for path in folder.rglob("*"):
        if path.is_file() and not path.is_symlink():
            path.chmod(mode)
