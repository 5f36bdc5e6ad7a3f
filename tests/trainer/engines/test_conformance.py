"""Every engine passes the same checks, the one of another package included; and the checks can fail."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

from rostrum.trainer.engines import Completion, Sampling, conformance, engine_settings
from rostrum.trainer.engines.conformance import CHECKS, Subject
from rostrum.trainer.engines.transformers.causal import TransformersEngine

SETTINGS = {
    "transformers": engine_settings("transformers", batch_size=3),
    "transformers, one row at a time": engine_settings("transformers", batch_size=1),
    "transformers, with a prefix cache": engine_settings("transformers", {"prefix_cache_bytes": 10**7}, batch_size=3),
    "numpy": engine_settings("numpy"),
}


@pytest.fixture(scope="module")
def subjects(tiny: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Subject]:
    """The tiny debater on every engine; it says its end token."""
    first, *others = SETTINGS
    made = conformance.subject(f"{tiny}/debater", SETTINGS[first], tmp_path_factory.mktemp("conformance"))
    return {first: made, **{name: replace(made, settings=SETTINGS[name]) for name in others}}


@pytest.mark.parametrize("name", SETTINGS)
@pytest.mark.parametrize("check", CHECKS, ids=lambda check: check.__name__)
def test_an_engine_conforms(check: Callable[[Subject], None], name: str, subjects: dict[str, Subject]) -> None:
    check(subjects[name])


def cut(self: TransformersEngine, prompts: Sequence[Sequence[int]], sampling: Sampling) -> list[Completion]:
    """Sample without a seed, one token too many, with other log-probabilities, and fill the context."""
    found = GENERATE(self, prompts, Sampling(sampling.max_tokens, sampling.temperature, 0)) if prompts else []
    return [replace(c, token_ids=(*c.token_ids, 5), logprobs=(*(2 * v for v in c.logprobs), -1.0)) for c in found]


GENERATE, LOGPROBS = TransformersEngine.generate, TransformersEngine.logprobs
BROKEN: dict[str, tuple[str, Any]] = {
    "tokens_come_back_with_their_log_probabilities": ("generate", cut),
    "the_seed_decides": ("generate", cut),
    "sampled_log_probabilities_are_those_that_are_read": ("generate", cut),
    "a_temperature_sharpens_what_is_sampled": ("generate", cut),
    "no_more_tokens_than_were_asked_for": ("generate", cut),
    "an_end_token_ends_a_speech": ("generate", cut),
    "scored_rows_are_the_models_own": ("logprobs", lambda self, rows: [v[::-1] for v in LOGPROBS(self, rows)]),
    "the_order_of_a_batch_does_not_matter": (
        "logprobs",
        lambda self, rows: [tuple(v + i for v in row) for i, row in enumerate(LOGPROBS(self, rows))],
    ),
    "choices_are_summed_over_tokens_and_spellings": ("score", lambda self, wanted: [-1.0 for _ in wanted]),
    "what_does_not_fit_is_said": ("score", lambda self, wanted: [-1.0 for _ in wanted]),
    "new_weights_are_served_at_once": ("load", lambda self, policy: None),
    "an_adapter_is_served_beside_its_base": ("load", lambda self, policy: None),
    "what_judges_ask_is_counted": ("count", lambda self, read, new_tokens=0: None),
    "random_generators_are_left_alone": ("generate", lambda self, prompts, sampling: torch.rand(1)),
    "nothing_asked_nothing_answered": ("logprobs", lambda self, rows: None),
}


@pytest.mark.parametrize("name", BROKEN)
def test_a_check_fails_where_an_engine_is_wrong(
    name: str, subjects: dict[str, Subject], monkeypatch: pytest.MonkeyPatch
) -> None:
    (check,) = (check for check in CHECKS if check.__name__ == name)
    monkeypatch.setattr(TransformersEngine, *BROKEN[name])
    with pytest.raises((AssertionError, TypeError)):
        check(subjects["transformers"])
