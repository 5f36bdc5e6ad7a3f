"""The words of the pages, from the one file that is translated."""

from collections.abc import Mapping
from pathlib import Path

import yaml

WORDS: Mapping[str, str] = yaml.safe_load(Path(__file__).with_name("words.yaml").read_text("utf-8"))
