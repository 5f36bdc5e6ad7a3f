"""Where the small pretrained models lie, and the stories that they debate; without ROSTRUM_MODELS, which
`make test-models` sets, nothing here is collected."""

import os
from pathlib import Path

import pytest

from tests.models.small_models import GEMMA, SMOLLM2

collect_ignore_glob = [] if os.environ.get("ROSTRUM_MODELS") else ["test_*.py"]
STORIES = Path(__file__).with_name("stories.jsonl")
"""Two short stories of our own in QuALITY's format; QUALITY=FILE takes a release's file in their place."""


@pytest.fixture(scope="session")
def models() -> dict[str, str]:
    """The folders that `python -m tests.models.small_models` wrote, by the models' short names."""
    place = Path(os.environ["ROSTRUM_MODELS"]).absolute()
    return {"smollm2": str(place / SMOLLM2), "gemma": str(place / GEMMA)}


@pytest.fixture(scope="session")
def stories() -> Path:
    return Path(os.environ.get("QUALITY", STORIES)).absolute()
