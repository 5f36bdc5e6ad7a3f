"""Estimates of what endpoints cost, on numbers worked by hand."""

from rostrum.envs.types import Protocol, Question, Transcript
from rostrum.rewards.endpoint.config import Endpoint
from rostrum.rewards.endpoint.estimate import DryModels, cost_of
from rostrum.rewards.judges.likelihood import Settings
from rostrum.rewards.types import Unscored, Usage, Writing

PRICED = Endpoint(base_url="http://localhost/v1", price_in=2, price_out=8)
QUESTION = Question("q", "s", "where is the coin ?", ("kitchen", "garden"), "secret passage .")
DEBATES = [Transcript(QUESTION, Protocol("debate"), QUESTION.answers, False)] * 3


def settings(endpoint: Endpoint | None = PRICED, choice: str = "letter") -> Settings:
    engine = "transformers" if endpoint is None else "endpoint"
    return Settings(
        kind="likelihood", name="judge", model="m", prompts="testimony", engine=engine, endpoint=endpoint, choice=choice
    )  # type: ignore[arg-type]


def test_a_quarter_of_the_characters_and_full_replies() -> None:
    """Two prompts of 9 and 4 characters: 3 + 1 tokens read, 2 * 5 * 3 written."""
    assert cost_of(["123456789", "1234"], PRICED, max_tokens=5, samples=3) == Usage(2, 4, 30, (4 * 2 + 30 * 8) / 1e6)


def test_a_judge_is_reckoned_by_what_it_asks() -> None:
    models = DryModels()
    verdicts = settings().make(models).judge(DEBATES)
    assert all(verdict.valid and verdict.mean == 0.5 for verdict in verdicts)
    assert (models.usage.requests, models.usage.new_tokens) == (6, 6), "three debates in both orders"
    assert models.usage.dollars == PRICED.dollars(models.usage.prompt_tokens, 6)


def test_samples_and_longer_choices_cost_more() -> None:
    for endpoint, choice, requests, written in (
        (PRICED.model_copy(update={"logprobs": "never", "samples": 10}), "letter", 6, 6 * 10 * 4),
        (PRICED.model_copy(update={"api": "completions"}), "answer", 18, 18),
    ):
        models = DryModels()
        settings(endpoint, choice).make(models).judge(DEBATES)
        assert (models.usage.requests, models.usage.new_tokens) == (requests, written)


def test_texts_are_taken_to_be_as_long_as_they_may_be_and_own_models_cost_nothing() -> None:
    models = DryModels()
    assert isinstance(models.scorer(settings()).write(["1234"], Writing(50))[0], Unscored)
    settings(None).make(models).judge(DEBATES)
    assert models.usage == Usage(1, 1, 50, (2 + 50 * 8) / 1e6)
