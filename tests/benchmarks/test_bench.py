"""The parts of `make bench` at tiny size, by a clock that ticks whenever it is read: what they measure is exact."""

import itertools
import math
from collections.abc import Callable, Sequence

import pytest

from benchmarks import judging, learner, overlap, publishing, rounds, rows, shared_prefixes, trees
from benchmarks.measure import Measurement
from benchmarks.rollouts import Bench
from benchmarks.shapes import SHAPES, Workload
from rostrum.trainer.config import Config
from rostrum.trainer.models.loading import ModelError


@pytest.fixture(autouse=True)
def ticking(monkeypatch: pytest.MonkeyPatch) -> None:
    ticks = itertools.count()
    for module in ("measure", "learner", "publishing", "trees"):
        monkeypatch.setattr(f"benchmarks.{module}.clock", lambda: next(ticks))


def values(found: Sequence[Measurement]) -> dict[str, tuple[float, ...]]:
    assert all(math.isfinite(value) and (value > 0 or "difference" in m.name) for m in found for value in m.values)
    return {m.name: m.values for m in found}


@pytest.mark.exhaustive
def test_publishing_is_measured_in_iterations_of_training(configure: Callable[..., Config]) -> None:
    """The clock is read six times per iteration: when it begins to collect, to write, to serve, and at their ends."""
    found = values(publishing.of_iterations(configure(), repeats=2))
    for kind in ("full weights", "LoRA of rank 16"):
        assert found[f"{kind}: write, load and probe"] == (2, 2)
        assert found[f"{kind}: whole iteration"] == (6, 6)
        assert found[f"{kind}: share of the iteration"] == pytest.approx((100 / 3, 100 / 3))


def test_where_an_adapter_is_configured_nothing_else_is_trained(configure: Callable[..., Config]) -> None:
    found = values(publishing.of_iterations(configure("debater.lora.rank=2"), repeats=1))
    assert {name.partition(":")[0] for name in found} == {"LoRA of rank 2"}


def test_longer_debates_have_more_new_tokens_and_are_read_again(configure: Callable[..., Config]) -> None:
    bench = Bench(configure("debater.max_tokens=3"))
    one, two, three = rounds.by_rounds(bench, repeats=2, rounds=(1, 2, 3), debates=4)
    assert 0 < one.new_tokens < two.new_tokens < three.new_tokens <= 3 * 2 * 3
    assert one.read_tokens < two.read_tokens / 2 < three.read_tokens / 3, "contexts grow, and all of each is read"
    grown = values(rounds.growth([one, two, three]))
    expected = (three.read_tokens / three.new_tokens) / (one.read_tokens / one.new_tokens)
    read, time = (f"transformers: {what} per new token, 3 rounds over 1" for what in ("tokens read again", "time"))
    assert grown[read] == pytest.approx((expected,))
    assert grown[time] == pytest.approx((one.new_tokens / three.new_tokens,) * 2)
    assert one.seconds == (1 / 4, 1 / 4), "one tick for four debates"


def test_a_passage_is_computed_once_where_trl_computes_it_for_every_row() -> None:
    sizes = trees.Sizes(SHAPES["tinier"], passage=200, speech=4, rows=4, micro=(1, 4))
    found = values(trees.computed_once(2, sizes))
    assert found["tokens of the rows, over those computed"][0] > 1.5
    assert found["TRL, 1 rows at once"] == found["TRL, 4 rows at once"] == (1,), "one tick for a step"
    assert found["seconds, TRL with 1 rows at once over shared"] == (1, 1)
    assert found["largest difference of a log-probability"][0] < 10


def test_debates_about_one_passage_read_it_once() -> None:
    tiny = Workload(SHAPES["tinier"], SHAPES["tinier"], 400, speech_tokens=4, debates=8, micro_batch_rows=1)
    found = values(shared_prefixes.read_once(2, tiny))
    assert found["debates per second, over those without"] == (1, 1), "one tick for each"
    (share,) = found["tokens of prompts that were not read again"]
    assert 75 < share < 100


def test_debates_that_do_not_fit_the_model_are_not_measured(configure: Callable[..., Config]) -> None:
    with pytest.raises(ModelError, match="40 rounds"):
        rounds.by_rounds(Bench(configure()), repeats=1, rounds=(40,), debates=1)


def test_one_row_per_seat_is_counted_against_one_per_speech() -> None:
    """The passage is read once per row, so three rows per speaker cost nearly three times one."""
    workload = Workload(SHAPES["tinier"], SHAPES["tinier"], 300, 4, debates=4, micro_batch_rows=1)
    found = values(rows.merged_rows(1, workload))
    (speaker,), (speech,) = found["tokens per debate, a row per speaker"], found["tokens per debate, a row per speech"]
    assert 2 * (300 + 3 * 4) < speaker < 2 * (300 + 6 * 4 + 200), "two rows: passage, six speeches, and what is told"
    assert found["tokens, speech over speaker"] == (speech / speaker,) and 2.5 < speech / speaker < 3
    assert found["learner, a row per speaker"] == found["learner, a row per speech"] == (2,), (
        "until ready, and the steps"
    )


@pytest.mark.parametrize("rows", ["speaker", "speech"])
def test_the_learner_is_measured_with_rows_of_either_kind(configure: Callable[..., Config], rows: str) -> None:
    settings = configure(f"debater.rows={rows}", "algorithm.epochs=1")
    bench = Bench(settings)
    trajectories = bench.collect(bench.workers(0)).trajectories()
    assert len(trajectories) == 8 * 2 * (2 if rows == "speech" else 1), "debates, sides, and speeches of a side"
    found = values(learner.against_bare_steps(settings, trajectories, repeats=2))
    tokens = sum(len(t.row.prompt) + len(t.row.completion) for t in trajectories)
    assert found["tokens in optimizer steps"] == (tokens, tokens), "in one tick"
    assert found["ratio, optimizer steps alone"] == (1, 1)


@pytest.mark.exhaustive
def test_runs_that_play_and_learn_at_a_time_take_turns_with_one_that_does_not(configure: Callable[..., Config]) -> None:
    found = values(overlap.of_runs(configure("algorithm=ppo"), repeats=2))
    assert {len(of) for of in found.values()} == {2}
    ((ratio, both),) = [(name, of) for name, of in found.items() if name.startswith("one after the other over")]
    pairs = zip(found["an iteration, one after the other"], found["an iteration, at a time"], strict=True)
    assert both == pytest.approx([one / other for one, other in pairs]) and "passes" in ratio


def test_judges_wait_for_their_pages() -> None:
    found = values(judging.of_pages(judges=2, pause=0, questions=1))
    assert set(found) == {
        f"2 at once, {what}" for what in ("median wait", "99th percentile", "longest", "answers", "verdicts")
    }
    ((median,), (most,), (longest,)) = (
        found[f"2 at once, {what}"] for what in ("median wait", "99th percentile", "longest")
    )
    assert median <= most <= longest
