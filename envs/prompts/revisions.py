"""What is read on the way from a draft to the speech that is made: by a critic, and by the debater that rewrites it.

`critique.j2` and `rewrite.j2` of a prompt set are given the debater's own opening and that of the other side
(`opening`, `opposing`), what everybody has heard so far (`heard`), the `draft`, for a rewrite its `critique`, and the
limit of words. A critic sees what the debater sees and nothing of what the other debater has in mind.
"""

from rostrum.envs.debate import Debate
from rostrum.envs.prompts.inquiries import in_order
from rostrum.envs.prompts.judge_prompts import PromptError, escaped, rendered
from rostrum.envs.prompts.prompt_sets import Prompts, roles_of
from rostrum.envs.text.escaping import escape_field, escape_speech
from rostrum.envs.types import Protocol, Speech

TEMPLATES = ("critique", "rewrite")


def require(prompts: Prompts, protocol: Protocol) -> None:
    """Ask whether a prompt set can have speeches criticised and rewritten.

    Raises:
        PromptError: it lacks a template for it, or the protocol has roles, of which a critic would read nothing.
    """
    if roles := roles_of(protocol):
        raise PromptError(
            f"decoding=refine is for debaters, and protocol={protocol.name} has the role {roles[0]}: take "
            "decoding=plain or best_of."
        )
    for name in TEMPLATES:
        prompts.judges.template(name)


def critique_prompt(debate: Debate, draft: Speech) -> str:
    """Return what a critic reads of the draft of a speech to be made now."""
    return _prompt("critique", debate, draft, "")


def rewrite_prompt(debate: Debate, draft: Speech, critique: Speech) -> str:
    """Return what the debater reads before it makes its speech in the place of the draft."""
    return _prompt("rewrite", debate, draft, _text(critique, debate.prompts))


def helpful_prompt(prompts: Prompts, debate: Debate, draft: Speech, critique: Speech) -> str:
    """Return what a judge's model reads that is to say whether a critique helps: what a judge may know, and
    `helpful.j2`."""
    answer_a, answer_b = (escape_field(answer, prompts.judges.own) for answer in debate.answers)
    return rendered(
        prompts.judges.template("helpful"),
        question=escape_field(debate.question.text, prompts.judges.own),
        answer_a=answer_a,
        answer_b=answer_b,
        heard=_heard(debate, prompts),
        seat=debate.protocol.label(draft.speaker, draft.side),
        draft=_text(draft, prompts),
        critique=_text(critique, prompts),
    )


def _prompt(template: str, debate: Debate, draft: Speech, critique: str) -> str:
    prompts, side, protocol = debate.prompts, draft.side, debate.protocol
    passage = debate.shown if protocol.debaters_see_passage else ""
    label = protocol.label(draft.speaker, side)
    opposing = next((protocol.label(name, side.other) for name in protocol.on(side.other)), side.other.value)
    return rendered(
        prompts.judges.template(template),
        opening=prompts.opening(debate.question, debate.answers, side, passage, label),
        opposing=prompts.opening(debate.question, debate.answers, side.other, passage, opposing),
        heard=_heard(debate, prompts),
        seat=label,
        other=opposing,
        draft=_text(draft, prompts),
        critique=critique,
        max_words=protocol.max_words,
    )


def _heard(debate: Debate, prompts: Prompts) -> list[dict[str, str]]:
    return escaped(in_order(debate.speeches, debate.inquiries), debate.protocol, prompts.judges.own)


def _text(speech: Speech, prompts: Prompts) -> str:
    return escape_speech(speech.text, own=prompts.judges.own)
