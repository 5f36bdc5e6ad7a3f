"""The cards of model folders: front matter that a hub accepts, and what an adapter is."""

from functools import cache
from pathlib import Path
from typing import Any

import yaml
from transformers.utils import cached_file

from rostrum.trainer.models import loading

_LICENCE = ("license", "license_name", "license_link")
_OWN = {"license": "apache-2.0"}
"""The licence of the embedded models, which is that of Rostrum itself."""

ADAPTER = """
# A LoRA adapter, {name}

A debater trained with Rostrum to win a judge's approval. It argues for the answer that it is given, whether or not that
answer is right: its speeches are advocacy, not information.

The adapter belongs to {base}, without which it says nothing; `rostrum export` merges the two.
"""


def front_matter(base: str, **entries: Any) -> str:
    """Return the YAML at the head of the card of a model that was trained from `base`, a `model` of the configuration.

    It has the licence of the base, and names the base only where it is on a hub: a folder is nowhere else, and there
    may be a stranger's model of that name.
    """
    where = {"base_model": base} if loading.is_hub_id(base) else {}
    found = {**entries, **licence(base), **where}
    return f"---\n{yaml.safe_dump(found, sort_keys=False, allow_unicode=True)}---\n"


def licence(base: str) -> dict[str, str]:
    """Return the licence entries of the card of a model; where it has none, that its terms are those of the base."""
    if (folder := _folder(base)) is not None and loading.EMBEDDED in folder.parents:
        return _OWN
    card = _hub_card(base) if folder is None else folder / "README.md"
    head = _head(card) if card is not None and card.is_file() else {}
    if isinstance(head.get("license"), str):
        return {name: str(head[name]) for name in _LICENCE if name in head}
    link = {"license_link": f"https://huggingface.co/{base}"} if loading.is_hub_id(base) else {}
    return {"license": "other", "license_name": "terms-of-the-base-model", **link}


def _folder(base: str) -> Path | None:
    """Return the folder of a model, which need no longer be there; None for one that is on a hub."""
    if base.startswith("embedded/"):
        return loading.EMBEDDED / base.removeprefix("embedded/")
    return None if loading.is_hub_id(base) else Path(base).expanduser().absolute()


@cache
def _hub_card(base: str) -> Path | None:
    """Return the card of a model on a hub; None if it has none, or cannot be asked: no training ends for its card."""
    try:
        found = cached_file(
            base,
            "README.md",
            _raise_exceptions_for_missing_entries=False,
            _raise_exceptions_for_connection_errors=False,
            _raise_exceptions_for_gated_repo=False,
        )
    except OSError:
        return None
    return None if found is None else Path(found)


def _head(card: Path) -> dict[str, Any]:
    """Return the front matter of a card; empty if it has none that can be read."""
    opening, _, rest = card.read_text("utf-8", errors="replace").partition("---\n")
    if opening.strip() or "\n---" not in rest:
        return {}
    try:
        found = yaml.safe_load(rest.partition("\n---")[0])
    except yaml.YAMLError:
        return {}
    return found if isinstance(found, dict) else {}


def in_words(base: str) -> str:
    """Return how a card names a model."""
    if (folder := _folder(base)) is None:
        return f"`{base}`"
    return f"`embedded/{folder.name}`" if loading.EMBEDDED in folder.parents else f"a local folder, `{folder}`"


def adapter_card(base: str, name: str) -> str:
    """Return the card of an adapter that was trained on `base`."""
    head = front_matter(base, library_name="peft", pipeline_tag="text-generation", tags=["debate", "lora", "rostrum"])
    return head + ADAPTER.format(name=name, base=in_words(base))
