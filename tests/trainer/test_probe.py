"""The check that an adapter is served at all, with engines that do and engines that only seem to."""

import math
from collections.abc import Callable, Sequence

import pytest
import torch

from trainer import models, probe, setup
from trainer.config import Config
from trainer.publish import ParityError, flat, gap_between
from trainer.types import Policy

Scores = list[tuple[float, ...]]


@pytest.fixture
def config(configure: Callable[..., Config]) -> Config:
    return configure("debater.lora.rank=4")


@pytest.fixture
def rows(config: Config) -> list[list[int]]:
    return probe.rows_of(config)


class Altered:
    """Rollouts on the real engine whose answers are changed on the way."""

    def __init__(self, config: Config, change: Callable[[Scores, Scores], Scores]) -> None:
        self._rollouts, self._base, self._change = setup.rollouts(config), config.debater.model, change

    def logprobs(self, rows: Sequence[Sequence[int]], policy: Policy) -> list[Scores]:
        right, base = (
            self._rollouts.logprobs(rows, p)[0] for p in (policy, Policy("base", 0, models.resolve(self._base)))
        )
        return [right, self._change(right, base)]  # the first worker is as it should be


def test_an_adapter_that_is_served_passes_and_leaves_nothing_behind(config: Config, rows: list[list[int]]) -> None:
    torch.manual_seed(5)
    before = torch.get_rng_state()
    probe.check_adapter(config, setup.rollouts(config), rows)
    assert torch.equal(torch.get_rng_state(), before)
    assert not config.output.exists() or not list(config.output.iterdir())


CHANGES: list[tuple[str, Callable[[Scores, Scores], Scores]]] = [
    ("changes nothing in engine=transformers.*debater.lora=null", lambda right, base: base),
    ("nats away", lambda right, base: [tuple(x + 0.01 for x in row) for row in right]),
    ("nan nats away", lambda right, base: [*right[:-1], (math.nan, *right[-1][1:])]),
]


@pytest.mark.parametrize(("message", "change"), CHANGES)
def test_one_engine_that_serves_something_else_is_enough(
    config: Config, rows: list[list[int]], message: str, change: Callable[[Scores, Scores], Scores]
) -> None:
    with pytest.raises(ParityError, match=message):
        probe.check_adapter(config, Altered(config, change), rows)  # type: ignore[arg-type]


def test_the_random_adapter_moves_more_than_any_tolerance(config: Config, rows: list[list[int]], tmp_path) -> None:  # noqa: ANN001
    base, adapted = probe._write_adapter(config, str(tmp_path / "adapter"), rows)
    assert gap_between(flat(base), flat(adapted)).mean > 100 * config.parity_tolerance
