"""How much of a judge's second reading the engine has read already, counted on a tiny chat model."""

import random

import pytest
from pydantic import TypeAdapter

from rostrum.envs.types import Protocol, Question, Side, Speech, Transcript
from rostrum.rewards.judges import AnyJudge, ModelSettings
from rostrum.rewards.settings import JudgeSettings
from rostrum.trainer import setup
from rostrum.trainer.engines.transformers.causal import TransformersEngine
from tests.chat_models import write_model

WORDS = "the debater quotes the passage where the answer is and a judge reads what was said".split()
TOLERANCE = 1e-4


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> str:
    return str(write_model(tmp_path_factory.mktemp("judge") / "chatml", "chatml", context=8192))


def debate(number: int) -> Transcript:
    """Return a debate of six speeches of 150 words."""
    draw = random.Random(number)
    said = [" ".join(draw.choices(WORDS, k=150)) for _ in range(6)]
    speeches = (Speech("AB"[t % 2], list(Side)[t % 2], t, text, text, 150) for t, text in enumerate(said))
    answers = (f"the passage {number}", f"the answer {number}")
    question = Question(f"q{number}", f"s{number}", "where is it ?", answers, "")
    return Transcript(question, Protocol("debate", rounds=3), answers, False, tuple(speeches))


def settings(model: str, kind: str, layout: str, kept: int, **own: object) -> JudgeSettings:
    options = {"engine_options": {"prefix_cache_bytes": kept}}
    base = {"kind": kind, "name": kind, "model": model, "prompts": "chat", "layout": layout, **options, **own}
    made: JudgeSettings = TypeAdapter(AnyJudge).validate_python(base)
    return made


def tokens_of(judge: JudgeSettings, transcript: Transcript) -> list[int]:
    assert isinstance(judge, ModelSettings)
    return setup.judge_format(judge).open([judge.judge_prompts().judge(transcript)])


KINDS = {
    "likelihood": {"choice": "letter", "min_mass": 0.0},
    "verdict": {"samples": 1, "temperature": 0.0, "max_tokens": 4},
    "rating": {"samples": 1, "temperature": 0.0, "max_tokens": 4},
}


@pytest.mark.parametrize("kind", KINDS)
def test_nine_tenths_of_the_second_reading_are_found(kind: str, model: str) -> None:
    shown = debate(0)
    found = dict[str, float]()
    for layout in ("transcript_first", "answers_first"):
        judge = settings(model, kind, layout, 10**9, **KINDS[kind])
        asked = setup.judge(judge)
        asked.judge([shown])
        engine = asked.base.scorer  # type: ignore[attr-defined]
        assert isinstance(engine, TransformersEngine)
        first, second = (tokens_of(judge, order) for order in (shown, shown.swapped()))
        assert engine.prefix_cache[0] == len(first) + len(second)
        found[layout] = engine.prefix_cache[1] / len(second)
    assert found["transcript_first"] >= 0.9 > 0.3 > found["answers_first"]


@pytest.mark.parametrize("batch_size", [256, 3])
def test_debates_that_are_read_together_are_found_as_well(model: str, batch_size: int) -> None:
    shown = [debate(number) for number in range(3)]
    judge = settings(model, "likelihood", "transcript_first", 1, batch_size=batch_size, **KINDS["likelihood"])
    plain = settings(model, "likelihood", "transcript_first", 0, batch_size=batch_size, **KINDS["likelihood"])
    keeping, reading = setup.judge(judge), setup.judge(plain)
    verdicts, without = keeping.judge(shown), reading.judge(shown)
    second = sum(len(tokens_of(judge, transcript.swapped())) for transcript in shown)
    share = keeping.base.scorer.prefix_cache[1] / second  # type: ignore[attr-defined]
    assert share >= (0.9 if batch_size == 256 else 0.6), share
    for one, other in zip(verdicts, without, strict=True):
        assert one.valid and one.orders == pytest.approx(other.orders, abs=TOLERANCE)
