"""What all pages are made with: the templates, how numbers are put into words in them, and the content policy."""

import base64
import hashlib
from functools import lru_cache
from importlib.resources import files

from jinja2 import Environment, FunctionLoader, StrictUndefined

from rostrum.trainer.report import wording
from rostrum.trainer.report.packed import EARLY


@lru_cache(maxsize=1)
def environment() -> Environment:
    """Return the templates' environment; a process compiles each of them once."""
    environment = Environment(
        loader=FunctionLoader(resource),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    filters = (
        wording.signed,
        wording.percent,
        wording.points,
        wording.decimal,
        wording.p_value,
        wording.outcome,
        wording.unbroken,
    )
    environment.filters.update({function.__name__: function for function in filters})
    words = (
        wording.percent_range,
        wording.points_range,
        wording.overall,
        wording.smallest_change,
        wording.other_judges,
        wording.primary,
        wording.by_corrected_p,
        wording.invalid_rows,
    )
    environment.globals.update({function.__name__: function for function in words} | {"early": EARLY})
    return environment


def resource(name: str) -> str:
    return (files("rostrum.trainer.report") / name).read_text("utf-8")


def content_policy(style: str, script: str) -> str:
    """Return a content security policy under which this style sheet and this script run, and nothing else loads or
    runs."""
    sources = f"style-src {hash_source(style)}; script-src {hash_source(script)}"
    return f"default-src 'none'; {sources}; base-uri 'none'; form-action 'none'"


def hash_source(text: str) -> str:
    """Return the source expression of a content security policy that lets exactly this style sheet or script in."""
    return f"'sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}'"
