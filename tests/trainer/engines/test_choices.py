"""The letter that is scored is the token with which the prompt really goes on, and all that spell it are summed."""

import math
from pathlib import Path

import pytest
from transformers import PreTrainedTokenizerFast

from rostrum.envs.prompts.prompt_sets import load_prompts
from rostrum.envs.types import Protocol, Question, Side, Speech, Transcript
from rostrum.rewards.judges.likelihood import LikelihoodJudge
from rostrum.trainer.engines import engine_settings
from rostrum.trainer.engines.formats import make_format
from rostrum.trainer.engines.transformers.causal import TransformersEngine
from tests import chat_models
from tests.sentencepiece_like import KINDS, TEMPLATES, tokenizer, write_constant_model

QUESTION = Question("q", "s", "where is the coin?", ("the attic", "no cellar"), "in the attic.")
TRANSCRIPT = Transcript(
    QUESTION,
    Protocol("debate", rounds=1),
    QUESTION.answers,
    False,
    (Speech("A", Side.A, 0, "I say A", "I say A", 3), Speech("B", Side.B, 1, "no, B", "no, B", 2)),
)
PROMPT = "Which answer is right? Reply with the letter A or B"


def goes_on(words: PreTrainedTokenizerFast, letter: str, prompt: str = PROMPT) -> list[int]:
    """What follows the prompt's tokens where the whole conversation is tokenised at once."""
    if words.chat_template is None:
        whole, before = f"{prompt} {letter}", prompt
    else:
        before = words.apply_chat_template(
            [{"role": "user", "content": prompt}], tokenize=False, add_generation_prompt=True
        )
        whole = before + letter
    told = words.encode(before, add_special_tokens=False)
    read = words.encode(whole, add_special_tokens=False)
    assert read[: len(told)] == told
    return read[len(told) :]


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("template", TEMPLATES)
def test_a_judge_whose_tokenizer_prepends_a_blank_gives_valid_verdicts(
    tmp_path: Path, kind: str, template: str
) -> None:
    """It says A with .6 in the way in which the prompt goes on, B with .3, and A with .05 in each other way."""
    words = tokenizer(kind, template)
    (of_a,), (of_b,) = goes_on(words, "A"), goes_on(words, "B")
    others = [index for token, index in words.get_vocab().items() if token in ("A", "▁A") and index != of_a]
    assert others
    says = {of_a: 0.6, of_b: 0.3} | dict.fromkeys(others, 0.05)
    engine = TransformersEngine(str(write_constant_model(tmp_path, words, says)), engine_settings())
    ((mass_a, mass_b),) = engine.choice_logprobs([PROMPT], [("A", "B")])
    listed_b = [index for token, index in words.get_vocab().items() if token in ("B", "▁B") and index != of_b]
    rest = (1 - sum(says.values())) / (len(words) - len(says))
    assert math.exp(mass_a) == pytest.approx(0.65, abs=0.001)
    assert math.exp(mass_b) == pytest.approx(0.3 + rest * len(listed_b), abs=0.001)
    judge = LikelihoodJudge("j", engine, load_prompts("chat"), choice="letter")
    (verdict,) = judge.judge([TRANSCRIPT])
    assert verdict.valid and verdict.given == pytest.approx(0.68, abs=0.01)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("template", TEMPLATES)
def test_answers_of_several_words_go_on_from_the_prompt(kind: str, template: str) -> None:
    words = tokenizer(kind, template)
    fmt = make_format(words, [words.eos_token_id])
    for answer in ("the right answer", "no", "answer B?"):
        assert fmt.choice(answer, PROMPT) == goes_on(words, answer)


@pytest.mark.parametrize("name", chat_models.FAMILIES)
def test_byte_level_tokenizers_sum_what_an_endpoint_would_list(name: str) -> None:
    """Every token that is the letter but for white space, as `rewards.endpoint.choices.from_listed` strips it."""
    words = chat_models.tokenizer(name)
    fmt = make_format(words, [words.eos_token_id])
    for letter in ("A", "B", "yes"):
        listed = [index for index in range(len(words)) if words.decode([index]).strip() == letter]
        assert sorted(fmt.spellings(letter)) == listed
    assert set(fmt.choice("A", PROMPT)) <= set(fmt.spellings("A")) or len(fmt.choice("A", PROMPT)) > 1


def test_a_prompt_whose_end_would_melt_into_the_answer() -> None:
    """ "assistant: " ends in a blank that is part of " A": the letter is then the one behind a line break."""
    words = chat_models.tokenizer("gpt_neox")
    words.chat_template = None
    fmt = make_format(words, [words.eos_token_id], "plain")
    assert words.decode(fmt.choice("the passage", "debater: ")).strip() == "the passage"


def test_choices_of_unequal_length_are_not_summed(tmp_path: Path) -> None:
    """Summing would favour the answer of one token, whose spellings are few enough to be listed."""
    words = tokenizer("always", "marked")
    (yes,) = goes_on(words, "yes")
    other = next(i for t, i in words.get_vocab().items() if t in ("yes", "▁yes") and i != yes)
    engine = TransformersEngine(str(write_constant_model(tmp_path, words, {yes: 0.5, other: 0.4})), engine_settings())
    ((one, _),) = engine.choice_logprobs([PROMPT], [("yes", "the right answer")])
    assert math.exp(one) == pytest.approx(0.5, abs=0.001)
