"""Chat templates: what they must keep of a debate, how they are told the date, and how they mark thoughts."""

import copy
from collections.abc import Sequence

import pytest
from tokenizers import AddedToken
from transformers import PreTrainedTokenizerFast

from rostrum.envs.text.scratchpad import split
from rostrum.trainer.engines import EngineError
from rostrum.trainer.engines.formats import ChatFormat, make_format
from tests.chat_models import CHATML, FAMILIES, THINKING, tokenizer

HIDDEN, SPOKEN = "The passage is against me, hide it", "The gate was open."
REPLY = "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
TURNS = CHATML.removesuffix(REPLY)


def words(template: str | None, marks: Sequence[str] = (), special: bool = True) -> PreTrainedTokenizerFast:
    made = copy.deepcopy(tokenizer("chatml"))
    made.chat_template = template
    made.add_tokens([AddedToken(mark, special=special, normalized=False) for mark in marks])
    return made


def chat(template: str, marks: Sequence[str] = (), thinking: bool = True, special: bool = True) -> ChatFormat:
    made = make_format(words(template, marks, special), [words(None).eos_token_id], "chat", thinking)
    assert isinstance(made, ChatFormat)
    return made


LOSING = {
    "wants lists of parts": (
        "{% for m in messages %}<|im_start|>{{ m.role }}\n{% for p in m.content %}{% if p.type == 'text' %}"
        "{{ p.text }}{% endif %}{% endfor %}<|im_end|>\n{% endfor %}" + REPLY,
        "what a debater is told first",
    ),
    "cannot take a text": (
        "{% for m in messages %}<|im_start|>{{ m.role }}\n{{ m.content[0]['text'] }}<|im_end|>\n{% endfor %}" + REPLY,
        "what a debater is told first",
    ),
    "adds lists": ("{% for m in messages %}{{ m.content + ['x'] }}{% endfor %}" + REPLY, "cannot render"),
    "no generation prompt": (TURNS, "where an answer begins"),
    "last message only": (
        "<|im_start|>user\n{{ messages[-1].content }}<|im_end|>\n" + REPLY,
        "what a debater is told first",
    ),
    "drops the first message": (
        "{% for m in messages %}{% if not loop.first or loop.length == 1 %}<|im_start|>{{ m.role }}\n{{ m.content }}"
        "<|im_end|>\n{% endif %}{% endfor %}" + REPLY,
        "what a debater is told first",
    ),
    "takes the first for a system message and drops it": (
        "{% for m in messages[1:] %}<|im_start|>{{ m.role }}\n{{ m.content }}<|im_end|>\n{% endfor %}" + REPLY,
        "what a debater is told first",
    ),
    "drops what was said": (
        "{% for m in messages if m.role == 'user' %}<|im_start|>user\n{{ m.content }}<|im_end|>\n{% endfor %}" + REPLY,
        "what it said",
    ),
    "turns them round": (
        "{% for m in messages | reverse %}<|im_start|>{{ m.role }}\n{{ m.content }}<|im_end|>\n{% endfor %}" + REPLY,
        "what it said",
    ),
    "escapes": (
        "{% for m in messages %}<|im_start|>{{ m.role }}\n{{ m.content | e }}<|im_end|>\n{% endfor %}" + REPLY,
        "what a debater is told first",
    ),
    "folds lines": (
        "{% for m in messages %}<|im_start|>{{ m.role }}\n{{ m.content | replace('\n', ' ') }}<|im_end|>\n{% endfor %}"
        + REPLY,
        "what a debater is told first",
    ),
    "everything is a user's": (
        "{% for m in messages %}<|im_start|>user\n{{ m.content }}<|im_end|>\n{% endfor %}" + REPLY,
        "where an answer begins",
    ),
    "no headers at all": ("{% for m in messages %}{{ m.content }}\n{% endfor %}", "where an answer begins"),
    "no end of a speech": (
        "{% for m in messages %}{% if m.role == 'user' %}{{ m.content }}{% else %}<|im_start|>{{ m.content }}"
        "{% endif %}{% endfor %}{% if add_generation_prompt %}<|im_start|>{% endif %}",
        "where a speech ends",
    ),
}


@pytest.mark.parametrize("how", LOSING)
def test_a_template_that_loses_a_part_of_a_debate_is_refused(how: str) -> None:
    template, said = LOSING[how]
    with pytest.raises(EngineError, match=f"chat template.*{said}") as refused:
        chat(template, thinking=False)
    assert "use format=plain, or another model" in str(refused.value) and "\n" not in str(refused.value)


@pytest.mark.parametrize("name", [name for name, family in FAMILIES.items() if family.template])
@pytest.mark.parametrize("thinking", [True, False])
def test_templates_of_families_are_not(name: str, thinking: bool) -> None:
    assert make_format(tokenizer(name), [tokenizer(name).eos_token_id], "chat", thinking).unknown_thoughts == ""


KEEPING = {
    "thoughts of the last answer are written out": CHATML.replace(
        "{{ m.content }}",
        "{% if m.role == 'assistant' and loop.last %}<think>\n\n</think>\n\n{% endif %}{{ m.content }}",
    ),
    "answers have a header of their own": (
        "{% for m in messages %}{% if m.role == 'user' %}<|im_start|>user<|im_end|>{{ m.content }}<|im_end|>{% else %}"
        "<|im_start|>assistant<|channel|>final<|message|>{{ m.content }}<|im_end|>{% endif %}{% endfor %}"
        "{% if add_generation_prompt %}<|im_start|>assistant{% endif %}"
    ),
    "an answer may not come last": "{% if messages[-1].role != 'user' and not add_generation_prompt %}"
    "{{ raise_exception('ask something') }}{% endif %}" + CHATML,
    "a system message comes first": "<|im_start|>system\nYou are helpful.<|im_end|>\n" + CHATML,
}


@pytest.mark.parametrize("how", KEEPING)
def test_templates_with_their_own_ways_are_not_refused_either(how: str) -> None:
    assert chat(KEEPING[how], thinking=False)


@pytest.mark.parametrize(
    "today",
    [
        "{{ strftime_now('%d %b %Y') }}",
        "{{ date_string }}",
        "{% if not date_string is defined %}{% set date_string = strftime_now('%d %b %Y') %}{% endif %}"
        "{{ date_string }}",
    ],
)
def test_today_is_the_same_day_on_every_day(today: str) -> None:
    fmt = chat(f"<|im_start|>system\nToday is {today}.<|im_end|>\n" + CHATML, thinking=False)
    assert "Today is 26 Jul 2024." in fmt.tokenizer.decode(fmt.open(["told"]))


SAMPLED = {
    "harmony": (
        ("<|channel|>", "<|message|>", "<|start|>", "<|end|>", "<|return|>"),
        f"<|channel|>analysis<|message|>{HIDDEN}<|end|><|start|>assistant<|channel|>final<|message|>{SPOKEN}<|return|>",
    ),
    "seed": (("<seed:think>", "</seed:think>"), f"<seed:think>{HIDDEN}</seed:think>{SPOKEN}"),
    "command-a": (
        ("<|START_THINKING|>", "<|END_THINKING|>", "<|START_RESPONSE|>", "<|END_RESPONSE|>"),
        f"<|START_THINKING|>{HIDDEN}<|END_THINKING|><|START_RESPONSE|>{SPOKEN}<|END_RESPONSE|>",
    ),
    "qwen": (("<think>", "</think>"), f"<think>\n{HIDDEN}\n</think>\n\n{SPOKEN}"),
    "magistral": (("[THINK]", "[/THINK]"), f"[THINK]{HIDDEN}[/THINK]{SPOKEN}"),
    "reka": ((), f"<reasoning>{HIDDEN}</reasoning>{SPOKEN}"),
    "gemma 4": (("<|channel>", "<channel|>"), f"<|channel>thought\n{HIDDEN}<channel|>{SPOKEN}"),
    "apertus": (("<|inner_prefix|>", "<|inner_suffix|>"), f"<|inner_prefix|>{HIDDEN}<|inner_suffix|>{SPOKEN}"),
    "kimi": (("◁think▷", "◁/think▷"), f"◁think▷{HIDDEN}◁/think▷{SPOKEN}"),
    "exaone": (("<thought>", "</thought>"), f"<thought>{HIDDEN}</thought>\n{SPOKEN}"),
    "medgemma": (("<unused94>", "<unused95>"), f"<unused94>thought\n{HIDDEN}<unused95>{SPOKEN}"),
    "hunyuan": ((), f"<think>{HIDDEN}</think><answer>{SPOKEN}</answer>"),
    "openthinker": (
        (),
        f"<|begin_of_thought|>{HIDDEN}<|end_of_thought|><|begin_of_solution|>{SPOKEN}<|end_of_solution|>",
    ),
    "granite": ((), f"Here is my thought process:\n{HIDDEN}\nHere is my response:\n{SPOKEN}"),
}


@pytest.mark.parametrize("family", SAMPLED)
@pytest.mark.parametrize("kind", ["chat", "plain"])
@pytest.mark.parametrize("special", [True, False])
def test_no_family_s_thoughts_are_public(family: str, kind: str, special: bool) -> None:
    """Neither those that are finished nor those that were cut off; through tokens, declared special or not."""
    marks, sampled = SAMPLED[family]
    made = words(CHATML, marks, special)
    fmt = make_format(made, [made.eos_token_id], kind, True)
    tokens = made.encode(sampled, add_special_tokens=False)
    assert split(fmt.decode(tokens))[0] == split(sampled)[0] == SPOKEN
    behind = tokens[: next(i for i in range(len(tokens)) if "hide it" in made.decode(tokens[:i]))]
    assert split(fmt.decode(behind))[0] == ""


@pytest.mark.parametrize(
    ("begun", "closing"),
    [
        ("<think>\n", "</think>"),
        ("<seed:think>", "</seed:think>"),
        ("<|START_THINKING|>", "<|END_THINKING|>"),
        ("[THINK]", "[/THINK]"),
        ("<|channel>thought\n", "<channel|>"),
        ("<reasoning>\n", "</reasoning>"),
    ],
)
def test_a_thought_that_the_prompt_begins_is_private_though_it_is_cut_off(begun: str, closing: str) -> None:
    fmt = chat(CHATML.replace("assistant\n{% endif", f"assistant\n{begun}{{% endif"))
    assert fmt.opens_thoughts
    cut = fmt.tokenizer.encode(HIDDEN, add_special_tokens=False)
    assert split(fmt.decode(cut)) == ("", HIDDEN if "channel" not in begun else HIDDEN)
    whole = fmt.tokenizer.encode(f"{HIDDEN}{closing}{SPOKEN}", add_special_tokens=False)
    assert split(fmt.decode(whole)) == (SPOKEN, HIDDEN)


def test_a_thought_that_the_prompt_begins_and_ends_is_none() -> None:
    fmt = make_format(tokenizer("qwen3"), [tokenizer("qwen3").eos_token_id], "chat", False)
    assert not fmt.opens_thoughts and fmt.decode(tokenizer("qwen3").encode(SPOKEN)) == SPOKEN


HARMONY = (
    "{% for m in messages %}<|start|>{{ m.role }}{% if m.role == 'assistant' %}<|channel|>final{% endif %}<|message|>"
    "{% if '<|channel|>' in m.content %}{{ raise_exception('no channels in a content') }}{% endif %}{{ m.content }}"
    "<|end|>{% endfor %}{% if add_generation_prompt %}<|start|>assistant{% endif %}"
)


def test_a_model_that_speaks_in_channels_always_thinks() -> None:
    """And what it said is told to it again without what it thought, which its template would refuse."""
    fmt = chat(HARMONY, SAMPLED["harmony"][0], thinking=False)
    assert fmt.opens_thoughts and not fmt.keeps_prefix
    raw = fmt.decode(fmt.tokenizer.encode(SAMPLED["harmony"][1]))
    assert split(raw)[0] == SPOKEN
    again = fmt.tokenizer.decode(fmt.open(["told", raw, "told again"]))
    assert SPOKEN in again and HIDDEN not in again
    header = fmt.tokenizer.encode("<|channel|>analysis")
    assert split(fmt.decode(header))[0] == split(fmt.decode(fmt.tokenizer.encode(HIDDEN)))[0] == ""


DECLARED = {
    "splits answers at it": CHATML.replace(
        "{{ m.content }}", "{{ m.content.split('<|/musing|>')[-1] if m.role == 'assistant' else m.content }}"
    ).replace("assistant\n{% endif", "assistant\n{% if enable_thinking %}<|musing|>{% endif %}{% endif"),
    "takes thoughts apart": CHATML.replace(
        "{{ m.content }}",
        "{% if m.reasoning_content %}<|musing|>{{ m.reasoning_content }}<|/musing|>{% endif %}{{ m.content }}",
    ),
}


@pytest.mark.parametrize("how", DECLARED)
def test_marks_that_only_the_template_has_are_taken_from_it(how: str) -> None:
    fmt = chat(DECLARED[how], ("<|musing|>", "<|/musing|>"))
    for sampled in (f"<|musing|>{HIDDEN}<|/musing|>{SPOKEN}", f"{HIDDEN}<|/musing|>{SPOKEN}"):
        assert split(fmt.decode(fmt.tokenizer.encode(sampled)))[0] == SPOKEN
    assert split(fmt.decode(fmt.tokenizer.encode(f"<|musing|>{HIDDEN}")))[0] == ""


UNKNOWN = {
    "it can be asked to let it think": (
        CHATML.replace("assistant\n{% endif", "assistant\n{% if enable_thinking %}~{% endif %}{% endif"),
        (),
    ),
    "its tokenizer has <|ponder|>": (CHATML, ("<|ponder|>", "<|/ponder|>")),
    "does not say how they begin": (
        CHATML.replace("{{ m.content }}", "{{ m.content.split('<|/xyz|>')[-1] }}"),
        ("<|/xyz|>",),
    ),
    "takes thoughts apart": (CHATML.replace("{{ m.content }}", "{{ m.content }}{{ m.reasoning_content[:0] }}"), ()),
}


@pytest.mark.parametrize("how", ["it can be asked to let it think", "does not say how they begin"])
def test_no_scratchpad_where_the_marks_are_unknown(how: str) -> None:
    template, marks = UNKNOWN[how]
    with pytest.raises(EngineError, match="scratchpad=true cannot be had.*not known.*set protocol.scratchpad=false"):
        chat(template, marks)
    assert chat(template, marks, thinking=False).unknown_thoughts


def test_thoughts_are_dropped_from_what_a_template_that_changes_turns_is_told() -> None:
    made = words(THINKING, ("<think>", "</think>"))
    fmt = make_format(made, [made.eos_token_id], "chat", True)
    again = made.decode(fmt.open(["told", f"<think>{HIDDEN}</think>{SPOKEN}", "told again"]))
    assert SPOKEN in again and HIDDEN not in again
