"""Speeches are written with examples in the prompt, and learned without."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import yaml

from rostrum.envs.prompts.prompt_sets import load_prompts
from rostrum.envs.text.evidence import QuoteRule
from rostrum.envs.types import Protocol, Question
from rostrum.trainer.engines.base import Sampling
from rostrum.trainer.engines.transformers.causal import TransformersEngine
from rostrum.trainer.rollouts.decoding.decoding_setup import Decoding
from rostrum.trainer.rollouts.decoding.most_quotes import MostQuotes
from rostrum.trainer.rollouts.examples import Example, ExampleError, OwnExample, load_examples
from rostrum.trainer.rollouts.play import begin, outcomes_of, play, turn_by_turn
from rostrum.trainer.rollouts.schedule import matchups_of
from rostrum.trainer.types import Policy, Rollout
from rostrum.trainer.warmstart.imitation import columns_of
from rostrum.trainer.warmstart.lessons import lessons, replayed

PROMPTS, RULE = load_prompts("testimony"), QuoteRule(most_share=1.0)
POLICY = Policy("current", 0, "x")
PLACE = Question("e", "e", "where is the hat ?", ("attic", "garden"), "in the attic hugo saw it .")
EXAMPLE = Example(PLACE, ("<quote> in the attic hugo saw it </quote>", "garden garden"))
PROTOCOLS = [Protocol("debate", rounds=2), Protocol("simultaneous", rounds=2, simultaneous=True)]


@pytest.fixture(scope="module")
def engine(tiny: Path) -> TransformersEngine:
    return TransformersEngine(str(tiny / "debater"))


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_a_replayed_debate_has_the_rows_that_were_played(
    engine: TransformersEngine, questions: Sequence[Question], protocol: Protocol
) -> None:
    matchups = matchups_of(questions, protocol, 1)
    played = play(matchups, protocol, PROMPTS, {"current": engine}, Sampling(8, seed=3), {"current": POLICY}, True)
    for rollout in played:
        assert isinstance(rollout, Rollout)
        own = {name: iter(rows) for name, rows in rollout.rows.items()}
        again = list(replayed(rollout.transcript, protocol, PROMPTS, engine.format, None))
        assert again == [next(own[speech.speaker]) for speech in rollout.transcript.speeches]


def test_examples_are_in_the_prompt_and_in_no_row(
    scripted_engine: Callable[..., Any], questions: Sequence[Question]
) -> None:
    """The scripted debater quotes the first sentence of its passage if it is shown how, and else says nothing of it."""

    def script(text: str) -> str:
        sentence = questions[0].passage.split(" . ")[0]
        return f"<quote> {sentence} </quote>" if "hugo saw it </quote>" in text else "I do not know"

    engine, protocol = scripted_engine(script), Protocol("debate", rounds=1)
    engine.choice = lambda text, told="": type(engine).choice(engine, text)
    debates = begin(matchups_of(questions[:1], protocol, 1), protocol, PROMPTS, {"current": engine}, examples=[EXAMPLE])
    sampling = Sampling(20, seed=3)
    for live in turn_by_turn(debates, {"current": engine}, sampling, {"current": POLICY}):
        debates = live
    rollouts = [outcome for outcome in outcomes_of(debates, sampling) if isinstance(outcome, Rollout)]
    assert len(rollouts) == 2 and all(rollout.rows == {} for rollout in rollouts)
    assert all("where is the hat ?" in context for context in engine.contexts)
    first, second = engine.contexts[0], engine.contexts[-1]
    assert "argue A : attic" in first and "garden garden" not in first
    assert "argue B : garden" in second and "garden garden" in second
    rows = lessons([rollout.transcript for rollout in rollouts], RULE, protocol, PROMPTS, engine, None)
    assert len(rows) == 2, "of each debate the first speech; the second says the same again"
    for row in rows:
        assert "hat" not in engine.decode(row.prompt) and "argue A" in engine.decode(row.prompt)
        assert engine.decode(row.completion).startswith("<quote>")
        ((tokens,), (labels,)) = columns_of([row]).values()
        assert tokens == [*row.prompt, *row.completion]
        assert labels == [-100] * len(row.prompt) + list(row.completion)


def test_the_first_candidate_with_the_most_quotes_is_spoken(
    scripted_engine: Callable[..., Any], questions: Sequence[Question]
) -> None:
    sentences = questions[0].passage.split(" . ")
    said = iter(["nothing", "<quote> in the moon he saw it </quote>", f"<quote> {sentences[0]} </quote>"] * 2)
    engine, protocol = scripted_engine(lambda text: next(said)), Protocol("debate", rounds=1)
    decoding = Decoding(MostQuotes(3, RULE))
    matchup = matchups_of(questions[:1], protocol, 1)[:1]
    sampling, serving = Sampling(20, seed=3), {"current": POLICY}
    (rollout,) = play(matchup, protocol, PROMPTS, {"current": engine}, sampling, serving, decoding=decoding)
    assert isinstance(rollout, Rollout)
    first, second = rollout.transcript.speeches
    assert first.raw == f"<quote> {sentences[0]} </quote>" and second.raw == "nothing", "that was said before"
    assert rollout.transcript.provenance["current sampled_texts"] == 6


STORY = (
    "The keeper of the lock was called Oda. Boats came up in the morning with stone.\n\n[...]\n\nPell was an engineer."
)
SAID = "<quote>{quote}</quote> This shows that the right answer is: {answer}"


def test_the_sentence_that_shares_rare_words_with_the_answer_is_the_example(
    scripted_engine: Callable[..., Any],
) -> None:
    engine, protocol = scripted_engine(lambda text: "nothing"), Protocol("debate", rounds=1, max_words=60)
    engine.choice = lambda text, told="": type(engine).choice(engine, text)
    question = Question("q", "s", "Who came?", ("boats with stone, and nobody else", "an engineer who was Pell"), STORY)
    own, serving = OwnExample(SAID, QuoteRule(min_words=4)), {"current": engine}
    play_on = begin(matchups_of([question], protocol, 1)[:1], protocol, load_prompts("chat"), serving, examples=[own])
    for _ in turn_by_turn(play_on, serving, Sampling(20), {"current": POLICY}):
        pass
    of_a, of_b = engine.contexts
    assert (
        "<quote>Boats came up in the morning with stone.</quote> This shows that the right answer is: boats with"
        in of_a
    )
    assert "<quote>Pell was an engineer.</quote> This shows that the right answer is: an engineer who was Pell" in of_b
    assert of_a.count("defend: boats with stone") == of_b.count("defend: an engineer") == 2, "the prompt is told twice"


def test_an_example_without_a_quote_that_counts_is_refused(tmp_path: Path) -> None:
    quoting = "<quote>The keeper of the lock was called Oda</quote> and so it is quite clear to everybody here"
    entry = {"passage": STORY, "question": "Who?", "answers": ["Oda", "Pell"], "speeches": [quoting, quoting]}
    path, protocol, prompts = tmp_path / "own.yaml", Protocol("debate", max_words=20), load_prompts("chat")
    path.write_text(yaml.safe_dump([entry]), "utf-8")
    (found,) = load_examples(path, protocol, prompts, QuoteRule())
    assert found.question.answers == ("Oda", "Pell") and load_examples(None, protocol, prompts, QuoteRule()) == ()
    with pytest.raises(ExampleError, match="Example 1 of .*own.yaml has a speech for 'Oda' without one quote"):
        load_examples(path, replace(protocol, max_words=12), prompts, QuoteRule())
