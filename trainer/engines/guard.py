"""Keeps special tokens out of what is told: no passage and no speech becomes one, whatever it spells.

What spells a mark of the tokenizer's is broken up before it is tokenised, in whatever letters it is written. Then the
tokens are looked at: a tokenizer that normalises (NFKC, small letters, replacements) can make a mark out of other text,
and so can a template that writes something beside it.
"""

import re
from collections import Counter
from collections.abc import Callable, Sequence

from transformers import PreTrainedTokenizerBase

from rostrum.envs.text import scratchpad
from rostrum.envs.text.escaping import break_up, escape_markup, fold

Read = Callable[[Sequence[str]], list[int]]
"""From texts to the tokens that are read, a template's included."""
_ATTEMPTS = 8
"""Times that marks are taken out of a text one by one, before all that is neither letter nor digit is."""


class Guard:
    """Makes tokens of texts such that all special ones are a template's."""

    def __init__(self, tokenizer: PreTrainedTokenizerBase, thoughts: bool = False) -> None:
        """Read the tokenizer's marks; with `thoughts`, marks round thoughts are special though the tokenizer takes them
        for ordinary."""
        self._tokenizer = tokenizer
        self._expected: dict[str, Counter[int]] = {}
        marks = _marks(tokenizer, thoughts)
        spelled = sorted({fold(mark)[0] for mark in marks}, key=len, reverse=True)
        self._spelled = re.compile("|".join(map(re.escape, spelled)) or r"(?!)", re.IGNORECASE)
        vocabulary = tokenizer.get_vocab()
        self._forbidden = {vocabulary[mark] for mark in marks if mark in vocabulary} - {tokenizer.unk_token_id}

    def safe(self, text: str) -> str:
        """Return the text with a blank inside everything that spells a special token."""
        return break_up(self._spelled, text)[0]

    def read(self, texts: Sequence[str], read: Read, kind: str = "") -> list[int]:
        """Return the tokens of these texts; no special token among them is theirs. Reads of one `kind` have the same
        special tokens of their own."""
        texts = [self.safe(text) for text in texts]
        tokens = read(texts)
        if not (found := self._special(tokens)):
            return tokens
        if not kind or kind not in self._expected:
            self._expected[kind] = self._special(read(["told"] * len(texts)))
        expected = self._expected[kind]
        for disarm in (self._disarmed, _unpunctuated, lambda text: "unreadable"):
            if not found - expected:
                break
            texts = [disarm(text) for text in texts]
            tokens = read(texts)
            found = self._special(tokens)
        return tokens

    def _special(self, tokens: Sequence[int]) -> Counter[int]:
        return Counter(token for token in tokens if token in self._forbidden)

    def _disarmed(self, text: str) -> str:
        """Return the text without what becomes a special token: with a blank inside it, or, where the tokenizer passes
        over blanks, without its first sign."""
        if not self._tokenizer.is_fast:
            return _unpunctuated(text)
        for attempt in range(_ATTEMPTS):
            read = self._tokenizer(text, add_special_tokens=False, return_offsets_mapping=True)
            pairs = zip(read["input_ids"], read["offset_mapping"], strict=True)
            spans = [(start, end) for token, (start, end) in pairs if token in self._forbidden]
            if not spans:
                return text
            for start, end in sorted(spans, reverse=True):
                spelled = text[start:end]
                kept = f"{spelled[0]} {spelled[1:]}" if attempt == 0 and len(spelled) > 1 else spelled[1:]
                text = text[:start] + kept + text[end:]
        return _unpunctuated(text)


def _marks(tokenizer: PreTrainedTokenizerBase, thoughts: bool) -> set[str]:
    """Return what the tokenizer would read as a mark of its own and not as text.

    Beside the special tokens that it has a use for itself: those that its file merely declares (Llama 3's
    `<|start_header_id|>`), and others that its chat template writes (DeepSeek's `<｜User｜>` is not declared special)
    or that look like marks. Marks round thoughts that are ordinary tokens are left to the environment, which looks for
    them.
    """
    template = str(tokenizer.chat_template or "")
    added = {
        token.content
        for token in tokenizer.added_tokens_decoder.values()
        if token.special
        or (thoughts and scratchpad.is_mark(token.content))
        or (token.content in template or escape_markup(token.content) != token.content)
        and not scratchpad.is_mark(token.content)
    }
    punctuated = {token for token in added if not token.isspace() and not token[0].isalnum()}
    return {token for token in {*tokenizer.all_special_tokens, *punctuated} if len(token) > 1}


def _unpunctuated(text: str) -> str:
    return "".join(sign if sign.isalnum() or sign.isspace() else " " for sign in text)
