"""How well a policy quotes, in numbers. No gold label is needed for any of it."""

from collections.abc import Sequence

from rostrum.envs.text.evidence import QuoteRule
from rostrum.envs.types import Transcript
from rostrum.rewards.statistics import UNBOUNDED, cluster_mean
from rostrum.trainer.records import Figure, Record


class Quoting(Record):
    """What a policy's speeches are like, on average over speeches."""

    speeches: int
    quotes: Figure = None
    """Quotes that count, per speech."""
    low: Figure = None
    """With `high`, its 95 % interval, clustered by story; not known of a single story."""
    high: Figure = None
    quoting: Figure = None
    """Share of speeches with at least one of them."""
    in_limits: Figure = None
    """Share of speeches that their speaker ended, within the word limit, and of which no more is quotes than may be."""
    tried: Figure = None
    """Quotes per speech, of whatever kind."""
    verified: Figure = None
    """Share of those that stand in the passage."""
    words: Figure = None
    """Words per speech."""
    failed: int = 0
    """Debates that could not be finished, and are in none of these figures."""


class Round(Record):
    """A round: what was written and kept, what was learned from it, and how the policy quotes afterwards. Round 0 is
    the policy as it came."""

    round: int
    written: Quoting | None = None
    """The speeches that it wrote with examples, the best of several."""
    kept: int = 0
    """Those among them that it learned from."""
    loss: Figure = None
    """Mean over the optimizer steps, in nats per token."""
    seconds: Figure = None
    heldout: Quoting
    """Its speeches on held-out stories, sampled once from the ordinary prompt."""


def quoting(debates: Sequence[Transcript], rule: QuoteRule, failed: int = 0) -> Quoting:
    """Return the figures of a set of debates, in which everybody is the same policy."""
    found = [
        (debate.question.story_id, speech, counting, rule.keeps_limits(speech, debate.protocol.max_words))
        for debate in debates
        for speech, counting in rule.of_debate(debate)
    ]
    if not found:
        return Quoting(speeches=0, failed=failed)
    interval = cluster_mean([len(counting) for _, _, counting, _ in found], [story for story, *_ in found], UNBOUNDED)
    quotes = [quote for _, speech, _, _ in found for quote in speech.quotes]
    return Quoting(
        speeches=len(found),
        quotes=interval.estimate,
        low=interval.low,
        high=interval.high,
        quoting=sum(bool(counting) for _, _, counting, _ in found) / len(found),
        in_limits=sum(within for *_, within in found) / len(found),
        tried=len(quotes) / len(found),
        verified=sum(quote.verified for quote in quotes) / len(quotes) if quotes else None,
        words=sum(speech.words for _, speech, _, _ in found) / len(found),
        failed=failed,
    )
