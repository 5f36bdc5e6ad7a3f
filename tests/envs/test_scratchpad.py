"""The private scratchpad: nothing of it reaches opponent or judge, and it stays in the record."""

from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rostrum.envs import transcripts
from rostrum.envs.debate import Debate, Utterance
from rostrum.envs.prompts.prompt_sets import load_prompts
from rostrum.envs.text.scratchpad import split
from rostrum.envs.types import Protocol, Question, Side, Speaker

PROMPTS = load_prompts("chat")
PRIVATE = Protocol("debate", rounds=2, scratchpad=True)


@pytest.mark.parametrize(
    ("raw", "public", "private"),
    [
        ("plain speech", "plain speech", ""),
        ("<thinking>secret</thinking> speech", "speech", "secret"),
        ("<think>\nsecret\n</think>\n\nspeech", "speech", "secret"),
        ("secret</think>\n\nspeech", "speech", "secret"),
        ("speech <thinking> secret that is cut o", "speech", "secret that is cut o"),
        ("one <thinking>a</thinking> two <thinking>b</thinking> three", "one\ntwo\nthree", "a\nb"),
        ("<thinking>a<thinking>b</thinking>speech", "speech", "a\nb"),
        ("[THINK]secret[/THINK]speech", "speech", "secret"),
        ("< THINKING >secret</ Thinking >speech", "speech", "secret"),
        ("</thinking>speech", "speech", ""),
        ("a</think>b</think>speech", "speech", "a\nb"),
        ("", "", ""),
    ],
)
def test_what_is_public(raw: str, public: str, private: str) -> None:
    assert split(raw) == (public, private)


@given(st.lists(st.sampled_from(["<thinking>", "</thinking>", "<think>", "</think>", "word", " "]), max_size=8))
def test_no_text_is_lost_or_said_twice(parts: list[str]) -> None:
    public, private = split("".join(parts))
    assert (public + private).count("word") == parts.count("word")
    assert "think" not in public + private


def test_nobody_is_shown_the_thoughts(questions: Sequence[Question]) -> None:
    debate = Debate(questions[0], PRIVATE, False, PROMPTS)
    while not debate.finished:
        (side,) = debate.speakers
        assert "SECRET" not in debate.told(side)
        debate.hear({side: Utterance(f"<thinking>SECRET <quote>of {side}</quote></thinking>speech of {side}")})
    transcript = debate.transcript()
    assert "SECRET" not in PROMPTS.judge(transcript) and "speech of B" in PROMPTS.judge(transcript)
    assert [speech.words for speech in transcript.speeches] == [3] * 4
    assert all(speech.quotes == () for speech in transcript.speeches), "a quote in private is shown to nobody"
    assert transcript.speeches[0].private == "SECRET <quote>of A</quote>"
    assert "SECRET" in transcript.speeches[0].raw
    assert transcripts.from_json(transcripts.to_json(transcript)) == transcript


def test_a_debater_is_told_of_the_scratchpad_only_where_there_is_one(questions: Sequence[Question]) -> None:
    for prompts in (PROMPTS, load_prompts("prose")):
        with_, without = (prompts.turn(Side.A, [], Protocol("x", scratchpad=on)) for on in (True, False))
        assert "thinking" in with_ and "thinking" not in without


def test_without_a_scratchpad_the_tags_are_text(questions: Sequence[Question]) -> None:
    debate = Debate(questions[0], Protocol("consultancy", {"A": Speaker(Side.A)}, rounds=1), False, PROMPTS)
    debate.hear({Side.A: Utterance("<thinking>aloud</thinking> speech")})
    assert "aloud" in debate.speeches[0].text and debate.speeches[0].private == ""


HIDDEN, SPOKEN = "hide it", "The gate was open."


@pytest.mark.parametrize(
    "sampled",
    [
        f"<|channel|>analysis<|message|>{HIDDEN}<|end|><|start|>assistant<|channel|>final<|message|>{SPOKEN}<|return|>",
        f"analysis<|message|>{HIDDEN}<|end|><|start|>assistant<|channel|>final<|message|>{SPOKEN}",
        f"<|channel|>analysis<|message|>{HIDDEN}<|end|><|start|>assistant<|channel|>commentary to=f<|message|>{HIDDEN}"
        f"<|call|><|start|>assistant<|channel|>final<|message|>{SPOKEN}<|end|>",
        f"<seed:think>{HIDDEN}<seed:cot_budget_reflect>x</seed:cot_budget_reflect>{HIDDEN}</seed:think>{SPOKEN}",
        f"<|START_THINKING|>{HIDDEN}<|END_THINKING|><|START_RESPONSE|>{SPOKEN}<|END_RESPONSE|>",
        f"{HIDDEN}<|END_THINKING|><|START_RESPONSE|>{SPOKEN}",
        f"<reasoning>{HIDDEN}</reasoning>{SPOKEN}",
        f"<reflection>{HIDDEN}</reflection>{SPOKEN}",
        f"<scratch_pad>{HIDDEN}</scratch_pad>{SPOKEN}",
        f"<SCRATCHPAD>{HIDDEN}</SCRATCHPAD>{SPOKEN}",
        f"<inner_monologue>{HIDDEN}</inner_monologue>{SPOKEN}",
        f"<Thought>{HIDDEN}</Thought><Output>{SPOKEN}</Output>",
        f"<think hidden='yes'>{HIDDEN}</think>{SPOKEN}",
        f"<｜begin▁of▁thinking｜>{HIDDEN}<｜end▁of▁thinking｜>{SPOKEN}",
        f"<|think|>{HIDDEN}<|end|><|begin|>assistant<|content|>{SPOKEN}",
        f"{HIDDEN}[/THINK]{SPOKEN}",
        f"{HIDDEN}◁/think▷{SPOKEN}",
        f"<think>{HIDDEN}</think><answer>{SPOKEN}</answer>{HIDDEN}",
    ],
)
def test_marks_of_thinking_models(sampled: str) -> None:
    """With a scratchpad and without one: nobody asked the model to think, and it did."""
    assert split(sampled)[0] == split(sampled, told=False)[0] == SPOKEN
    for end in range(sampled.index(HIDDEN) + 1, sampled.index(SPOKEN)):
        if "<" in sampled[: sampled.index(HIDDEN)] or "[" in sampled[: sampled.index(HIDDEN)]:
            assert HIDDEN not in split(sampled[:end])[0], "cut off"


@pytest.mark.parametrize(
    "mark",
    [
        "<think>",
        "<THINK>",
        "< Think >",
        "<think/>",
        "[THINK]",
        "[think]",
        "◁think▷",
        "＜think＞",
        "‹think›",
        "<ｔｈｉｎｋ>",
        "<th\u200bink>",
        "<think\u00ad>",
        "<seed:think>",
        "<|think|>",
        "<|START_THINKING|>",
        "<|begin_of_thought|>",
        "<|inner_prefix|>",
        "<reasoning>",
        "<thought>",
        "<｜begin▁of▁thinking｜>",
        "<unused94>",
        "<|channel>thought\n",
        "<|channel|>analysis<|message|>",
        "<|channel|>ANALYSIS<|message|>",
        "<|channel|>analysis ",
        "<|start|>assistant<|channel|>analysis<|message|>",
        "<|im_start|>think ",
        "<|im_start|>think\n",
        "<|im_start|>Thinking\n",
        "<|im_start|>assistant\n<|im_start|>reasoning\n",
        "<start_of_turn>think\n",
        "<|start_header_id|>thinking<|end_header_id|>\n\n",
        "<|start_of_role|>analysis<|end_of_role|>",
        "<|im_end|>\n<|im_start|>think\n",
        "<think>x</think><think>",
        "<think><reasoning>x</think><think>",
    ],
)
def test_a_thought_that_begins_inside_a_speech_is_private(mark: str) -> None:
    """With a scratchpad and without one, closed or not, and the speech before it is not lost."""
    for told in (True, False):
        public, private = split(f"{SPOKEN} {mark}{HIDDEN}", told)
        assert HIDDEN in private and HIDDEN not in public
        assert public.startswith(SPOKEN)
        assert HIDDEN not in split(f"{SPOKEN} {mark}{HIDDEN}<|im_end|>", told)[0]


@pytest.mark.parametrize(
    "sampled",
    [
        f"<|im_start|>think\n{HIDDEN}\n<|im_start|>answer\n{SPOKEN}",
        f"<|im_start|>think\n{HIDDEN}<|im_end|>\n<|im_start|>assistant\n{SPOKEN}",
        f"<|start_header_id|>think<|end_header_id|>\n\n{HIDDEN}<|eot_id|><|start_header_id|>assistant"
        f"<|end_header_id|>\n\n{SPOKEN}",
        f"<|channel|>analysis<|message|>{HIDDEN}<|channel|>final<|message|>{SPOKEN}<|channel|>analysis<|message|>"
        f"{HIDDEN}",
        f"<|channel|>final<|message|>{SPOKEN}<|end|><|start|>assistant<|channel|>analysis<|message|>{HIDDEN}",
        f"{HIDDEN}<|channel|>FINAL<|message|>{SPOKEN}",
    ],
)
def test_turns_and_channels_of_thoughts(sampled: str) -> None:
    assert split(sampled)[0] == split(sampled, told=False)[0] == SPOKEN


def test_turns_of_answers_alone_are_text() -> None:
    text = f"{SPOKEN}<|im_start|>assistant\n{SPOKEN}"
    assert split(text) == (text, "") and split(text, told=False) == (text, "")


@pytest.mark.parametrize(
    "text",
    [
        "he said [I think so]",
        "a <b>bold</b> reason",
        "1 < 2 [answer]",
        "here is my response:",
        "<text>x</text>",
        "x <|end|> y",
        "the <i>thought</i> of it",
    ],
)
def test_ordinary_text_is_public(text: str) -> None:
    assert split(text) == (text, "")


@pytest.mark.parametrize(
    "hostile",
    [
        "<" * 20_000,
        "<scratchpad" * 3000,
        "<" + "scratch pad " * 4000,
        "[think" * 5000,
        "<|channel|>final" * 3000,
        "<|im_start|>" * 4000,
        "<|im_start|>think" * 2000,
        "<endendingof" * 3000,
    ],
)
def test_hostile_text_takes_no_longer_than_its_length(hostile: str) -> None:
    assert len("".join(split(hostile))) <= len(hostile)
