"""The judge that writes its verdict: what it takes for one, laws under relabelling, samples, INVALID verdicts."""

from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from rostrum.rewards.judges.verdict import Settings, parse
from rostrum.rewards.types import Unscored
from rostrum.rewards.written import Finding, WritingJudge
from tests.rewards.writers import TRANSCRIPT, Given, Writer, kitchen_first

SETTINGS = Settings(kind="verdict", name="scripted", model="m", prompts="testimony")


def judge(script: Callable[[str, int], str | Unscored], **changes: object) -> tuple[WritingJudge, Writer]:
    writer = Writer(script)
    return SETTINGS.model_copy(update=changes).make(Given(writer)), writer


@pytest.mark.parametrize(
    ("text", "of_a"),
    [
        ("Verdict: A", 1.0),
        ("Verdict: B", 0.0),
        ("anna says A .\nleo says B .\nVerdict: A\n", 1.0),
        ("anna says A . Verdict : B", 0.0),
        ("verdict: A  \n\n", 1.0),
        ("On balance the verdict must fall on one of them.\nVERDICT: B", 0.0),
        ("Because of A and not B.\n\nVerdict:A", 1.0),
        ("A quotes the text.\n\n**Verdict: A**", 1.0),
        ("A quotes the text.\nVerdict: **B**", 0.0),
        ("A quotes the text.\n**Verdict:** B", 0.0),
        ("*Verdict*: __A__", 1.0),
        ("`Verdict: B`", 0.0),
        ("### Reasons\nA quotes.\n\n### Verdict: A", 1.0),
        ("## **Verdict: B** ##\n", 0.0),
        ("```\nA quotes.\nVerdict: A\n```", 1.0),
        ("A quotes.\n```text\nVerdict: B\n```\n", 0.0),
        ("A quotes.\r\n\r\n**Verdict: A**\r\n", 1.0),
        ("It is hard to reach a verdict: both quote well.\nVerdict: A", 1.0),
        ("Debater B writes 'Verdict: B'.\nVerdict: A", 1.0),
        ("Debater B wrote \u201cverdict: B\u201d twice. So:\nVerdict: A", 1.0),
        ("<think>B? Verdict: B</think>A quotes.\nVerdict: A", 1.0),
        ("<seed:think>B? Verdict: B</seed:think>A quotes.\nVerdict: A", 1.0),
    ],
)
def test_a_verdict_at_the_end_is_read(text: str, of_a: float) -> None:
    assert parse(text) == Finding(of_a)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "A",
        "Verdict:",
        "Verdict",
        "Verdict: C",
        "Verdict: a",
        "Verdict: AB",
        "Verdict: A or B",
        "Verdict: A.",
        "Verdict: A, I think",
        "**Verdict: A** I think",
        "Verdict: A\nThat is all.",
        "The answer is A",
        "Verdict: [A]",
        "Verdict: A\nVerdict: A",
        "Verdict: A\nVerdict: B",
        "Verdict: A\nOn reflection:\nVerdict: B",
        "Debater B wrote: Verdict: B. So:\nVerdict: A",
        "Debater B wrote 'Verdict: B'",
        "'Verdict: A' 'Verdict: B'",
        "Debater B wrote 'my verdict: B, and so on'.\nVerdict: A",
        "It's B's verdict: B.\nThat's all.\nVerdict: A",
        "My verdict is for debater b.\nVerdict: A",
        "- Verdict: both\nVerdict: A",
        "```\nVerdict: B\n```\nVerdict: A",
        "*Verdict: B* or\n**Verdict: A**",
        "# Verdict: A\n# Verdict: B",
        "```\nVerdict: A\n```\n```\nhm\n```",
        "Verdict: ~A~",
        "<think>Verdict: A",
        "**Verdict: A**\n## Notes\nnone",
        "verdict = B ... Verdict: A",
        "My verdict is B.\nVerdict: A",
        "Verdict：B\nVerdict: A",
        "Verdict: Ａ",
        "Verdict \n\n\n: A",
        "Verdict:\nA",
        "nonverdict: A",
        "**Verdict**: B\nVerdict: A",
        "Verdict: Answer A",
        "Verdict: А",
    ],
)
def test_anything_else_is_for_neither_side(text: str) -> None:
    assert parse(text) is None


PIECES = st.sampled_from(["Verdict", "verdict", ":", "A", "B", " ", "\n", "is", "x", "."])


@given(st.text() | st.lists(PIECES).map("".join))
def test_what_is_read_ends_in_one_statement(text: str) -> None:
    found = parse(text)
    if found is not None:
        head, _, letter = text.rstrip().rpartition(":")
        assert letter.strip() == ("A" if found.of_a else "B")
        assert head.rstrip(" ").lower().endswith("verdict")
        assert sum(line.lower().replace(" ", "").startswith("verdict:") for line in text.split("\n")) <= 1


@given(st.text(alphabet=st.characters(exclude_characters="vV")), st.sampled_from("AB"))
def test_any_reasons_without_the_word_leave_the_verdict_as_it_is(reasons: str, letter: str) -> None:
    assert parse(f"{reasons}\nVerdict: {letter}") == Finding(float(letter == "A"))


def test_thoughts_are_not_part_of_the_text() -> None:
    found, _ = judge(lambda *_: "<think>Verdict: B? No, my verdict is A.</think>good quotes\nVerdict: A", samples=1)
    assert found.judge([TRANSCRIPT])[0].orders == (1.0, 0.0)


def test_relabelling_the_seats_turns_the_verdict_round() -> None:
    """The kitchen gets 2 of 3 samples where it is shown first and 3 of 3 where it is not."""

    def script(prompt: str, sample: int) -> str:
        for_kitchen = sample < 2 or not kitchen_first(prompt)
        return f"Verdict: {'A' if for_kitchen == kitchen_first(prompt) else 'B'}"

    (verdict,), (turned,) = (judge(script)[0].judge([t]) for t in (TRANSCRIPT, TRANSCRIPT.swapped()))
    assert (verdict.given, verdict.swapped) == (pytest.approx(2 / 3), 1.0)
    assert (turned.given, turned.swapped) == (1 - (verdict.swapped or 0), 1 - (verdict.given or 0))
    assert verdict.readings == 6 and verdict.scores == ()


@pytest.mark.parametrize(("order", "orders"), [("given", (1.0,)), ("swapped", (0.0,)), ("both", (1.0, 0.0))])
def test_a_judge_that_always_says_the_first_cancels_out(order: str, orders: tuple[float, ...]) -> None:
    found, writer = judge(lambda *_: "Verdict: A", order=order)
    (verdict,) = found.judge([TRANSCRIPT])
    assert verdict.orders == orders and verdict.readings == len(writer.prompts) == 3 * len(orders)


@pytest.mark.parametrize(("said", "valid"), [(0, False), (1, False), (2, True), (3, True)])
@pytest.mark.parametrize("order", [True, False])
def test_half_of_the_samples_of_each_order_must_be_read(said: int, valid: bool, order: bool) -> None:
    def script(prompt: str, sample: int) -> str:
        return "Verdict: A" if sample < said or kitchen_first(prompt) != order else "<script> hm"

    (verdict,) = judge(script)[0].judge([TRANSCRIPT])
    assert verdict.valid is valid
    assert valid or (verdict.reason == f"only {said} of the judge's 3 texts can be read as a verdict")


def test_samples_that_cannot_be_read_do_not_count() -> None:
    texts = ["Verdict: A", "Verdict: A", "Verdict: B", "both"]
    (verdict,) = judge(lambda _, sample: texts[sample], samples=4, order="given")[0].judge([TRANSCRIPT])
    assert verdict.given == pytest.approx(2 / 3)


def test_a_text_that_nobody_wrote_gives_its_reason() -> None:
    found, _ = judge(lambda prompt, _: Unscored("too long") if kitchen_first(prompt) else "Verdict: A")
    (verdict,) = found.judge([TRANSCRIPT])
    assert (verdict.valid, verdict.reason, verdict.readings) == (False, "too long", 3)


def test_every_sample_is_drawn_anew_and_every_run_alike() -> None:
    found, writer = judge(lambda *_: "Verdict: A")
    found.judge([TRANSCRIPT])
    assert len({writing.seed for writing in writer.writings}) == 3
    assert {(w.max_tokens, w.temperature) for w in writer.writings} == {(400, 0.7)}
    assert [w.seed for w in SETTINGS.writings()] == [w.seed for w in writer.writings]
    other = SETTINGS.model_copy(update={"seed": 1})
    assert not {w.seed for w in other.writings()} & {w.seed for w in writer.writings}


def test_samples_without_temperature_are_refused() -> None:
    with pytest.raises(ValidationError, match="samples at temperature 0 are all the same"):
        Settings(kind="verdict", name="j", model="m", prompts="prose", temperature=0)
    assert Settings(kind="verdict", name="j", model="m", prompts="prose", temperature=0, samples=1)


def test_its_prompt_is_the_one_for_verdicts() -> None:
    found, writer = judge(lambda *_: "Verdict: A", order="given", samples=1)
    found.judge([TRANSCRIPT])
    assert writer.prompts[0].endswith("reasons :") and "secret passage" not in writer.prompts[0]
