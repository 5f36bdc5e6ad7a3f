"""What is read on the way from a draft to the speech that is made: by a critic, and by the debater that rewrites it.

`critique.j2` and `rewrite.j2` of a prompt set are given the debater's own opening and that of the other seat
(`opening`, `opposing`), what both seats have heard so far (`heard`), the `draft`, for a rewrite its `critique`, and the
limit of words. A critic sees what the debater sees and nothing of what the other debater has in mind.
"""

from envs.debate import Debate
from envs.inquiries import in_order
from envs.judge_prompts import escaped
from envs.prompts import Prompts
from envs.types import Seat, Speech

TEMPLATES = ("critique", "rewrite")


def require(prompts: Prompts) -> None:
    """Asks whether a prompt set can have speeches criticised and rewritten.

    Raises:
        PromptError: it lacks a template for it.
    """
    for name in TEMPLATES:
        prompts.judges.template(name)


def critique_prompt(debate: Debate, draft: Speech) -> str:
    """What a critic reads of the draft of a speech to be made now."""
    return _prompt("critique", debate, draft, "")


def rewrite_prompt(debate: Debate, draft: Speech, critique: Speech) -> str:
    """What the debater reads before it makes its speech in the place of the draft."""
    (told,) = escaped([critique])
    return _prompt("rewrite", debate, draft, told["text"])


def _prompt(template: str, debate: Debate, draft: Speech, critique: str) -> str:
    prompts, seat, protocol = debate.prompts, draft.seat, debate.protocol
    passage = debate.shown if protocol.debaters_see_passage else ""
    openings = {each: prompts.opening(debate.question, debate.answers, each, passage) for each in Seat}
    (drafted,) = escaped([draft])
    heard = escaped(in_order(debate.speeches, debate.inquiries))
    return prompts.judges.template(template).render(
        opening=openings[seat], opposing=openings[seat.other], heard=heard,
        seat=seat.value, other=seat.other.value, draft=drafted["text"], critique=critique,
        max_words=protocol.max_words,
    )  # fmt: skip
