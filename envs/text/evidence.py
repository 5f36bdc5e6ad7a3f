"""Which quotations of a speech count as evidence: long enough, true, said once in a debate, and not the whole speech.

Nothing here knows which answer is right, and no judge is asked.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from rostrum.envs.text.quotes import count_words
from rostrum.envs.types import Quote, Speech, Transcript


@dataclass(frozen=True, slots=True)
class QuoteRule:
    """What is asked of a speech and of its quotations."""

    min_words: int = 5
    """Words that a quotation has at least."""
    most_share: float = 0.5
    """The share of a speech's words that may stand in quotations, true or not."""

    def counting(self, speech: Speech, before: Sequence[Speech], max_words: int) -> tuple[Quote, ...]:
        """Return the quotations of a speech that count, given the speeches before it; none of a speech that does not
        keep to its limits (`keeps_limits`).

        One counts if it stands in the passage, has `min_words` words, and shares no word of the passage with a true
        quotation before it, in this speech or in an earlier one of anybody.
        """
        if not self.keeps_limits(speech, max_words):
            return ()
        taken = [span for earlier in before for quote in earlier.quotes for span in quote.source]
        found = []
        for quote in speech.quotes:
            if quote.verified and count_words(quote.text) >= self.min_words and not _overlap(quote, taken):
                found.append(quote)
            taken += quote.source
        return tuple(found)

    def keeps_limits(self, speech: Speech, max_words: int) -> bool:
        """Return whether a speech was ended by its speaker, within the words that are allowed, and has no more of them
        in quotations than it may."""
        quoted = sum(count_words(quote.text) for quote in speech.quotes)
        ended = speech.finish_reason == "stop"
        return ended and 0 < speech.words <= max_words and quoted <= self.most_share * speech.words

    def of_debate(self, transcript: Transcript) -> Iterator[tuple[Speech, tuple[Quote, ...]]]:
        """Yield every speech of a debate with its quotations that count. Speeches of one turn are read in the order of
        their speakers."""
        for place, speech in enumerate(transcript.speeches):
            yield speech, self.counting(speech, transcript.speeches[:place], transcript.protocol.max_words)


def _overlap(quote: Quote, taken: Sequence[tuple[int, int]]) -> bool:
    return any(
        start < end_taken and start_taken < end for start, end in quote.source for start_taken, end_taken in taken
    )
